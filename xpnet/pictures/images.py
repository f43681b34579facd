"""Grid of images with their labels and predictions."""

from collections.abc import Sequence
from math import ceil, isqrt, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import as_array
from xpnet.arrays.transfer import to_numpy
from xpnet.pictures.saving import new_figure, shorten_name
from xpnet.pictures.style import INK, WRONG, picture_style

__all__ = ["Caption", "as_images", "captions_of", "gray_range", "show"]

# 50 x 50. A bitmap of more images would need gigabytes.
_MOST_IMAGES = 2500

Caption: TypeAlias = tuple[list[str], bool]
"""The lines above an image, and whether its prediction differs from its label."""

_SIDE, _GAP, _LINE = 1.0, 0.15, 0.17  # inches

_FONT_POINTS = 9
_MAX_NAME_LENGTH = 24
_MAX_LINE_LENGTH = 16


@picture_style()
def show(
    images: Any,
    /,
    labels: Sequence[Any] | None = None,
    predictions: Sequence[Any] | None = None,
    probabilities: Sequence[float] | None = None,
) -> Any:
    """Draw images in a grid, dark on light, with labels and predictions above them.

    Parameters
    ----------
    images : array of shape (n, height, width) or (n, pixels)
        At most 2,500; `pixels` must be a square number. Bytes are drawn from 0 (white) to 255
        (black), other numbers from the smallest to the largest.
    labels, predictions : sequences of length n, optional
        Numbers or names, also as arrays. Both are written, in another colour, where they differ.
    probabilities : sequence of float, length n, optional
        Probabilities of the predictions.

    Returns
    -------
    matplotlib.figure.Figure
        A notebook displays it as the last value of a cell; ``savefig`` writes it to a file.

    Raises
    ------
    ValueError
        If the shape is another one, there are too many images, or a length differs.
    ModuleNotFoundError
        If matplotlib is not installed.

    Examples
    --------
    >>> import xpnet
    >>> images, labels = xpnet.sample()
    >>> predictions = xpnet.predict(xpnet.load("sample"), images)
    >>> figure = xpnet.show(images[:25], labels[:25], predictions[:25])
    """
    images = as_images(to_numpy(as_array(images, "images")))
    n_images, height, width = images.shape
    if n_images > _MOST_IMAGES:
        msg = f"a picture holds at most {_MOST_IMAGES:,} images; got {n_images:,}"
        raise ValueError(msg)
    captions = captions_of(images, labels, predictions, probabilities)
    figure = new_figure(_SIDE, _SIDE)
    n_lines = max([1, *(len(lines) for lines, _ in captions)])
    cell_width = max([_SIDE, *map(_width_of, {x for lines, _ in captions for x in lines})]) + _GAP
    cell_height = _SIDE * height / width + _LINE * n_lines + _GAP
    n_columns = max(ceil(sqrt(n_images)), 1)
    n_rows = max(ceil(n_images / n_columns), 1)
    figure.set_size_inches(n_columns * cell_width, n_rows * cell_height)

    # One pair of axes in inches: a pair for each of thousands of images takes minutes.
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(0, n_columns * cell_width), ylim=(n_rows * cell_height, 0), autoscale_on=False)
    low, high = gray_range(images)
    for i, (image, (lines, is_wrong)) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(i, n_columns)
        middle, bottom = (column + 0.5) * cell_width, (row + 1) * cell_height - _GAP / 2
        top = bottom - _SIDE * height / width
        extent = (middle - _SIDE / 2, middle + _SIDE / 2, bottom, top)
        axes.imshow(image, aspect="auto", extent=extent, cmap="gray_r", vmin=low, vmax=high)
        if lines:
            style = {"fontsize": _FONT_POINTS, "color": WRONG if is_wrong else INK}
            where = {"ha": "center", "va": "bottom", "parse_math": False}
            axes.text(middle, top - 0.04, "\n".join(lines), **where, **style)
    return figure


def as_images(images: NDArray[Any], /) -> NDArray[Any]:
    """Return images of shape (n, height, width); raise ValueError if pixels do not form a square.

    Images of one channel may have the shape (n, 1, height, width) or (n, height, width, 1).
    """
    if images.ndim == 4 and 1 in (images.shape[1], images.shape[3]):
        images = images.squeeze(1 if images.shape[1] == 1 else 3)
    if images.ndim == 3:
        return images
    side = isqrt(images.shape[-1]) if images.ndim else 0
    if images.ndim != 2 or side * side != images.shape[-1] or not side:
        shapes = "(n, height, width), or (n, pixels) with pixels of a square"
        msg = f"`images` must have the shape {shapes}; got {images.shape}"
        raise ValueError(msg)
    return images.reshape(len(images), side, side)


def gray_range(images: NDArray[Any]) -> tuple[float, float]:
    """Return the numbers that are drawn white and black."""
    finite = images[np.isfinite(images)]
    are_bytes = images.dtype.kind == "u" or not finite.size
    return (0, 255) if are_bytes else (float(finite.min()), float(finite.max()))


def captions_of(
    images: NDArray[Any], labels: Any = None, predictions: Any = None, probabilities: Any = None
) -> list[Caption]:
    """Return the caption of each image: its label, prediction and probability, each optional."""
    given = {"labels": labels, "predictions": predictions, "probabilities": probabilities}
    for name, values in given.items():
        if values is None:
            given[name] = [None] * len(images)
        elif len(values) != len(images):
            msg = f"`{name}` must be one for each image; got {len(values)} for {len(images)}"
            raise ValueError(msg)
        elif hasattr(values, "tolist"):  # an array's own elements have their type in a string
            given[name] = values.tolist()
    return [_caption(*each) for each in zip(*given.values(), strict=True)]


def _caption(label: Any, prediction: Any, probability: float | None) -> Caption:
    names = [str(name) for name in (label, prediction) if name is not None]
    is_wrong = len(set(names)) == 2
    names = [shorten_name(name, _MAX_NAME_LENGTH) for name in names]
    lines = names[:1] if label is not None or not names else [f"predicted {names[0]}"]
    if is_wrong:
        lines = [f"{names[0]},", f"predicted {names[1]}"]
        if len(" ".join(lines)) <= _MAX_LINE_LENGTH:
            lines = [" ".join(lines)]
    if probability is not None:
        # Rounded up, 0.9999 would look certain.
        lines.append(f"probability {min(probability, 0.999):.3f}" + "+" * (probability > 0.999))
    return lines, is_wrong


def _width_of(line: str) -> float:
    """Return the width of a line of a title, in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=_FONT_POINTS)
    width, _, _ = text_to_path.get_text_width_height_descent(line, font, ismath=False)
    return 1.06 * float(width) / 72  # small letters are rounded up to pixels
