"""Pictures of stored results, among them those of studies whose scripts were removed.

    python benchmarks/studies/pictures.py

writes startup.png, activations.png and scaling.png beside the JSON files in benchmarks/results,
and docs/detection.png, again from these files.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from startup import draw_result

from xpnet.pictures.saving import new_figure
from xpnet.pictures.style import GRAY, INK, MAIN, SECOND, SERIES, picture_style

RESULTS = Path(__file__).resolve().parents[1] / "results"
DOCS = RESULTS.parents[1] / "docs"
# To what xpnet is compared, and its colour.
RATIOS = {
    "xpnet_to_numpy": ("the best NumPy expression", SECOND),
    "xpnet_to_torch": ("torch", GRAY),
}
RIVALS = dict(zip(("xpnet, prepared", "NumPy by hand", "ONNX Runtime"), SERIES, strict=False))
THREADS = {"1": "-", "2": "--"}
JUDGED = {
    "caught": ("-", "judged from the inputs on, and each layer alone"),
    "from the inputs on": ("--", "judged from the inputs on only"),
}


def main() -> None:
    """Draw all pictures."""
    pictures = {
        RESULTS / "activations": draw_activations,
        RESULTS / "scaling": draw_scaling,
        DOCS / "detection": draw_detection,
    }
    for path, draw in pictures.items():
        with picture_style():
            draw(_read(path.name)).savefig(path.with_suffix(".png"), dpi=150)
    draw_result(RESULTS / "startup.png", _read("startup"))


def _read(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def _finish(figure: Any, title: str, result: Mapping[str, Any], **legend: Any) -> Any:
    about = result["about"]
    figure.suptitle(f"{title} ({about['hardware']}, {about['date']})", x=0.01, ha="left")
    figure.legend(loc="outside lower left", **legend)
    return figure


def draw_activations(result: Mapping[str, Any]) -> Any:
    """Return a figure of the time of xpnet's functions relative to others."""
    # xpnet's identity returns its argument, so a ratio would be of nothing.
    functions = {name: x for name, x in result["functions"].items() if name != "identity"}
    figure = new_figure(7.2, 1.6 + 0.28 * len(functions), layout="constrained")
    axes = figure.subplots()
    for kind, (label, color) in RATIOS.items():
        shift = 0.19 if kind == "xpnet_to_torch" else -0.19
        ratios = {i: x["ratios"][kind] for i, x in enumerate(functions.values())}
        bars = {i + shift: ratio["median"] - 1.0 for i, ratio in ratios.items() if ratio}
        axes.barh([*bars], [*bars.values()], 0.36, left=1.0, color=color, label=f"to {label}")
    axes.axvline(1.0, color=INK, linewidth=0.8)
    axes.set(xscale="log", xlabel="time of xpnet on NumPy / time of the other (lower is better)")
    ticks = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(functions)), functions)
    axes.tick_params("y", length=0)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.grid(axis="x")
    return _finish(figure, "100,000 numbers on one thread", result, ncols=2)


def draw_scaling(result: Mapping[str, Any]) -> Any:
    """Return a figure of speed over rows and widths, and of memory-mapped files."""
    figure = new_figure(12.0, 4.8, layout="constrained")
    by_rows, by_width, mapped = figure.subplots(1, 3)
    for threads, style in THREADS.items():
        found = result["threads"][threads]
        for name, color in RIVALS.items():
            label = f"{name}, {threads} thread{'s' * (threads > '1')}"
            options = {"linestyle": style, "color": color, "marker": "o", "markersize": 4}
            rows = {int(n): int(n) / x[name]["best"] for n, x in found["rows"].items()}
            by_rows.plot([*rows], [*rows.values()], label=label, **options)
            widths = {
                int(n): x[name]["operations"] / x[name]["best"] / 1e9
                for n, x in found["widths"].items()
            }
            by_width.plot([*widths], [*widths.values()], **options)
    seconds = {int(n): 1e6 * x["seconds"] / int(n) for n, x in result["mapped"].items()}
    mapped.plot([*seconds], [*seconds.values()], color=MAIN, marker="o", markersize=4)
    names = [f"{int(n):,}\n+{x['bytes'] / 1e6:.0f} MB" for n, x in result["mapped"].items()]
    _label(
        by_rows, "784-50-100-10, sigmoid", "rows at a time", "images per second (higher is better)"
    )
    by_rows.set(xscale="log", yscale="log")
    title = "784-w-w-10, ReLU, 1,000 rows"
    _label(by_width, title, "width w", "10⁹ operations per second (higher is better)")
    by_width.set_xscale("log", base=2)
    by_width.set_ylim(bottom=0)
    where = "rows of a memory-mapped file, and memory added"
    _label(mapped, "xpnet, files", where, "microseconds per row (lower is better)")
    mapped.set_xscale("log")
    mapped.set_xticks([*seconds], names)
    mapped.minorticks_off()
    mapped.set_ylim(0, 1.2 * max(seconds.values()))
    title = f"From raw bytes to labels, best of {result['rounds']} rounds"
    return _finish(figure, title, result, ncols=3)


def _label(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set(xlabel=x, ylabel=y)
    axes.grid()


def draw_detection(result: Mapping[str, Any]) -> Any:
    """Return a figure of the share of faults that are detected, by effect and by size."""
    figure = new_figure(9.6, 4.8, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    bins: Sequence[Mapping[str, float]] = result["by effect"]
    middles = [(each["from"] * each["to"]) ** 0.5 for each in bins]
    for judged, (style, label) in JUDGED.items():
        left.plot(middles, [each[judged] for each in bins], style, color=INK, label=label)
        for depth, color in zip(result["by size"], SERIES, strict=False):
            first, last = depth["first layer"], depth["last layer"]
            layers = f"in layer {first}" if first == last else f"in layers {first} to {last}"
            sizes = [2.0 ** -point["exponent"] for point in depth["sizes"]]
            shares = [point[judged] for point in depth["sizes"]]
            right.plot(sizes, shares, style, color=color, label=layers if style == "-" else None)
    y = "faults that are detected (higher is better)"
    _label(left, "By effect", "effect of the fault in float64, in bounds", y)
    _label(right, "By size", "size of the fault, as a share of the weight or bias", "")
    left.set_xscale("log", base=2)
    exponents = range(-4, 9, 2)
    names = [f"{2**k}" if k >= 0 else f"1/{2**-k}" for k in exponents]
    left.set_xticks([2.0**k for k in exponents], names)
    left.set(xlim=(2.0**-4, 2.0**8), ylim=(-0.02, 1.02))
    left.yaxis.set_major_formatter("{x:.0%}")
    right.set_xscale("log", base=2)
    right.set_xticks([2.0**-exponent for exponent in range(0, 25, 4)])
    return _finish(figure, "Faults in one weight or bias", result, ncols=2)


if __name__ == "__main__":
    main()
