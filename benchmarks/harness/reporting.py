"""Tables in Markdown files, and pictures."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

SUFFIXES = (".png", ".svg", ".pdf")


def replace_table(path: str | os.PathLike[str], script: str, lines: Sequence[str]) -> None:
    """Replace the lines between the marks for a script's table in a file, which must have them."""
    start, end = f"<!-- table of benchmarks/{script} -->", "<!-- end of the table -->"
    before, mark, rest = Path(path).read_text(encoding="utf-8").partition(start)
    if not mark:
        msg = f"{path} must have a line {start}"
        raise ValueError(msg)
    table = "\n".join([start, "", *lines, "", end])
    Path(path).write_text(before + table + rest.partition(end)[2], encoding="utf-8")


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1
) -> list[str]:
    """Return the lines of a table: `left` columns aligned left, the others right."""
    marks = ["---" if i < left else "---:" for i in range(len(header))]
    return [f"| {' | '.join(cells)} |" for cells in (header, marks, *rows)]


def draw(
    path: str | os.PathLike[str],
    result: Mapping[str, Any],
    title: str,
    unit: str,
    series: Mapping[str, Mapping[str, float]],
) -> None:
    """Draw stacked bars: each series maps the names of bars to lengths."""
    from matplotlib.figure import Figure

    n_bars = max(map(len, series.values()))
    figure = Figure(figsize=(6.0, 1.5 + max(2.0, 0.3 * n_bars)), layout="constrained")
    about = result["about"]
    figure.suptitle(f"{title}\n{about['hardware']}, {about['date']}")
    axes: Any = figure.subplots()
    axes.set_xlabel(unit)
    ends: dict[str, float] = {}
    for label, each in series.items():
        starts = [ends.get(x, 0.0) for x in each]
        axes.barh(list(each), each.values(), 0.6, left=starts, label=label)
        ends |= {x: start + each[x] for x, start in zip(each, starts, strict=True)}
    for x, end in ends.items():
        axes.text(end, x, f" {end:,.0f}", va="center", fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    axes.margins(x=0.2, y=0.01)
    figure.legend(loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=150)
