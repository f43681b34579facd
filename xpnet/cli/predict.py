"""``xpnet predict``: predicted labels of images as CSV."""

import argparse
import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from io import StringIO
from itertools import chain, count
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    add_option,
    add_output_arguments,
    from_args,
    positive_integer,
)
from xpnet.cli.data_arguments import Data, add_data_arguments, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.predicted import predicted_ids
from xpnet.cli.report import Outcome, Stopwatch, added_text, work_facts, work_rows
from xpnet.cli.scaled_rows import data_text, stream_rows
from xpnet.cli.streams import print_note, standard_output
from xpnet.files.writing import atomic_write

if TYPE_CHECKING:
    from xpnet.datasets.blocks import Block
    from xpnet.networks.network import Network

# Control characters, except tabs and line ends, and characters that change the direction of text.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "predict",
        help="write the predicted labels of images as CSV or npz",
        description="Write the predicted labels of images as CSV in Kaggle's form: the columns"
        " ImageId, from 1, and Label; of a folder of pictures, File and Label; of a regression,"
        " Value instead of Label. An npz file holds arrays: labels or values, probabilities, and"
        " files of a folder.",
        examples=(
            "predict test.csv --model model.safetensors -o labels.csv",
            "predict sample --rows 5",
        ),
    )
    add_data_arguments(parser, labels=False)
    add_device_arguments(parser, reproducible=True, hashes=True)
    add_model_arguments(parser)
    columns = parser.add_mutually_exclusive_group()
    text = "write the N most probable labels and their probabilities, such as --top 3"
    add_option(columns, "--top N", positive_integer, text)
    text = "write the probabilities of all classes, a column for each, instead of labels"
    columns.add_argument("--proba", action="store_true", help=text)
    text = "a CSV file, or an .npz file, whose arrays must fit into memory; - is standard output"
    add_output_arguments(parser, text, default="-")
    add_common_arguments(parser, run)


@dataclass(frozen=True)
class _Wanted:
    """The predictions wanted: labels or values, and some probabilities (--top) or all (--proba)."""

    top: int | None
    proba: bool
    options: DeviceOptions

    def check(self, model: Model) -> None:
        """Raise UsageError if the network has fewer classes than probabilities are wanted."""
        n_classes = model.network.n_classes
        if (self.top or int(self.proba)) > n_classes:
            option = "--proba" if self.proba else f"--top {self.top}"
            has = n_classes or "none, as it is a regression"
            msg = f"{option} needs more classes than {model.name} has: {has}"
            raise UsageError(msg)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    options, output = from_args(DeviceOptions, args), args.output
    data, wanted = Data.from_args(args, args.path), _Wanted(args.top, args.proba, options)
    to_stdout = output in {"-", "/dev/stdout"}
    if args.json and to_stdout:
        msg = "--json needs -o FILE: standard output cannot hold both"
        raise UsageError(msg)
    model, device = open_model(ModelOptions.from_args(args), options, stopwatch)
    wanted.check(model)
    if to_stdout and options.device == "auto":
        print_note(device.reason)
    stdout = nullcontext(SimpleNamespace(write=_write_output))
    target = stdout if to_stdout else atomic_write(output, force=args.force)
    with target as file:
        is_npz = output.lower().endswith(".npz")
        network, found = _predict(wanted, data, model, stopwatch, file, is_npz=is_npz)
    said = {"inputs": added_text(model, network), "hash": found["hash"]}
    if to_stdout:
        for name, text in said.items():
            if text is not None:
                print_note(f"{name} {text}")
        return Outcome()
    total = found["total"]
    work = work_facts(network, device, options, stopwatch, n_images=total)
    facts = {"output": output, **found, "data": data.path, "model": model.name, **said, **work}
    rows = {"wrote": output, "data": data_text(found, total), **said, **work_rows(work)}
    return Outcome(facts, rows)


def _predict(
    wanted: _Wanted, data: Data, model: Model, stopwatch: Stopwatch, file: Any, *, is_npz: bool
) -> "tuple[Network, dict[str, Any]]":
    """Write the predictions of all images; return the network, number of images and the hash."""
    import numpy as np

    from xpnet.files.hashes import ResultHash

    options, files, total = wanted.options, _files_in(data), 0
    digest = ResultHash() if options.hash else None

    def predicted(blocks: "Iterable[Block]") -> Iterator[tuple[Any, Any]]:
        nonlocal total
        for rows, _, ids in predicted_ids(network, blocks, options, digest):
            total += len(ids)
            yield _labels_and_shares(wanted, network, rows, ids)

    size, batching = options.used_batch_size(model.network), options.batching()
    opened = stream_rows(data, model, batching, "predicting", stopwatch, want_labels=False)
    with computation_errors(data.path, size), opened as (network, blocks, read):
        loaded = stopwatch.measure_items(blocks, "loading")
        found = stopwatch.measure_items(predicted(loaded), "computing")
        if is_npz:
            labels, shares = zip(*found, strict=True)
            arrays: Any = {"labels" if network.n_classes else "values": np.concatenate(labels)}
            if shares[0] is not None:
                arrays["probabilities"] = np.concatenate(shares)
            if files is not None:
                arrays["files"] = np.asarray(files[:total])
            np.savez(file, **arrays)
        else:
            _write_csv(file, _column_names(network, wanted), found, files)
    if not total:
        print_note(f"{data.path} holds no images: no predictions")
    return network, {"total": total, "hash": digest.text() if digest else None, **read}


def _labels_and_shares(wanted: _Wanted, network: "Network", rows: Any, ids: Any) -> tuple[Any, Any]:
    """Return the labels or values of rows, and probabilities; the most probable ones for --top."""
    import numpy as np

    from xpnet.inference.predict import predict_proba

    shares: Any = None
    if wanted.top or wanted.proba:  # computing twice takes less time than writing
        shares = predict_proba(network, rows, **wanted.options.batching())
    if wanted.top:
        keys = np.negative(shares, dtype=np.float64)
        keys[np.arange(len(ids)), ids] = -np.inf  # the label comes first: others may be as probable
        ids = np.argsort(keys, axis=1, kind="stable")[:, : wanted.top]
        shares = np.take_along_axis(shares, ids, axis=1)
    return ids if network.classes is None else np.asarray(network.classes)[ids], shares


def _files_in(data: Data) -> list[str] | None:
    """Return the names of the pictures in a folder, in the order of its rows, or None."""
    from xpnet.datasets.locate import locate
    from xpnet.datasets.picture_files import picture_files

    folder = Path(locate(data.path, data.options)[0])
    if not folder.is_dir():
        return None
    return [str(path.relative_to(folder)) for path in picture_files(folder)]


def _write_csv(
    file: Any, columns: list[Any], blocks: Iterable[tuple[Any, Any]], files: list[str] | None
) -> None:
    """Write block by block; an error in the first block leaves no output, not even a header."""
    text, names = StringIO(), iter(files or count(1))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["File" if files else "ImageId", *columns])
    for labels, shares in blocks:
        writer.writerows([next(names), *row] for row in _csv_fields(labels, shares))
        file.write(text.getvalue().encode(errors="surrogateescape"))  # as in the names of files
        text.seek(0)
        text.truncate()


def _column_names(network: "Network", wanted: _Wanted) -> list[Any]:
    """Return the names of the CSV columns after the first."""
    if network.output == "values":
        n_out = network.n_out
        return ["Value"] if n_out == 1 else [f"Value{i + 1}" for i in range(n_out)]
    if wanted.top:
        return [f"{name}{i + 1}" for i in range(wanted.top) for name in ("Label", "Probability")]
    return list(network.classes or range(network.n_classes)) if wanted.proba else ["Label"]


def _csv_fields(labels: Any, shares: Any) -> list[Any]:
    """Return rows of labels or values, of probabilities, or of labels with their probabilities."""
    names: list[Any] = (labels if labels.ndim > 1 else labels[:, None]).tolist()
    if shares is None:
        return names
    texts: list[Any] = shares.astype(str).tolist()  # no more digits than the dtype needs
    if labels.ndim == 1:
        return texts
    return [list(chain(*zip(*row, strict=True))) for row in zip(names, texts, strict=True)]


def _write_output(content: bytes) -> None:
    """Write to standard output; escape characters by which a name could control a terminal."""
    text = content.decode(errors="surrogateescape")
    text = _CONTROLS.sub(lambda x: x[0].encode("unicode_escape").decode(), text)
    with standard_output() as output:
        output.buffer.write(text.encode(errors="surrogateescape"))
