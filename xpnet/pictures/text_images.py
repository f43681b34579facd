"""Images as lines of text, for a terminal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.pictures.images import Caption, as_images, gray_range

__all__ = ["BLOCKS", "text_images"]

BLOCKS = " ▀▄█"  # none, the upper, the lower or both of two pixels
_RAMP = " .:-=+*#%@"  # from the lightest to the darkest
_GAP = 2


def text_images(
    images: NDArray[Any], captions: Sequence[Caption], /, *, width: int, ascii_only: bool
) -> list[str]:
    """Return images as lines of at most `width` characters, each image below its caption.

    A character is two pixels, one above the other. Margins that are blank in all images are left
    out. Of images so wide that no two fit side by side, every second, third ... pixel is drawn.
    """
    low, high = gray_range(images)
    images = (as_images(images).astype(np.float64) - low) / ((high - low) or 1.0)
    for axis in (1, 2):
        used = np.flatnonzero(images.any(axis=(0, 3 - axis)))
        if len(used):
            images = images.take(range(used[0], used[-1] + 1), axis)
    step = -(-images.shape[2] // max((width - _GAP) // 2, 1))
    images = images[:, ::step, ::step]
    images = np.pad(images, [(0, 0), (0, images.shape[1] % 2), (0, 0)])
    upper, lower = images[:, ::2], images[:, 1::2]
    if ascii_only:
        levels = ((upper + lower) / 2 * (len(_RAMP) - 1)).round().astype(int)
    else:
        levels = (upper >= 0.5) + 2 * (lower >= 0.5)
    drawn = np.array(list(_RAMP if ascii_only else BLOCKS))[levels]
    cells = [
        [*caption, *map("".join, image)]
        for image, (caption, _) in zip(drawn, captions, strict=True)
    ]
    # A caption may be wider than its image.
    size = min(max((len(line) for cell in cells for line in cell), default=1), width)
    n_side, tallest = (width + _GAP) // (size + _GAP) or 1, max(map(len, cells), default=0)
    lines: list[str] = []
    for i in range(0, len(cells), n_side):
        for k in range(-tallest, 0):  # images side by side end at the same height
            parts = [cell[k] if -k <= len(cell) else "" for cell in cells[i : i + n_side]]
            lines.append((" " * _GAP).join(f"{part[:size]:{size}}" for part in parts).rstrip())
        lines.append("")
    return lines
