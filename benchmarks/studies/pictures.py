"""Pictures of stored results, among them those of studies whose scripts were removed.

    python benchmarks/studies/pictures.py

writes startup.png, activations.png and scaling.png beside the JSON files in benchmarks/results,
and detection.png and speed.png in docs/pictures, again from these files.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from startup import draw_result

from xpnet.pictures.saving import new_figure
from xpnet.pictures.style import GRAY, INK, MAIN, SECOND, SERIES, picture_style

RESULTS = Path(__file__).resolve().parents[1] / "results"
PICTURES = RESULTS.parents[1] / "docs" / "pictures"
# The processor of speed.png.
INFERENCE = "inference-amd-family-26-model-2"
# To what xpnet is compared, and its colour.
RATIOS = {
    "xpnet_to_numpy": ("the best NumPy expression", SECOND),
    "xpnet_to_torch": ("torch", GRAY),
}
OURS = "xpnet, prepared"
RIVALS = dict(zip((OURS, "NumPy by hand", "ONNX Runtime"), SERIES, strict=False))
THREADS = {"1": "-", "2": "--"}
# Of speed.png: colour and marker of each library, and rows (the last, if measured) and threads.
LIBRARIES = {
    "scikit-learn": ("#CC79A7", "v"),
    "torch": ("#56B4E9", "s"),
    "NumPy by hand": (SECOND, "D"),
    "OpenVINO": (GRAY, "^"),
    "ONNX Runtime": (INK, "o"),
}
PARTS = {
    "1 row, 1 thread": ([1], 1),
    "100 rows, 2 threads": ([100], 2),
    "10,000 rows, 2 threads": ([3000, 10_000], 2),
}
JUDGED = {
    "caught": ("-", "judged from the inputs on, and each layer alone"),
    "from the inputs on": ("--", "judged from the inputs on only"),
}


def main() -> None:
    """Draw all pictures."""
    pictures = {
        RESULTS / "activations.png": (draw_activations, "activations"),
        RESULTS / "scaling.png": (draw_scaling, "scaling"),
        PICTURES / "detection.png": (draw_detection, "detection"),
        PICTURES / "speed.png": (draw_speed, INFERENCE),
    }
    for path, (draw, name) in pictures.items():
        with picture_style():
            _save(draw(_read(name)), path)
    draw_result(RESULTS / "startup.png", _read("startup"))


def _save(figure: Any, path: Path) -> None:
    """Write a PNG of 256 colours, which is a third as large."""
    picture = BytesIO()
    figure.savefig(picture, dpi=150)
    image = Image.open(picture).convert("RGB").quantize(dither=Image.Dither.NONE)
    image.save(path, optimize=True)


def _read(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def _finish(
    figure: Any, title: str, result: Mapping[str, Any], handles: Sequence[Any] = (), **legend: Any
) -> Any:
    about = result["about"]
    figure.suptitle(f"{title} ({about['hardware']}, {about['date']})", x=0.01, ha="left")
    figure.legend(*handles, loc="outside lower left", **legend)
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


def draw_speed(result: Mapping[str, Any]) -> Any:
    """Return a figure of the times of other libraries' plain calls, relative to xpnet."""
    figure = new_figure(7.2, 3.6, layout="constrained")
    parts = figure.subplots(1, len(PARTS), sharex=True, sharey=True)
    for axes, (title, (sizes, threads)) in zip(parts, PARTS.items(), strict=True):
        # The cell with the most rows of those that were measured.
        cells = {
            cell["network"]: cell
            for cell in result["cells"]
            if not cell["coretype"] and cell["rows"] in sizes and cell["threads"] == threads
        }
        axes.axvline(1.0, color=MAIN, linewidth=2, label="xpnet")
        for name, (color, marker) in LIBRARIES.items():
            ratios = [_plain(cell, name) / _plain(cell, OURS) for cell in cells.values()]
            axes.plot(ratios, range(len(cells)), marker, color=color, markersize=6, label=name)
        for i, cell in enumerate(cells.values()):
            if cell["rows"] != sizes[-1]:
                note = f"{cell['rows']:,} rows"
                axes.text(3.0, i, note, size=9, va="center", backgroundcolor="white")
        axes.set_title(title, fontweight="normal")
        axes.grid()
        axes.set(xscale="log", ylim=(len(cells) - 0.5, -0.5))
        ticks = (0.5, 1, 2, 4, 8)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_yticks(range(len(cells)), [network.replace(":", "\n") for network in cells])
        axes.tick_params("y", length=0)
    parts[1].set_xlabel("time of a plain call / time of xpnet (below 1: faster than xpnet)")
    handles = parts[0].get_legend_handles_labels()
    spacing = {"columnspacing": 1.0, "handletextpad": 0.2}
    return _finish(figure, "From raw bytes to labels", result, handles, ncols=6, **spacing)


def _plain(cell: Mapping[str, Any], name: str) -> float:
    return float(cell["seconds"][name]["plain"]["best"])


if __name__ == "__main__":
    main()
