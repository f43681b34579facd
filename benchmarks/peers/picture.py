"""The picture of a match: how many times as long as xpnet everybody takes, cell by cell."""

from collections.abc import Mapping
from typing import Any

from peers.printing import OURS, ratio
from peers.runtimes import PEERS
from xpnet.pictures.saving import new_figure

__all__ = ["draw"]

SLOWER, FASTER, PALE, INK = "#7f9fc4", "#e4572e", "#d9e2ec", "#22303c"
# Beyond this many times as long, a bar is cut off, and its length told.
END = 4.0


def draw(result: Mapping[str, Any]) -> Any:
    """Return a figure of the results."""
    cells = result["cells"]
    columns = [(cell["network"], cell["threads"]) for cell in cells]
    groups = list(dict.fromkeys(columns))
    n_rows = max(columns.count(group) for group in groups)
    names = [name for name in PEERS if name != OURS and any(name in c["seconds"] for c in cells)]
    figure = new_figure(
        1.6 + 3.1 * n_rows, 1.4 + (0.6 + 0.21 * len(names)) * len(groups), layout="constrained"
    )
    axes = figure.subplots(len(groups), n_rows, squeeze=False, sharex=True, sharey=True)
    for i, group in enumerate(groups):
        here = [cell for cell in cells if (cell["network"], cell["threads"]) == group]
        for j in range(n_rows):
            if j < len(here):
                _draw_cell(axes[i][j], here[j], names)
            else:
                axes[i][j].set_visible(False)
    facts = result["about"]
    figure.suptitle(
        "Time from raw bytes to labels, in multiples of xpnet's\n"
        f"{facts['hardware']}, {facts['date']}; best of {result['rounds']} rounds",
        color=INK,
        fontsize=12,
    )
    figure.supxlabel(
        "pale: called plainly; full: in the chunks that are best for it (red: faster than xpnet)",
        color=INK,
        fontsize=9,
    )
    return figure


def _draw_cell(axes: Any, cell: Mapping[str, Any], names: list[str]) -> None:
    for place, name in enumerate(reversed(names)):
        if name not in cell["seconds"]:
            axes.text(0.05, place, "-", va="center", fontsize=7, color=INK)
            continue
        plain, best = ratio(cell, name, "plain"), ratio(cell, name, "best way")
        axes.barh(place, min(plain, END), color=PALE)
        axes.barh(place, min(best, END), color=SLOWER if round(best, 2) >= 1.0 else FASTER)
        shown = f"{best:.2f}" if best == plain else f"{best:.2f}, plainly {plain:.2f}"
        axes.text(END, place, shown, va="center", ha="right", fontsize=7, color=INK)
    axes.axvline(1.0, color=INK, linewidth=1)
    axes.set_xlim(0, END)
    axes.set_yticks(range(len(names)), list(reversed(names)), fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    rows = "1 row" if cell["rows"] == 1 else f"{cell['rows']:,} rows"
    threads = "1 thread" if cell["threads"] == 1 else f"{cell['threads']} threads"
    axes.set_title(f"{cell['network'].replace(':', ' ')}, {rows}, {threads}", fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
