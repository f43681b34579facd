"""How many images a second a network takes, over the batch size."""

import math
from collections.abc import Sequence
from textwrap import shorten, wrap
from typing import Any

from xpnet.pictures.saving import new_figure

__all__ = ["draw_throughput"]

_LINE, _BEST, _BEST_TEXT, _QUIET = "tab:blue", "tab:orange", "#b35900", "0.4"
_LONGEST_LINE = 64
_LONGEST_SUBTITLE = 92
_MILLION = 1_000_000
# Of so many powers of ten, the scale names no number in between.
_MANY_POWERS = 2.5
_SMALL_GAIN, _LARGE_GAIN = 3.0, 100.0


def draw_throughput(
    batch_sizes: Sequence[int],
    best: Sequence[float],
    median: Sequence[float],
    /,
    *,
    title: str = "",
    subtitle: str = "",
) -> Any:
    """Return a figure of images per second over the batch size, both on logarithmic scales.

    The fastest size has a ring and its numbers, and an arrow tells how many times as fast as the
    smallest size it is.

    Parameters
    ----------
    batch_sizes : sequence of int
        From the smallest to the largest.
    best, median : sequence of float
        Images per second at each size, in the best round and in the median one.
    title, subtitle : str, optional
        Above the picture, such as the network and the device.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no size, the numbers are not as many as the sizes, the sizes do not rise from
        1 or more, or a speed is not positive and finite.
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    _check(batch_sizes, best, median)
    figure = new_figure(7.2, 4.8, layout="constrained")
    axes = figure.subplots()
    axes.fill_between(batch_sizes, median, best, color=_LINE, alpha=0.2, linewidth=0)
    axes.plot(batch_sizes, best, "o-", color=_LINE, linewidth=2, markersize=6, label="best round")
    axes.plot(batch_sizes, median, "--", color=_LINE, linewidth=1, label="median round")
    _draw_scales(axes, batch_sizes, [*best, *median])
    _draw_best(axes, batch_sizes, best)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    _write_above(axes, title, subtitle)
    return figure


def _check(batch_sizes: Sequence[int], best: Sequence[float], median: Sequence[float]) -> None:
    if not batch_sizes or not len(batch_sizes) == len(best) == len(median):
        msg = (
            "`batch_sizes`, `best` and `median` must be equally many, and at least one; got"
            f" {len(batch_sizes)}, {len(best)} and {len(median)}"
        )
        raise ValueError(msg)
    if list(batch_sizes) != sorted({size for size in batch_sizes if size > 0}):
        msg = f"`batch_sizes` must rise from 1 or more; got {list(batch_sizes)}"
        raise ValueError(msg)
    for speed in (*best, *median):
        if not 0.0 < speed < math.inf:
            msg = f"`best` and `median` must be positive and finite; got {speed}"
            raise ValueError(msg)


def _write_above(axes: Any, title: str, subtitle: str) -> None:
    lines = wrap(title, _LONGEST_LINE, max_lines=2, placeholder=" ...")
    above = 22 if subtitle else 8
    style = {"loc": "left", "fontsize": 11, "fontweight": "bold", "parse_math": False}
    axes.set_title("\n".join(lines), pad=above, **style)
    axes.annotate(
        shorten(subtitle, _LONGEST_SUBTITLE, placeholder=" ..."),
        (0.0, 1.0),
        xycoords="axes fraction",
        xytext=(0, 7),
        textcoords="offset points",
        color=_QUIET,
        fontsize=9,
        parse_math=False,
    )


def _draw_scales(axes: Any, batch_sizes: Sequence[int], speeds: Sequence[float]) -> None:
    from matplotlib.ticker import LogLocator

    axes.set(xscale="log", yscale="log", xlabel="batch size", ylabel="images per second")
    left, right = math.log10(batch_sizes[0]), math.log10(batch_sizes[-1])
    width = max(right - left, 0.1)
    axes.set_xlim(10 ** (left - 0.06 * width), 10 ** (right + 0.06 * width))
    ticks = _ticks(batch_sizes, 0.08 * width)
    axes.set_xticks(ticks, [f"{size:,}" for size in ticks])
    # At least a power of ten, so that a small gain looks small; and room for what is written
    # above the fastest size.
    low, high = math.log10(min(speeds)), math.log10(max(speeds))
    height = max(high - low, 1.0)
    low = min(low, high - height)
    axes.set_ylim(10 ** (low - 0.1 * height), 10 ** (high + 0.22 * height))
    axes.yaxis.set_major_locator(
        LogLocator(subs=(1.0,) if height > _MANY_POWERS else (1.0, 2.0, 5.0))
    )
    axes.yaxis.set_major_formatter(lambda value, _: _in_words(value))
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)


def _ticks(batch_sizes: Sequence[int], distance: float) -> list[int]:
    """Return the sizes that can be written below the scale without touching each other."""
    ticks: list[int] = []
    for size in batch_sizes:
        if not ticks or math.log10(size / ticks[-1]) >= distance:
            ticks.append(size)
    return ticks


def _in_words(value: float) -> str:
    return f"{value / _MILLION:,g} million" if value >= _MILLION else f"{value:,g}"


def _draw_best(axes: Any, batch_sizes: Sequence[int], best: Sequence[float]) -> None:
    """Mark the fastest size, and how far it is above the smallest one."""
    smallest, speed = batch_sizes[0], max(best)
    size = batch_sizes[list(best).index(speed)]
    ring = {"markersize": 14, "markeredgewidth": 2, "fillstyle": "none", "color": _BEST}
    axes.plot([size], [speed], "o", zorder=5, label="_best", **ring)
    # At an edge of the picture, the text leans inwards.
    side, shift = "center", 0
    if size == batch_sizes[-1] != smallest:
        side, shift = "right", 8
    elif size == smallest != batch_sizes[-1]:
        side, shift = "left", -8
    axes.annotate(
        f"{speed:,.0f} images/s\nin batches of {size:,}",
        (size, speed),
        xytext=(shift, 13),
        textcoords="offset points",
        horizontalalignment=side,
        fontweight="bold",
    )
    if size != smallest:
        _draw_gain(axes, (smallest, best[0]), (size, speed), side=side)


def _draw_gain(
    axes: Any, first: tuple[int, float], fastest: tuple[int, float], *, side: str
) -> None:
    (smallest, low), (size, high) = first, fastest
    axes.hlines(low, smallest, size, colors=_QUIET, linestyles=":", linewidth=1)
    arrow = {"arrowstyle": "<->", "color": _BEST, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 8}
    axes.annotate("", (size, high), xytext=(size, low), arrowprops=arrow)
    gain = high / low
    digits = 1 if gain < _LARGE_GAIN else 0
    against = "one by one" if smallest == 1 else f"in batches of {smallest:,}"
    is_beside = gain > _SMALL_GAIN  # otherwise it would hide the curve: below
    axes.annotate(
        f"{gain:,.{digits}f} times as fast\nas {against}",
        (size, math.sqrt(low * high) if is_beside else low),
        xytext=(-9, 0) if is_beside else (0, -9),
        textcoords="offset points",
        horizontalalignment="right" if is_beside else side,
        verticalalignment="center" if is_beside else "top",
        color=_BEST_TEXT,
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 2},
    )
