"""``xpnet evaluate``: accuracy and speed of a network on labelled images."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from math import inf, isnan
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    add_output_arguments,
    check_output,
    from_args,
)
from xpnet.cli.data_arguments import Data, add_data_arguments, as_data_error, computation_errors
from xpnet.cli.device_choice import DeviceOptions, add_device_arguments
from xpnet.cli.models import Model, ModelOptions, add_model_arguments, open_model
from xpnet.cli.predicted import predicted_ids
from xpnet.cli.report import Outcome, Stopwatch, added_text, as_printed, work_facts, work_rows
from xpnet.cli.scaled_rows import data_text, stream_rows
from xpnet.cli.streams import print_note
from xpnet.files.errors import DataError

if TYPE_CHECKING:
    from xpnet.files.hashes import RowsFingerprint
    from xpnet.inference.evaluate import Evaluation
    from xpnet.networks.network import Network

# Of more classes, the table shows those of lowest recall.
_MOST_CLASSES, _MOST_LETTERS = 12, 30


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "evaluate",
        help="classify images and compare with their labels",
        description="Classify images and compare with their labels, in all and class by class."
        " The images that the network was trained on are recognised by a hash of the first 1,000.",
        examples=("evaluate", "evaluate train.csv --model model.safetensors --device gpu"),
    )
    add_data_arguments(parser)
    add_device_arguments(parser, reproducible=True, hashes=True)
    add_model_arguments(parser)
    text = "draw the confusion matrix: .png, .svg or .pdf"
    add_output_arguments(parser, text, "--plot FILE")
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.files.hashes import RowsFingerprint

    data, options = Data.from_args(args, args.path), from_args(DeviceOptions, args)
    plot, force = args.plot, args.force
    if plot is not None:
        check_output(plot, force=force, kind="picture")
    model, device = open_model(ModelOptions.from_args(args), options, stopwatch)
    if model.network.output == "values":
        msg = f"{model.name} is a regression, which has no accuracy; use predict"
        raise UsageError(msg)
    fingerprint = RowsFingerprint()
    network, result, hash_text, read = _compare(data, model, options, stopwatch, fingerprint)
    total = result.total
    if not total:
        print_note(f"{data.path} holds no images: no accuracy")
    is_training_data = network.metadata.get("trained_on") == fingerprint.text()
    facts = {
        "accuracy": result.accuracy,
        "correct": result.correct,
        "total": total,
        "hash": hash_text,
        "data": data.path,
        **read,
        "is_training_data": is_training_data or None,  # other data may contain some of them
        "model": model.name,
        "inputs": added_text(model, network),
        **work_facts(network, device, options, stopwatch, n_images=total),
        **class_facts(result, network.classes or range(network.n_classes)),
    }
    if plot is not None:
        from xpnet.pictures.figures import save_figure
        from xpnet.pictures.results import draw_confusion

        save_figure(draw_confusion(result.confusion, facts["classes"]), plot, force=force)
    accuracy = f"{result.accuracy:.4f} ({result.correct:,} of {total:,})".replace("nan", "n/a")
    known = "these are the training images of this network: its accuracy on others is lower"
    rows = {
        "accuracy": accuracy,
        "data": data_text(read, total),
        "note": known if is_training_data else None,
        "hash": hash_text,
        "inputs": facts["inputs"],
        **work_rows(facts),
        "wrote": plot,
    }
    return Outcome(facts, rows, class_lines(facts) if total else ())


def _compare(
    data: Data,
    model: Model,
    options: DeviceOptions,
    stopwatch: Stopwatch,
    fingerprint: "RowsFingerprint",
) -> "tuple[Network, Evaluation, str | None, dict[str, Any]]":
    """Return the network for the images of DATA, the result, the hash of --hash, what was read."""
    import numpy as np

    from xpnet.files.hashes import ResultHash
    from xpnet.inference.evaluate import count_pairs, evaluation_of

    size = options.used_batch_size(model.network)
    digest = ResultHash() if options.hash else None
    counts: Any = np.zeros(model.network.n_classes**2, np.int64)
    opened = stream_rows(data, model, options.batching(), "evaluating", stopwatch)
    with computation_errors(data.path, size), opened as (network, blocks, read):
        loaded = stopwatch.measure_items(blocks, "loading")
        with stopwatch.measure("computing"):
            for rows, labels, ids in predicted_ids(network, loaded, options, digest):
                fingerprint.update(rows)
                names = expected(data, network, labels)
                counts += as_data_error(data.labels_path, count_pairs, network, ids, names)
    return network, evaluation_of(network, counts), digest.text() if digest else None, read


def expected(data: Data, network: "Network", labels: Any) -> Any:
    """Return the labels of DATA; raise DataError if there are none."""
    if labels is None:
        what = "no labels to compare with; give --labels FILE, or use predict"
        raise DataError(what, file=data.path)
    return data.named(labels, network)


def class_facts(result: "Evaluation", names: Sequence[str | int]) -> dict[str, Any]:
    """Return the scores of all classes, in the order of their ids, and the confusions."""
    return {
        "classes": list(names),
        "precision": result.precision.tolist(),
        "recall": result.recall.tolist(),
        "count": result.confusion.sum(axis=1).tolist(),
        "confused": [(names[i], names[j], count) for i, j, count in result.most_confused()],
        "confusion": result.confusion.tolist(),
    }


def class_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the facts of `class_facts` as two tables: of classes, and of mistakes."""
    columns = (facts[name] for name in ("recall", "precision", "count", "classes"))
    scores = list(zip(*columns, strict=True))
    if len(scores) > _MOST_CLASSES:
        scores.sort(key=lambda row: [inf if isnan(x) else x for x in row[:2]])
    shown = [(*row, _short(name)) for *row, name in scores[:_MOST_CLASSES]]
    width, digits = max(5, *(len(row[3]) for row in shown)), len(f"{max(facts['count']):,}")
    yield from ("", f"{'class':{width}}  precision  recall  {'count':>{digits}}")
    for recall, precision, count, name in shown:
        numbers = f"{precision:9.4f}  {recall:6.4f}  {count:>{max(digits, 5)},}"
        yield f"{name:{width}}  {numbers.replace('   nan', '   n/a')}"
    if n_left := len(scores) - len(shown):
        yield f"... and {n_left:,} more, of no lower recall (--json prints all)"
    pairs = [(_short(x), _short(y), f"{n:,}") for x, y, n in facts["confused"]]
    if pairs:
        pairs.insert(0, ("label", "predicted", "mistakes"))
        first, second = (max(len(pair[i]) for pair in pairs) for i in (0, 1))
        yield ""
        yield from (f"{x:{first}}  {y:{second}}  {n:>8}" for x, y, n in pairs)
    others = [
        n for i, row in enumerate(facts["confusion"]) for j, n in enumerate(row) if n and i != j
    ]
    if n_more := len(others) - len(facts["confused"]):
        rest = sum(sorted(others)[:n_more])
        places = f"{n_more:,} other pair{'s' * (n_more > 1)}"
        yield f"... and {rest:,} more in {places} (--json prints all)"


def _short(name: str | int) -> str:
    """Return the name of a class as standard output can show it, shortened."""
    text = as_printed(str(name))
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."
