"""Grid of images with their labels and predictions."""

from itertools import chain
from math import ceil, isqrt, sqrt
from typing import Any

from numpy.typing import NDArray

from xpnet.pictures.saving import new_figure, shorten_name

__all__ = ["MOST_IMAGES", "as_images", "draw_images"]

# 50 x 50. A bitmap of more images would need gigabytes.
MOST_IMAGES = 2500

# Inches.
_SIDE, _GAP, _LINE = 1.0, 0.15, 0.17

_FONT_POINTS = 8
_MAX_NAME_LENGTH = 24
_MAX_LINE_LENGTH = 16


def as_images(images: NDArray[Any], /) -> NDArray[Any]:
    """Return images of shape (n, height, width); raise ValueError if pixels do not form a square.

    Images of one channel may have the shape (n, 1, height, width) or (n, height, width, 1).
    """
    if images.ndim == 4 and 1 in (images.shape[1], images.shape[3]):
        images = images.squeeze(1 if images.shape[1] == 1 else 3)
    if images.ndim == 3:
        return images
    side = isqrt(images.shape[-1])
    if images.ndim != 2 or side * side != images.shape[-1] or not side:
        msg = f"`images` must be square to be shown; got the shape {images.shape}"
        raise ValueError(msg)
    return images.reshape(len(images), side, side)


def draw_images(
    images: NDArray[Any], labels: list[str] | None = None, predictions: list[str] | None = None
) -> Any:
    """Return a figure of gray images, dark on light; shapes and errors are as for `as_images`.

    Bytes are drawn from 0 (white) to 255 (black), other numbers from the smallest to the largest.
    Labels and predictions are written above each image, in red where they differ. More images than
    `MOST_IMAGES` raise ValueError.
    """
    images = as_images(images)
    n_images, height, width = images.shape
    if n_images > MOST_IMAGES:
        msg = f"`images` must be at most {MOST_IMAGES:,} to be shown; got {n_images:,}"
        raise ValueError(msg)
    figure = new_figure(_SIDE, _SIDE)
    empty = [""] * n_images
    labels = empty if labels is None else labels
    predictions = empty if predictions is None else predictions
    titles = [_title(*names) for _, *names in zip(images, labels, predictions, strict=True)]
    lines = [title.split("\n") for title, _ in titles]
    n_lines = max(map(len, lines), default=1)
    cell_width = max([_SIDE, *map(_width_of, set(chain(*lines)))]) + _GAP
    cell_height = _SIDE * height / width + _LINE * n_lines + _GAP
    n_columns = max(ceil(sqrt(n_images)), 1)
    n_rows = max(ceil(n_images / n_columns), 1)
    figure.set_size_inches(n_columns * cell_width, n_rows * cell_height)

    # One pair of axes in inches: a pair for each of thousands of images takes minutes.
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(0, n_columns * cell_width), ylim=(n_rows * cell_height, 0), autoscale_on=False)
    are_bytes = images.dtype.kind == "u" or not n_images
    low, high = (0, 255) if are_bytes else (float(images.min()), float(images.max()))
    for i, (image, (title, color)) in enumerate(zip(images, titles, strict=True)):
        row, column = divmod(i, n_columns)
        middle, bottom = (column + 0.5) * cell_width, (row + 1) * cell_height - _GAP / 2
        top = bottom - _SIDE * height / width
        extent = (middle - _SIDE / 2, middle + _SIDE / 2, bottom, top)
        axes.imshow(image, aspect="auto", extent=extent, cmap="gray_r", vmin=low, vmax=high)
        if title:
            style = {"fontsize": _FONT_POINTS, "color": color, "parse_math": False}
            axes.text(middle, top - 0.04, title, ha="center", va="bottom", **style)
    return figure


def _title(label: str, prediction: str) -> tuple[str, str]:
    """Return the title of an image, and its color."""
    label, prediction = (shorten_name(name, _MAX_NAME_LENGTH) for name in (label, prediction))
    if not label or not prediction or label == prediction:
        return label or prediction, "black"
    space = " " if len(f"{label}, predicted {prediction}") <= _MAX_LINE_LENGTH else "\n"
    return f"{label},{space}predicted {prediction}", "tab:red"


def _width_of(line: str) -> float:
    """Return the width of a line of a title, in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=_FONT_POINTS)
    width, _, _ = text_to_path.get_text_width_height_descent(line, font, ismath=False)
    return float(width) / 72
