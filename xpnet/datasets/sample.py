"""The embedded sample: 1,000 digits of MNIST, for a first try without any file."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xpnet.datasets.idx import open_idx
from xpnet.datasets.read_options import ReadOptions
from xpnet.files import open_source

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SAMPLE_IMAGES", "sample"]

SAMPLE_IMAGES = Path(__file__).parent / "sample" / "images-idx3-ubyte.gz"
_SAMPLE_LABELS = SAMPLE_IMAGES.with_name("labels-idx1-ubyte.gz")


def sample() -> "tuple[NDArray[np.uint8], NDArray[np.uint8]]":
    """Return 1,000 handwritten digits of MNIST, 100 of each; row i shows the digit i % 10.

    Returns
    -------
    images : ndarray of uint8, shape (1000, 28, 28)
        The images, 0 for the background and 255 for full ink.
    labels : ndarray of uint8, shape (1000,)
        The digits, 0 to 9.

    Notes
    -----
    Sources and licences are in the file NOTICE beside the data.

    Examples
    --------
    >>> images, labels = sample()
    >>> images.shape, labels[:3]
    ((1000, 28, 28), array([0, 1, 2], dtype=uint8))
    """
    return _read(SAMPLE_IMAGES), _read(_SAMPLE_LABELS)


def _read(path: Path) -> "NDArray[np.uint8]":
    with open_source(path) as source:
        return np.concatenate(list(open_idx(source).blocks(ReadOptions())))
