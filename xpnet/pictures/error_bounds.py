"""Plot of differences between computations, relative to their error bounds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from xpnet.pictures.saving import new_figure, shorten_name
from xpnet.pictures.style import SERIES, WRONG, picture_style

__all__ = ["draw_agreement"]

_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
_MAX_NAME_LENGTH = 32
# Width of the points of one stage, where the distance of two stages is 1.
_SPREAD = 0.5

# Rows above and below the logarithmic scale.
_NOT_FINITE, _EQUAL, _NO_BOUND = "NaN or infinite", "equal", "no bound"


@picture_style()
def draw_agreement(
    stages: Sequence[str], shares: Mapping[str, Sequence[float | None]], /, *, title: str = ""
) -> Any:
    """Return a figure of the largest difference of each stage, as a fraction of its bound.

    Stages are named in their order, such as "layer 1 sigmoid". `shares` maps each computation, such
    as "gpu:0 (cupy)", to the fraction of each stage: 0 if the results are equal, infinite or NaN if
    a result is, None if nothing has a bound. A ring marks the first one above 1, the bound.
    """
    names = [shorten_name(name, _MAX_NAME_LENGTH) for name in stages]
    # Inches: enough for every point, up to a page that can be unfolded.
    width = min(max(7.2, 1.8 + max(0.4, 0.11 * len(shares)) * len(names)), 40.0)
    figure = new_figure(width, 5.2, layout="constrained")
    axes = figure.subplots()
    rows = _draw_scale(axes, [share for column in shares.values() for share in column])
    for i, (name, column) in enumerate(shares.items()):
        style = {
            "color": SERIES[i % len(SERIES)],
            "marker": _MARKERS[i % len(_MARKERS)],
            "markersize": 6.5 if len(shares) <= len(_MARKERS) else 5,
        }
        shift = _SPREAD * ((i + 0.5) / len(shares) - 0.5)
        places = [stage + shift for stage in range(len(names))]
        label = shorten_name(name, _MAX_NAME_LENGTH)
        _draw_computation(axes, places, column, rows, label=label, style=style)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_xticks(range(len(names)), names, parse_math=False)
    letter = 5.6 / 72  # inches, on average
    if max(map(len, names)) * letter >= 0.9 * (width - 1.4) / len(names):
        axes.tick_params("x", rotation=40)
        for label in axes.get_xticklabels():
            label.set(horizontalalignment="right", rotation_mode="anchor")
    axes.set_title(title, parse_math=False)
    legend = figure.legend(loc="outside lower left", ncols=min(len(shares), 3))
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _row_of(share: float | None) -> str:
    """Return the extra row of a fraction, or an empty string if it is on the scale."""
    if share is None:
        return _NO_BOUND
    if not math.isfinite(share):
        return _NOT_FINITE
    return "" if share > 0.0 else _EQUAL


def _is_on_scale(share: float | None) -> TypeGuard[float]:
    return not _row_of(share)


def _draw_scale(axes: Any, shares: Sequence[float | None]) -> dict[str, float]:
    """Draw the scale, the bound and the extra rows; return the rows' heights."""
    exponents = [math.log10(share) for share in shares if _is_on_scale(share)]
    low = math.floor(min([-1.0, *exponents]) - 0.05)
    high = max([0.1, *exponents])
    high += max(0.5, 0.06 * (high - low))
    step = math.ceil((high - low) / 9)  # at most 9 ticks
    ticks = {float(k): _tick(k) for k in range(-step * (-low // step), math.floor(high) + 1, step)}

    gap = (high - low) / 11
    rows = {}
    bottom, top = low - 0.3 * gap, high
    kinds = {_row_of(share) for share in shares}
    if _NOT_FINITE in kinds:
        rows[_NOT_FINITE] = high + 0.7 * gap
        top = high + 1.4 * gap
        axes.axhline(high, color="0.8", linewidth=0.8, zorder=1)
    for kind in (_EQUAL, _NO_BOUND):
        if kind in kinds:
            rows[kind] = bottom - 0.7 * gap
            axes.axhline(bottom, color="0.8", linewidth=0.8, zorder=1)
            bottom -= 1.4 * gap
    ticks |= {height: kind for kind, height in rows.items()}
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_ylim(bottom, top)
    axes.set_ylabel("largest difference / bound (lower is better)")
    axes.axhspan(0.0, top, color=WRONG, alpha=0.07, linewidth=0, zorder=0)
    axes.axhline(0.0, color=WRONG, linewidth=1.5, zorder=2)
    beside = axes.get_yaxis_transform()
    axes.text(1.01, 0.0, "bound", color=WRONG, transform=beside, verticalalignment="center")
    axes.grid()
    return rows


def _tick(exponent: int) -> str:
    if abs(exponent) > 3:
        return f"$10^{{{exponent}}}$"
    return f"{10**exponent:,}" if exponent >= 0 else f"{10.0**exponent:g}"


def _draw_computation(
    axes: Any,
    places: Sequence[float],
    shares: Sequence[float | None],
    rows: Mapping[str, float],
    *,
    label: str,
    style: Mapping[str, Any],
) -> None:
    heights = [math.log10(x) if _is_on_scale(x) else math.nan for x in shares]
    exceeded = [i for i, x in enumerate(shares) if x is not None and not x <= 1.0]
    first, share = (exceeded[0], shares[exceeded[0]]) if exceeded else (None, None)
    if _is_on_scale(share):
        label += f" ({share:,.3g} times the bound)"
    axes.plot(places, heights, label=label, linewidth=1.4, zorder=4, **style)
    for place, share in zip(places, shares, strict=True):
        if not _is_on_scale(share):
            fill = "none" if share is None else "full"
            axes.plot([place], [rows[_row_of(share)]], zorder=4, fillstyle=fill, **style)
    if first is not None:
        height = heights[first] if _is_on_scale(share) else rows[_NOT_FINITE]
        ring = {"marker": "o", "markersize": 13, "fillstyle": "none", "color": WRONG, "zorder": 5}
        axes.plot([places[first]], [height], **ring)
