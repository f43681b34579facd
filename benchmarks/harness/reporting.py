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
    panels: Mapping[str, Mapping[str, Mapping[str, float]]],
    limit: float | None = None,
) -> None:
    """Draw panels of named series, which map names to the lengths of bars.

    Series are stacked; with a limit, they lie on each other, are cut off at it, and have a line at
    1.
    """
    from matplotlib.figure import Figure

    n_columns = min(len(panels), 3)
    n_rows = -(-len(panels) // n_columns)
    n_bars = max(len(each) for series in panels.values() for each in series.values())
    size = (2.5 + 3.5 * n_columns, 1.5 + max(2.0, 0.3 * n_bars) * n_rows)
    figure = Figure(figsize=size, layout="constrained")
    about = result["about"]
    figure.suptitle(f"{title}\n{about['hardware']}, {about['date']}")
    all_axes = figure.subplots(n_rows, n_columns, squeeze=False).flat
    for axes, (name, series) in zip(all_axes, panels.items(), strict=False):
        axes.set_title(name, fontsize=9)
        _draw_panel(axes, series, limit)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.3)
        axes.margins(x=0.2, y=0.01)
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=150)


def _draw_panel(axes: Any, series: Mapping[str, Mapping[str, float]], limit: float | None) -> None:
    ends: dict[str, float] = {}
    texts: dict[str, list[str]] = {}
    for i, (label, each) in enumerate(series.items()):
        if limit is None:
            starts = [ends.get(x, 0.0) for x in each]
            axes.barh(list(each), each.values(), 0.6, left=starts, label=label)
            ends |= {x: start + each[x] for x, start in zip(each, starts, strict=True)}
            texts |= {x: [f"{ends[x]:,.0f}"] for x in each}
        else:
            widths = [min(width, limit) for width in each.values()]
            axes.barh(list(each), widths, 0.8 - 0.4 * i, label=label)
            ends |= {x: max(ends.get(x, 0.0), y) for x, y in zip(each, widths, strict=True)}
            texts |= {x: [*texts.get(x, []), f"{y:.2f}"] for x, y in each.items()}
    for x, end in ends.items():
        text = " / ".join(dict.fromkeys(texts[x]))
        axes.text(end, x, f" {text}", va="center", fontsize=7)
    if limit is not None:
        axes.axvline(1.0, color="black", linewidth=1)
