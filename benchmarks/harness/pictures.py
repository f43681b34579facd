"""The picture of docs/explanation/speed.md."""

import os
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from harness.registry import OURS
from xpnet.pictures.figures import INK, MAIN, SECOND, picture_style

# Colour and marker of each library.
LIBRARIES = {
    "scikit-learn": ("#CC79A7", "v"),
    "torch": ("#56B4E9", "s"),
    "NumPy by hand": (SECOND, "D"),
    "OpenVINO": ("#6b6b6b", "^"),
    "ONNX Runtime": (INK, "o"),
}
# Numbers of rows, of which the last that was measured counts, and of threads.
PARTS = {
    "1 row, 1 thread": ([1], 1),
    "100 rows, 2 threads": ([100], 2),
    "10,000 rows, 2 threads": ([3000, 10_000], 2),
}


def draw_speed(path: str | os.PathLike[str], result: Mapping[str, Any]) -> None:
    """Draw the times of other libraries' plain calls, relative to xpnet."""
    with picture_style():
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        parts = figure.subplots(1, len(PARTS), sharex=True, sharey=True)
        for axes, (title, (sizes, threads)) in zip(parts, PARTS.items(), strict=True):
            cells = {
                cell["network"]: cell
                for cell in result["cells"]
                if cell["rows"] in sizes and cell["threads"] == threads
            }
            _draw_part(axes, list(cells.values()), sizes[-1])
            axes.set_title(title, fontweight="normal")
        parts[1].set_xlabel("time of a plain call / time of xpnet (below 1: faster than xpnet)")
        about = result["about"]
        title = f"From raw bytes to labels ({about['hardware']}, {about['date']})"
        figure.suptitle(title, x=0.01, ha="left")
        options = {"ncols": 6, "columnspacing": 1.0, "handletextpad": 0.2}
        figure.legend(*parts[0].get_legend_handles_labels(), loc="outside lower left", **options)
        drawn = BytesIO()
        figure.savefig(drawn, dpi=150)
    # With 256 colours, the file is a third as large.
    image = Image.open(drawn).convert("RGB").quantize(dither=Image.Dither.NONE)
    image.save(path, optimize=True)


def _draw_part(axes: Any, cells: list[Mapping[str, Any]], n_rows: int) -> None:
    axes.axvline(1.0, color=MAIN, linewidth=2, label="xpnet")
    for name, (color, marker) in LIBRARIES.items():
        ratios = [_plain(cell, name) / _plain(cell, OURS) for cell in cells]
        axes.plot(ratios, range(len(cells)), marker, color=color, markersize=6, label=name)
    for i, cell in enumerate(cells):
        if cell["rows"] != n_rows:
            text = f"{cell['rows']:,} rows"
            axes.text(3.0, i, text, size=9, va="center", backgroundcolor="white")
    axes.grid()
    axes.set(xscale="log", ylim=(len(cells) - 0.5, -0.5))
    ticks = (0.5, 1, 2, 4, 8)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(cells)), [cell["network"].replace(":", "\n") for cell in cells])
    axes.tick_params("y", length=0)


def _plain(cell: Mapping[str, Any], name: str) -> float:
    return float(cell["seconds"][name]["plain"]["best"])
