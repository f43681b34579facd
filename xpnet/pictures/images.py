"""Images with their labels and predictions, as a picture or as text for a terminal."""

from collections.abc import Sequence
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import as_array
from xpnet.arrays.transfer import to_numpy
from xpnet.pictures.figures import INK, WRONG, new_panels, picture_style

__all__ = ["BLOCKS", "as_images", "captions_of", "show", "text_images"]

BLOCKS, _ASCII = " ▀▄█", " '.#"  # none, the upper, the lower or both of two pixels


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
        At most 100; `pixels` must be a square number. Bytes are drawn from 0 (white) to 255
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
    >>> figure = xpnet.show(images[:25], labels[:25])
    """
    images = as_images(to_numpy(as_array(images, "images")))
    n_images, height, width = images.shape
    if n_images > 100:
        msg = f"a picture holds at most 100 images; got {n_images:,}"
        raise ValueError(msg)
    captions = captions_of(images, labels, predictions, probabilities)
    cell_width = max([1.0, *(_width(line) for lines, _ in captions for line in lines)]) + 0.15
    cell_height = height / width + 0.17 * max([1, *(len(lines) for lines, _ in captions)]) + 0.15
    figure, panels = new_panels(n_images, cell_width, cell_height)
    low, high = _gray_range(images)
    for axes, image, (lines, is_wrong) in zip(panels, images, captions, strict=True):
        axes.imshow(image, cmap="gray_r", vmin=low, vmax=high)
        style = {"fontsize": "medium", "color": WRONG if is_wrong else INK}
        axes.set_title("\n".join(lines), loc="center", parse_math=False, **style)
        axes.set_axis_off()
    return figure


def as_images(images: NDArray[Any], /) -> NDArray[Any]:
    """Return images of shape (n, height, width); raise ValueError if pixels do not form a square.

    Images of one channel may have the shape (n, 1, height, width) or (n, height, width, 1).
    """
    if images.ndim == 4 and 1 in (images.shape[1], images.shape[3]):
        images = images.squeeze(1 if images.shape[1] == 1 else 3)
    if images.ndim == 2 and 0 < isqrt(images.shape[1]) ** 2 == images.shape[1]:
        images = images.reshape(len(images), *[isqrt(images.shape[1])] * 2)  # also without images
    if images.ndim != 3:
        msg = f"`images` must be (n, height, width), or (n, pixels) of squares; got {images.shape}"
        raise ValueError(msg)
    return images


def captions_of(
    images: NDArray[Any], labels: Any = None, predictions: Any = None, probabilities: Any = None
) -> list[tuple[list[str], bool]]:
    """Return the lines above each image, and whether its prediction differs from its label."""
    given = {"labels": labels, "predictions": predictions, "probabilities": probabilities}
    for name, values in given.items():
        if values is None:
            given[name] = [None] * len(images)
        elif len(values) != len(images):
            msg = f"`{name}` must be one for each image; got {len(values)} for {len(images)}"
            raise ValueError(msg)
        elif hasattr(values, "tolist"):  # an array's own elements have their type in a string
            given[name] = values.tolist()
    captions = []
    for label, prediction, probability in zip(*given.values(), strict=True):
        is_wrong = None not in (label, prediction) and str(label) != str(prediction)
        lines = [] if label is None else [f"{label!s:.24}"]
        if is_wrong or (label is None and prediction is not None):
            lines.append(f"predicted {prediction!s:.24}")
        if probability is not None:  # rounded up, 0.9999 would look certain
            lines.append(f"probability {min(probability, 0.999):.3f}" + "+" * (probability > 0.999))
        captions.append((lines, is_wrong))
    return captions


def _width(line: str) -> float:
    """Return the most that a line is wide, in inches: capitals and letters beyond ASCII are."""
    return sum(0.13 if x.isupper() or x in "mw" or not x.isascii() else 0.08 for x in line)


def _gray_range(images: NDArray[Any]) -> tuple[float, float]:
    """Return the numbers that are drawn white and black."""
    finite = images[np.isfinite(images)]
    are_bytes = images.dtype == np.uint8 or not finite.size
    return (0.0, 255.0) if are_bytes else (float(finite.min()), float(finite.max()))


def text_images(
    images: NDArray[Any], captions: Sequence[list[str]], /, *, width: int, ascii_only: bool
) -> list[str]:
    """Return images as lines of at most `width` characters, each image below its caption.

    A character is two pixels, one above the other. Margins that are blank in all images are left
    out. Of images so wide that no two fit side by side, every second, third ... pixel is drawn.
    """
    low, high = _gray_range(images)
    images = (as_images(images).astype(np.float64) - low) / ((high - low) or 1.0)
    for axis in (1, 2):
        used = np.flatnonzero(images.any(axis=(0, 3 - axis)))
        images = images.take(range(used[0], used[-1] + 1), axis) if len(used) else images
    step = -(-images.shape[2] // max(width // 2 - 1, 1))
    images = images[:, ::step, ::step]
    images = np.pad(images, [(0, 0), (0, images.shape[1] % 2), (0, 0)])
    numbers = (images[:, ::2] >= 0.5) + 2 * (images[:, 1::2] >= 0.5)
    drawn = np.asarray([*(_ASCII if ascii_only else BLOCKS)])[numbers]
    cells = [[*lines, *map("".join, image)] for lines, image in zip(captions, drawn, strict=True)]
    size = min(max((len(line) for cell in cells for line in cell), default=1), width)
    n_side, tallest = (width + 2) // (size + 2) or 1, max(map(len, cells), default=0)
    lines: list[str] = []
    for i in range(0, len(cells), n_side):
        # Images side by side end at the same height.
        side = [[""] * (tallest - len(cell)) + cell for cell in cells[i : i + n_side]]
        rows = zip(*side, strict=True)
        lines += ["  ".join(f"{part[:size]:{size}}" for part in row).rstrip() for row in rows]
        lines.append("")
    return lines
