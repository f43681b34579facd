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
    panels: Mapping[str, Mapping[str, Mapping[Any, float]]],
    **options: Any,
) -> None:
    """Draw panels of named series, which map names to the lengths of bars.

    Options: ``is_stacked``; ``end``, where bars are cut off; ``n_columns``; ``mark``, for a line.
    """
    from matplotlib.figure import Figure

    n_columns = options.get("n_columns", len(panels))
    n_rows = -(-len(panels) // n_columns)
    n_bars = max(len(each) for series in panels.values() for each in series.values())
    size = (2.5 + 3.5 * n_columns, 1.5 + max(2.0, 0.3 * n_bars) * n_rows)
    figure = Figure(figsize=size, layout="constrained")
    about = result["about"]
    figure.suptitle(f"{title}\n{about['hardware']}, {about['date']}")
    all_axes = figure.subplots(n_rows, n_columns, squeeze=False).flat
    for axes, (name, series) in zip(all_axes, panels.items(), strict=False):
        axes.set_title(name, fontsize=9)
        _draw_panel(axes, series, **options)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.3)
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=150)


def _draw_panel(axes: Any, series: Mapping[str, Mapping[Any, float]], **options: Any) -> None:
    ends: dict[str, float] = {}
    texts: dict[str, dict[str, None]] = {}
    for i, (label, each) in enumerate(series.items()):
        is_stacked, end = options.get("is_stacked", False), options.get("end", float("inf"))
        starts = [ends.get(x, 0.0) if is_stacked else 0.0 for x in each]
        widths = [min(width, end) for width in each.values()]
        # Bars are in front of those before.
        height = 0.6 if is_stacked else 0.8 - 0.4 * i
        axes.barh(list(each), widths, height, left=starts, label=label)
        for x, begin, width in zip(each, starts, widths, strict=True):
            ends[x] = max(ends.get(x, 0.0), begin + width)
            shown = f"{ends[x]:,.0f}" if is_stacked else f"{each[x]:.2f}"
            texts[x] = {shown: None} if is_stacked else {**texts.get(x, {}), shown: None}
    for x, shown_each in texts.items():
        axes.text(ends[x], x, f" {' / '.join(shown_each)}", va="center", fontsize=7)
    if "mark" in options:
        axes.axvline(options["mark"], color="black", linewidth=1)
    axes.margins(x=0.2, y=0.01)
