"""The picture of the ratios."""

from typing import Any

from speed.cases import NOTHING_TO_COMPUTE
from xpnet.pictures.saving import new_figure

LABELS = {
    "xpnet_to_numpy": "xpnet to the best NumPy expression",
    "xpnet_to_torch": "xpnet to torch",
}
TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


def draw(functions: dict[str, Any]) -> Any:
    """Return a figure of the ratios to NumPy and to torch, on a logarithmic axis."""
    figure = new_figure(7.0, 1.6 + 0.28 * len(functions), layout="constrained")
    axes = figure.subplots()
    names = [name for name in functions if name not in NOTHING_TO_COMPUTE]
    for place, (kind, label) in enumerate(LABELS.items()):
        pairs = [(i, functions[name]["ratios"][kind]) for i, name in enumerate(names)]
        bars = [(i + 0.38 * (place - 0.5), pair["median"]) for i, pair in pairs if pair]
        if bars:
            middles, ratios = zip(*bars, strict=True)
            # From 1, so that a bar to the left is a gain.
            axes.barh(middles, [r - 1 for r in ratios], 0.36, left=1, label=label)
    axes.margins(y=0.01)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("time of xpnet on NumPy / time of the other (median of rounds)")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure
