"""The picture of scaling.py: rows, widths and memory-mapped files."""

from collections.abc import Mapping
from typing import Any

from xpnet.pictures.saving import new_figure

__all__ = ["draw"]

COLOURS = {"xpnet, prepared": "#e4572e", "NumPy by hand": "#7f9fc4", "ONNX Runtime": "#2f5d8c"}
STYLES = ("-", "--")
INK = "#22303c"


def draw(result: Mapping[str, Any]) -> Any:
    """Return a figure of the results."""
    figure = new_figure(13.0, 4.4, layout="constrained")
    rows, widths, mapped = figure.subplots(1, 3)
    for style, (threads, found) in zip(STYLES, result["threads"].items(), strict=False):
        for name, colour in COLOURS.items():
            label = f"{name}, {threads} thread{'s' * (int(threads) > 1)}"
            options = {"color": colour, "linestyle": style, "marker": "o", "markersize": 3}
            _draw_rates(rows, found["rows"], name, label=label, **options)
            _draw_operations(widths, found["widths"], name, **options)
    rows.set(xscale="log", yscale="log", xlabel="rows at a time", ylabel="images per second")
    rows.set_title("784-50-100-10, sigmoid", color=INK, fontsize=10)
    rows.legend(fontsize=8, frameon=False)
    widths.set(xlabel="width of both hidden layers", ylabel="10⁹ operations per second")
    widths.set_xscale("log", base=2)
    widths.set_ylim(bottom=0)
    widths.set_title("784-w-w-10, ReLU, 1,000 rows", color=INK, fontsize=10)
    _draw_mapped(mapped, result["mapped"])
    for axes in (rows, widths, mapped):
        axes.grid(alpha=0.3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    facts = result["about"]
    text = f"{facts['hardware']}, {facts['date']}; best of {result['rounds']} rounds"
    figure.suptitle(f"From raw bytes to labels on a CPU ({text})", color=INK, fontsize=12)
    return figure


def _draw_rates(axes: Any, found: Mapping[Any, Any], name: str, **options: Any) -> None:
    points = {int(n): int(n) / each[name]["best"] for n, each in found.items() if name in each}
    axes.plot(list(points), list(points.values()), **options)


def _draw_operations(axes: Any, found: Mapping[Any, Any], name: str, **options: Any) -> None:
    points = {
        int(width): each[name]["operations"] / each[name]["best"] / 1e9
        for width, each in found.items()
        if name in each
    }
    axes.plot(list(points), list(points.values()), **options)


def _draw_mapped(axes: Any, found: Mapping[Any, Any]) -> None:
    numbers = [int(n) for n in found]
    times = [1e6 * each["seconds"] / int(n) for n, each in found.items()]
    axes.plot(numbers, times, color=COLOURS["xpnet, prepared"], marker="o", markersize=4)
    for n, time, each in zip(numbers, times, found.values(), strict=True):
        axes.annotate(
            f"+{each['bytes'] / 1e6:,.0f} MB",
            (n, time),
            textcoords="offset points",
            xytext=(0, 8),
            ha="center",
            fontsize=8,
        )
    axes.set(xscale="log", xlabel="rows of a memory-mapped file", ylabel="microseconds a row")
    axes.set_ylim(0, 1.6 * max(times, default=1.0))
    axes.set_title("xpnet, with the memory that it adds", color=INK, fontsize=10)
