"""``xpnet evaluate``: accuracy of a network on labelled images."""

from collections.abc import Iterator, Mapping, Sequence
from math import inf, isnan
from typing import TYPE_CHECKING, Any

from xpnet.cli.data import in_file, named, open_rows
from xpnet.cli.options import BATCH_SIZE, DATA, JSON, MODEL, picture
from xpnet.cli.report import Outcome
from xpnet.files.errors import printable

if TYPE_CHECKING:
    from xpnet.inference.evaluate import Evaluation

HELP = (
    "Classify images and compare with their labels. The images that the network was trained on are"
    " recognised by a hash of the first 1,000."
)
EXAMPLES = ("evaluate", "evaluate train.csv --model model.safetensors --device gpu")
_PLOT = picture("--plot FILE", "draw the confusion matrix")
OPTIONS = [*DATA, *MODEL, BATCH_SIZE, *_PLOT, JSON]

# Of more classes, the table shows those of lowest recall.
_MOST_CLASSES, _MOST_LETTERS = 12, 30


def run(
    data: str = "sample", *, plot: str | None = None, force: bool = False, **given: Any
) -> Outcome:
    """Run the command."""
    import numpy as np

    from xpnet.files.hashes import RowsFingerprint
    from xpnet.inference.evaluate import count_pairs, evaluation_of

    fingerprint = RowsFingerprint()
    with open_rows(data, "evaluating", given, classifies=True) as found:
        network = found.network
        counts: Any = np.zeros(network.n_classes**2, np.int64)
        for images, labels, ids in found.predicted():
            fingerprint.update(images)
            with in_file(given.get("labels", data)):
                counts += count_pairs(network, ids, named(data, labels, network))
    result = evaluation_of(network, counts)
    facts = {
        "accuracy": result.accuracy,
        "correct": result.correct,
        "total": result.total,
        # Other data may contain some of them.
        "is_training_data": _is_training_data(network.metadata, data, fingerprint.text()) or None,
        **found.facts(),
        **class_facts(result, network.classes or range(network.n_classes)),
    }
    if plot is not None:
        from xpnet.pictures.figures import save_figure
        from xpnet.pictures.results import draw_confusion

        save_figure(draw_confusion(result.confusion, facts["classes"]), plot, force=force)
    known = "these are training images of this network: its accuracy on others is lower"
    accuracy = f"{result.accuracy:.4f} ({result.correct:,} of {result.total:,})"
    table = {
        "accuracy": accuracy.replace("nan", "n/a"),
        "note": known if facts["is_training_data"] else None,
        **found.table(facts),
        "wrote": plot,
    }
    return Outcome(facts, table, class_lines(facts) if result.total else ())


def _is_training_data(metadata: Mapping[str, str], data: str, fingerprint: str) -> bool:
    """Return whether a network was trained on these images; the sample is a part of MNIST's."""
    is_part = data == "sample" and metadata.get("data_set") == "mnist"
    return is_part or metadata.get("trained_on") == fingerprint


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
    n_correct = sum(row[i] for i, row in enumerate(facts["confusion"]))
    n_shown = sum(n for *_, n in facts["confused"])
    if n_more := sum(facts["count"]) - n_correct - n_shown:
        yield f"... and {n_more:,} more (--json prints all)"


def _short(name: str | int) -> str:
    """Return the name of a class without control characters, shortened."""
    text = printable(str(name))
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."
