"""``xpnet predict``: predicted labels of images as CSV."""

import csv
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from io import StringIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.data import open_rows, reading
from xpnet.cli.files import CsvFile
from xpnet.cli.options import BATCH_SIZE, FORCE, JSON, MODEL, UNLABELLED, Option
from xpnet.cli.report import Outcome
from xpnet.cli.streams import print_note, standard_output
from xpnet.files.errors import printable
from xpnet.files.writing import atomic_write

if TYPE_CHECKING:
    from xpnet.cli.data import Rows
    from xpnet.networks.network import Network

HELP = (
    "Write the predicted labels of images as CSV. The columns are those of Kaggle: ImageId, from 1,"
    " and Label; Row instead of ImageId for tables, File for a folder of pictures, and Value"
    " instead of Label for a regression."
)
EXAMPLES = (
    "predict test.csv --model model.safetensors -o labels.csv",
    "predict sample --rows 5",
)
_PROBA = "write the probabilities of all classes, a column for each, instead of labels"
OPTIONS = [
    *UNLABELLED,
    Option("-o --output FILE", CsvFile, "a .csv file (default: standard output)"),
    FORCE,
    Option("--proba", None, _PROBA),
    *MODEL,
    *(BATCH_SIZE, JSON),
]


def run(
    data: str = "sample",
    *,
    output: str = "/dev/stdout",
    proba: bool = False,
    force: bool = False,
    **given: Any,
) -> Outcome:
    """Run the command."""
    is_printed = output == "/dev/stdout"
    if is_printed and given.get("json"):
        msg = "--json needs -o FILE: standard output cannot hold both"
        raise ValueError(msg)
    target = nullcontext() if is_printed else atomic_write(output, force=force)
    with target as file, open_rows(data, "predicting", given, want_labels=False) as found:
        write = _print if file is None else file.write
        first, entries = _names(data, given, found.network.n_in)
        header = [[first, *_column_names(found.network, proba=proba)]]
        for lines in _lines(found, proba=proba):  # an error in the first block leaves no output
            write(_csv([*header, *([next(entries), *line] for line in lines)]))
            header = []
    facts = {"output": output, "total": found.n, **found.facts()}
    if not is_printed:
        return Outcome(facts, {"wrote": output, **found.table(facts)})
    for name in ("inputs", "hash"):
        if facts[name] is not None:
            print_note(f"{name} {facts[name]}")
    return Outcome()


def _names(data: str, given: Mapping[str, Any], n_in: int) -> tuple[str, Iterator[Any]]:
    """Return the name of the first column, and its entries: names of pictures, or numbers."""
    from xpnet.datasets.locate import locate
    from xpnet.datasets.picture_files import picture_files
    from xpnet.networks.input_range import FEWEST_PIXELS

    folder = Path(locate(data, reading(given))[0])
    if folder.is_dir():
        return "File", (str(path.relative_to(folder)) for path in picture_files(folder))
    return "ImageId" if n_in >= FEWEST_PIXELS else "Row", count(1)


def _column_names(network: "Network", *, proba: bool) -> list[Any]:
    """Return the names of the columns after the first."""
    if network.output == "values":
        n = network.n_out
        return ["Value"] if n == 1 else [f"Value{i + 1}" for i in range(n)]
    return list(network.classes or range(network.n_classes)) if proba else ["Label"]


def _lines(found: "Rows", *, proba: bool) -> Iterator[list[list[Any]]]:
    """Yield the fields after the first of each row, block by block."""
    from xpnet.inference.class_labels import labels_of
    from xpnet.inference.predict import predict_proba

    network = found.network
    for images, _, ids in found.predicted():
        if proba:  # computing twice takes less time than writing
            shares = predict_proba(network, images, batch_size=found.batch_size)
            yield shares.astype(str).tolist()  # no more digits than the dtype needs
            continue
        labels = ids if network.classes is None else labels_of(network, ids)
        yield (labels if labels.ndim > 1 else labels[:, None]).tolist()


def _csv(lines: list[list[Any]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode(errors="surrogateescape")  # as in the names of files


def _print(content: bytes) -> None:
    """Write to standard output; escape what could control a terminal."""
    with standard_output() as output:
        if output.isatty():
            lines = content.decode(errors="surrogateescape").split("\n")
            content = "\n".join(map(printable, lines)).encode()
        output.buffer.write(content)
