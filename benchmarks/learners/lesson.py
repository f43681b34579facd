"""What is learned: the embedded digits, over and over, from the same weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import xpnet

__all__ = ["BATCH_SIZE", "FACTOR", "RATE", "examples", "start"]

WIDTHS = (784, 50, 100, 10)
BATCH_SIZE = 100
RATE = 0.001
# Pixels come as bytes, networks take 0..1.
FACTOR = 1 / 255


def examples(n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return so many images as rows of raw bytes, and their labels."""
    images, labels = xpnet.sample()
    order = np.arange(n) % len(images)
    return images.reshape(len(images), -1)[order], labels[order].astype(np.int64)


def start(dtype: Any = "float32") -> xpnet.Network:
    """Return the network before it learns; the same one in every process."""
    return xpnet.init_network(
        WIDTHS, scheme="xavier", preprocessing=xpnet.Scale(FACTOR), dtype=dtype
    )
