"""How near computations come to the bound of what rounding explains, stage by stage."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from xpnet.pictures.saving import new_figure

__all__ = ["draw_agreement"]

_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
_COLORS = ("tab:blue", "tab:orange", "tab:green", "tab:purple", "tab:brown", "tab:cyan")
_OUTSIDE = "tab:red"
_LONGEST_NAME = 32
_MOST_TICKS = 9
_PLAIN_EXPONENT = 3
_POINTS_PER_INCH = 72
# How much of the place of a stage its points take, where there are several computations.
_SPREAD = 0.5

# Rows of their own, for what has no place on the scale.
_NOT_FINITE, _EQUAL, _NO_BOUND = "NaN or infinite", "equal", "no bound"


def draw_agreement(
    stages: Sequence[str], shares: Mapping[str, Sequence[float | None]], /, *, title: str = ""
) -> Any:
    """Return a figure of each stage's largest difference as a share of its bound.

    A share of 1 is the bound, drawn as a line: above it, rounding does not explain the
    difference, and where a computation first gets there its point has a ring. The scale is
    logarithmic; what has no place on it has rows of its own.

    Parameters
    ----------
    stages : sequence of str
        Names of the stages in their order, such as "input" and "layer 1 sigmoid".
    shares : mapping of str to sequence of float or None
        For each computation by its name, such as "gpu:0 (cupy)", one number for each stage: the
        largest difference divided by its bound. 0 where all is equal, infinite or NaN where a
        result is, None where nothing has a bound.
    title : str, optional
        Above the picture.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no stage or no computation, their numbers differ, or a share is negative.
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    _check(stages, shares)
    names = [_short(name) for name in stages]
    figure = new_figure(_width(len(names), len(shares)), 5.2, layout="constrained")
    axes = figure.subplots()
    rows = _draw_scale(axes, [share for column in shares.values() for share in column])
    for place, (name, column) in enumerate(shares.items()):
        shift = _SPREAD * ((place + 0.5) / len(shares) - 0.5)
        style = {
            "color": _COLORS[place % len(_COLORS)],
            "marker": _MARKERS[place % len(_MARKERS)],
            "markersize": 6.5 if len(shares) <= len(_MARKERS) else 5,
        }
        _draw_computation(axes, _short(name), column, rows, shift=shift, style=style)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_xticks(range(len(names)), names, parse_math=False)
    if not _fits(names, figure.get_figwidth()):
        axes.tick_params("x", rotation=40)
        for label in axes.get_xticklabels():
            label.set(horizontalalignment="right", rotation_mode="anchor")
    if title:
        axes.set_title(title, loc="left", parse_math=False)
    legend = figure.legend(loc="outside lower center", ncols=min(len(shares), 4), frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _check(stages: Sequence[str], shares: Mapping[str, Sequence[float | None]]) -> None:
    if not stages or not shares:
        msg = f"`stages` and `shares` must not be empty; got {len(stages)} and {len(shares)}"
        raise ValueError(msg)
    for name, column in shares.items():
        if len(column) != len(stages):
            msg = f"`shares` must have {len(stages)} numbers each; got {len(column)} of {name!r}"
            raise ValueError(msg)
        for share in column:
            if share is not None and share < 0.0:
                msg = f"`shares` must not be negative; got {share} of {name!r}"
                raise ValueError(msg)


def _short(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."


def _width(n_stages: int, n_computations: int) -> float:
    """Return inches: enough for every point, and no more than a page that can be unfolded."""
    each = max(0.4, 0.11 * n_computations)
    return min(max(7.2, 1.8 + each * n_stages), 40.0)


def _fits(names: Sequence[str], width: float) -> bool:
    """Tell whether the names can stand side by side, by the width of an average letter."""
    letter = 5.6 / _POINTS_PER_INCH
    return max(map(len, names)) * letter < 0.9 * (width - 1.4) / len(names)


def _draw_scale(axes: Any, shares: Sequence[float | None]) -> dict[str, float]:
    """Draw the scale, the bound and the special rows; return the heights of these."""
    exponents = [math.log10(share) for share in shares if _is_on_scale(share)]
    low = math.floor(min([-1.0, *exponents]) - 0.05)
    high = max([0.1, *exponents])
    high += max(0.5, 0.06 * (high - low))
    step = math.ceil((high - low) / _MOST_TICKS)
    ticks = {float(k): _tick(k) for k in range(-step * (-low // step), math.floor(high) + 1, step)}

    gap = (high - low) / 11
    rows = {}
    bottom, top = low - 0.3 * gap, high
    kinds = {_kind(share) for share in shares}
    if _NOT_FINITE in kinds:
        rows[_NOT_FINITE] = high + 0.7 * gap
        top = high + 1.4 * gap
    for kind in (_EQUAL, _NO_BOUND):
        if kind in kinds:
            rows[kind] = bottom - 0.7 * gap
            axes.axhline(bottom, color="0.8", linewidth=0.8, zorder=1)
            bottom -= 1.4 * gap
    if _NOT_FINITE in rows:
        axes.axhline(high, color="0.8", linewidth=0.8, zorder=1)
    ticks |= {height: kind for kind, height in rows.items()}
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_ylim(bottom, top)
    axes.set_ylabel("largest difference / bound")
    axes.axhspan(0.0, top, color=_OUTSIDE, alpha=0.07, linewidth=0, zorder=0)
    axes.axhline(0.0, color=_OUTSIDE, linewidth=1.5, zorder=2)
    beside = axes.get_yaxis_transform()
    axes.text(1.01, 0.0, "bound", color=_OUTSIDE, transform=beside, verticalalignment="center")
    axes.grid(axis="both", alpha=0.25)
    axes.set_axisbelow(True)
    return rows


def _kind(share: float | None) -> str:
    """Return the special row of a share, or nothing if it has a place on the scale."""
    if share is None:
        return _NO_BOUND
    if not math.isfinite(share):
        return _NOT_FINITE
    return "" if share > 0.0 else _EQUAL


def _is_on_scale(share: float | None) -> TypeGuard[float]:
    return not _kind(share)


def _tick(exponent: int) -> str:
    if abs(exponent) > _PLAIN_EXPONENT:
        return f"$10^{{{exponent}}}$"
    return f"{10**exponent:,}" if exponent >= 0 else f"{10.0**exponent:g}"


def _draw_computation(
    axes: Any,
    name: str,
    shares: Sequence[float | None],
    rows: Mapping[str, float],
    *,
    shift: float,
    style: dict[str, Any],
) -> None:
    places = [i + shift for i in range(len(shares))]
    heights = [math.log10(x) if _is_on_scale(x) else math.nan for x in shares]
    axes.plot(places, heights, label=name, linewidth=1.4, zorder=4, **style)
    for place, share in zip(places, shares, strict=True):
        if not _is_on_scale(share):
            fill = "none" if share is None else "full"
            axes.plot([place], [rows[_kind(share)]], zorder=4, fillstyle=fill, **style)

    outside = [i for i, x in enumerate(shares) if x is not None and not x <= 1.0]
    if not outside:
        return
    first = outside[0]
    share = shares[first]
    height = heights[first] if _is_on_scale(share) else rows[_NOT_FINITE]
    ring = {"marker": "o", "markersize": 13, "fillstyle": "none", "color": _OUTSIDE, "zorder": 5}
    axes.plot([places[first]], [height], **ring)
    if _is_on_scale(share):
        axes.annotate(
            f"{share:,.3g} x",
            (places[first], height),
            xytext=(-9, 3),
            textcoords="offset points",
            horizontalalignment="right",
            color=style["color"],
            fontsize=9,
            zorder=6,
        )
