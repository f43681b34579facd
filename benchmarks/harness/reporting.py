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
    """Draw stacked bars: each series maps the names of bars to lengths, of which less is better."""
    from xpnet.pictures.saving import new_figure
    from xpnet.pictures.style import SERIES, picture_style

    ends: dict[str, float] = {}
    with picture_style():
        n_bars = max(map(len, series.values()))
        figure = new_figure(7.2, 1.6 + max(2.0, 0.36 * n_bars), layout="constrained")
        axes: Any = figure.subplots()
        for (label, each), color in zip(series.items(), ["0.55", *SERIES, "0.85"], strict=False):
            starts = [ends.get(x, 0.0) for x in each]
            axes.barh(list(each), each.values(), 0.65, left=starts, label=label, color=color)
            ends |= {x: start + each[x] for x, start in zip(each, starts, strict=True)}
        # Numbers beside the names, where they hide nothing.
        axes.set_yticks(range(len(ends)), [f"{x}   {end:,.0f}" for x, end in ends.items()])
        axes.tick_params("y", length=0, labelsize=10)
        axes.set_xlabel(f"{unit} (lower is better)")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.margins(y=0.01)
        axes.grid(axis="x")
        about = result["about"]
        figure.suptitle(title, x=0.01, ha="left")
        axes.set_title(f"{about['hardware']}, {about['date']}", fontsize=9, fontweight="normal")
        figure.legend(loc="outside lower left", ncols=4)
        figure.savefig(path, dpi=150)
