"""Plot of throughput over the batch size."""

import math
from collections.abc import Sequence
from textwrap import shorten, wrap
from typing import Any

from xpnet.pictures.saving import new_figure
from xpnet.pictures.style import GRAY, MAIN, SECOND, picture_style

__all__ = ["draw_throughput"]


@picture_style()
def draw_throughput(
    batch_sizes: Sequence[int],
    best: Sequence[float],
    median: Sequence[float],
    /,
    *,
    title: str = "",
    subtitle: str = "",
) -> Any:
    """Return a figure of images per second over the batch size, on logarithmic scales.

    `best` and `median` are images per second for each batch size, in the best and in the median
    round. Title and subtitle name the network and the device, for example.
    """
    figure = new_figure(7.2, 4.8, layout="constrained")
    axes = figure.subplots()
    axes.fill_between(batch_sizes, median, best, color=MAIN, alpha=0.2, linewidth=0)
    axes.plot(batch_sizes, best, "o-", color=MAIN, linewidth=2, markersize=6, label="best round")
    axes.plot(batch_sizes, median, "--", color=MAIN, linewidth=1, label="median round")
    _draw_scales(axes, batch_sizes, [*best, *median])
    _mark_fastest(axes, batch_sizes, best)
    figure.legend(loc="outside lower left")
    lines = wrap(title, 64, max_lines=2, placeholder=" ...")
    axes.set_title("\n".join(lines), pad=22 if subtitle else 8, parse_math=False)
    axes.annotate(
        shorten(subtitle, 92, placeholder=" ..."),
        (0.0, 1.0),
        xycoords="axes fraction",
        xytext=(0, 7),
        textcoords="offset points",
        color=GRAY,
        fontsize=9,
        parse_math=False,
    )
    return figure


def _draw_scales(axes: Any, batch_sizes: Sequence[int], speeds: Sequence[float]) -> None:
    from matplotlib.ticker import LogLocator

    axes.set(xscale="log", yscale="log", xlabel="batch size")
    axes.set_ylabel("images per second (higher is better)")
    left, right = math.log10(batch_sizes[0]), math.log10(batch_sizes[-1])
    width = max(right - left, 0.1)
    axes.set_xlim(10 ** (left - 0.06 * width), 10 ** (right + 0.06 * width))
    ticks: list[int] = []  # batch sizes whose labels do not overlap
    for size in batch_sizes:
        if not ticks or math.log10(size / ticks[-1]) >= 0.08 * width:
            ticks.append(size)
    axes.set_xticks(ticks, [f"{size:,}" for size in ticks])
    # At least one decade, so that a small gain looks small.
    low, high = math.log10(min(speeds)), math.log10(max(speeds))
    height = max(high - low, 1.0)
    low = min(low, high - height)
    axes.set_ylim(10 ** (low - 0.1 * height), 10 ** (high + 0.1 * height))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if height > 2.5 else (1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(
        lambda speed, _: f"{speed / 1e6:,g} million" if speed >= 1e6 else f"{speed:,g}"
    )
    axes.minorticks_off()
    axes.grid()


def _mark_fastest(axes: Any, batch_sizes: Sequence[int], best: Sequence[float]) -> None:
    smallest, fastest = batch_sizes[0], max(best)
    size = batch_sizes[list(best).index(fastest)]
    label = f"fastest: {fastest:,.0f} images/s in batches of {size:,}"
    if size != smallest:
        gain = fastest / best[0]
        baseline = "one by one" if smallest == 1 else f"in batches of {smallest:,}"
        label += f", {gain:,.{1 if gain < 100.0 else 0}f} times as fast as {baseline}"
        axes.hlines(best[0], smallest, size, colors=GRAY, linestyles=":", linewidth=1)
        axes.vlines(size, best[0], fastest, colors=GRAY, linestyles=":", linewidth=1)
    ring = {"markersize": 14, "markeredgewidth": 2, "fillstyle": "none", "color": SECOND}
    axes.plot([size], [fastest], "o", zorder=5, label=label, **ring)
