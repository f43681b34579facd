"""The picture of what is caught."""

from typing import Any

from power.study import LARGEST_EXPONENT
from xpnet.pictures.saving import new_figure

__all__ = ["draw"]

# How each kind of verdict is drawn, and what the legend calls it.
_VERDICTS: dict[str, tuple[dict[str, Any], str]] = {
    "caught": ({"linestyle": "-"}, "judged from the inputs on, and each layer alone"),
    "from the inputs on": ({"linestyle": (0, (3, 2))}, "judged from the inputs on only"),
}
_COLOURS = ("C0", "C1", "C2")


def draw(result: dict[str, Any]) -> Any:
    """Return a figure: the share of caught faults by effect, and by size."""
    figure = new_figure(9.6, 4.6, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_by_effect(left, result["by effect"])
    _draw_by_size(right, result["by size"])
    for axes in (left, right):
        axes.set_ylim(-0.02, 1.02)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylabel("share of faults that are caught")
    left.yaxis.set_major_formatter("{x:.0%}")
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False
    )
    return figure


def _draw_by_effect(axes: Any, bins: list[dict[str, float]]) -> None:
    middles = [(each["from"] * each["to"]) ** 0.5 for each in bins]
    for verdict, (style, label) in _VERDICTS.items():
        axes.plot(middles, [each[verdict] for each in bins], color="black", label=label, **style)
    axes.set_xscale("log", base=2)
    exponents = range(-4, 9, 2)
    names = [f"{2**k}" if k >= 0 else f"1/{2**-k}" for k in exponents]
    axes.set_xticks([2.0**k for k in exponents], names)
    axes.set_xlim(2.0**-4, 2.0**8)
    axes.set_xlabel("effect of the fault in float64, in bounds")


def _draw_by_size(axes: Any, depths: list[dict[str, Any]]) -> None:
    for colour, depth in zip(_COLOURS, depths, strict=True):
        first, last = depth["first layer"], depth["last layer"]
        name = f"in layer {first}" if first == last else f"in layers {first} to {last}"
        sizes = [2.0 ** -point["exponent"] for point in depth["sizes"]]
        for verdict, (style, _) in _VERDICTS.items():
            shares = [point[verdict] for point in depth["sizes"]]
            label = name if verdict == "caught" else None  # one of both lines is enough
            axes.plot(sizes, shares, color=colour, label=label, **style)
    axes.set_xscale("log", base=2)
    axes.set_xticks([2.0**-exponent for exponent in range(0, LARGEST_EXPONENT + 1, 4)])
    axes.set_xlabel("size of the fault, as a share of the weight or bias")
    axes.legend(frameon=False, loc="lower right")
