"""Scores of each class and the most confused classes, as JSON and as text."""

from collections.abc import Iterator, Mapping, Sequence
from math import inf, isnan
from typing import TYPE_CHECKING, Any

from xpnet.cli.report import as_printed
from xpnet.pictures.saving import shorten_name

if TYPE_CHECKING:
    from xpnet.inference.evaluate import Evaluation

# Of more classes, the table shows those of lowest recall.
_MOST_CLASSES, _MOST_LETTERS = 12, 30


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
    """Yield the facts of `class_facts` as a table, and a line for each pair."""
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
    pairs = [(f"{_short(x)} taken for {_short(y)}", n) for x, y, n in facts["confused"]]
    width = max((len(text) for text, _ in pairs), default=0)
    digits = max((len(f"{count:,}") for _, count in pairs), default=0)
    lines = [f"{text:{width}}  {count:{digits},} time{'s' * (count > 1)}" for text, count in pairs]
    yield from ["", *lines] if lines else []


def _short(name: str | int) -> str:
    """Return the name of a class as standard output can show it, shortened."""
    return shorten_name(as_printed(str(name)), _MOST_LETTERS)
