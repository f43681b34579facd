"""Images in a grid, with their labels and what a network takes them for."""

from math import ceil, isqrt, sqrt
from typing import Any

from numpy.typing import NDArray

from xpnet.pictures.saving import new_figure

__all__ = ["MOST_IMAGES", "as_images", "draw_images"]

# 50 by 50: of more, a bitmap needs gigabytes.
MOST_IMAGES = 2500

# Inches.
_SIDE, _GAP, _LINE = 1.0, 0.15, 0.17

_FONT_POINTS = 8
_LONGEST_NAME = 24
_LONGEST_LINE = 16


def as_images(images: NDArray[Any], /) -> NDArray[Any]:
    """Return rows of pixels as square images, (n, height, width); images as they are.

    Raises
    ------
    ValueError
        If the rows do not make square images.
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
    """Return a figure of gray images, dark on light.

    Parameters
    ----------
    images : array of shape (n, height, width) or (n, height * height)
        At most `MOST_IMAGES`. Bytes are shown from 0, white, to 255, black; other numbers from
        the smallest to the largest.
    labels, predictions : list of n str, optional
        Written above each image; a prediction that differs from the label in red.

    Raises
    ------
    ValueError
        If the rows do not make square images, or there are too many.
    """
    images = as_images(images)
    n_images, height, width = images.shape
    if n_images > MOST_IMAGES:
        msg = f"`images` must be at most {MOST_IMAGES:,} to be shown; got {n_images:,}"
        raise ValueError(msg)
    figure = new_figure(_SIDE, _SIDE)
    titles = [_title(*pair) for pair in zip(*_names(n_images, labels, predictions), strict=True)]
    lines = {line for title, _ in titles for line in title.split("\n")}
    n_lines = max((1 + title.count("\n") for title, _ in titles), default=1)
    cell_width = max([_SIDE, *map(_inches, lines)]) + _GAP
    cell_height = _SIDE * height / width + _LINE * n_lines + _GAP
    n_columns = max(ceil(sqrt(n_images)), 1)
    n_rows = max(ceil(n_images / n_columns), 1)
    figure.set_size_inches(n_columns * cell_width, n_rows * cell_height)

    # One pair of axes for all, in inches: a pair for each image takes minutes for thousands.
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(0, n_columns * cell_width), ylim=(n_rows * cell_height, 0), autoscale_on=False)
    shades = _shades(images)
    for i, (image, (title, color)) in enumerate(zip(images, titles, strict=True)):
        row, column = divmod(i, n_columns)
        middle, bottom = (column + 0.5) * cell_width, (row + 1) * cell_height - _GAP / 2
        top = bottom - _SIDE * height / width
        place = (middle - _SIDE / 2, middle + _SIDE / 2, bottom, top)
        axes.imshow(image, aspect="auto", extent=place, **shades)
        if title:
            style = {"fontsize": _FONT_POINTS, "color": color, "parse_math": False}
            axes.text(middle, top - 0.04, title, ha="center", va="bottom", **style)
    return figure


def _names(n_images: int, *lists: list[str] | None) -> list[list[str | None]]:
    return [[None] * n_images if names is None else [*map(_short, names)] for names in lists]


def _short(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."


def _title(label: str | None, prediction: str | None) -> tuple[str, str]:
    """Return what stands above an image, and its color."""
    if label is None or prediction is None or label == prediction:
        return label or prediction or "", "black"
    title = f"{label}, taken for {prediction}"
    if len(title) > _LONGEST_LINE:
        title = f"{label},\ntaken for {prediction}"
    return title, "tab:red"


def _inches(line: str) -> float:
    """Return how wide a line of a title is."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=_FONT_POINTS)
    width, _, _ = text_to_path.get_text_width_height_descent(line, font, ismath=False)
    return float(width) / 72


def _shades(images: NDArray[Any]) -> dict[str, Any]:
    if images.dtype.kind == "u" or not len(images):
        return {"cmap": "gray_r", "vmin": 0, "vmax": 255}
    return {"cmap": "gray_r", "vmin": float(images.min()), "vmax": float(images.max())}
