"""SHA-256 of reproducible outputs, shortened to a text that two people can compare."""

from typing import Any

from xpnet.arrays.dask_blocks import is_dask
from xpnet.arrays.transfer import to_numpy
from xpnet.files.hashes import ResultHash
from xpnet.inference.predict import outputs_of, predict_blocks
from xpnet.inference.rows import array_in_order
from xpnet.networks.network import Network
from xpnet.networks.reproducible import reproducible

__all__ = ["result_hash"]


def result_hash(network: Network, images: Any, /) -> str:
    """Return a hash of the outputs of the `reproducible` network, such as 9f3c-02ab-77d1-e05b.

    Parameters
    ----------
    network, images
        As for `predict`. Dask images are computed, and outputs on a device are copied back.

    Returns
    -------
    str
        The first 16 hexadecimal digits of the SHA-256 of the outputs: their little-endian values
        row by row, and a line with dtype and shape, such as ``float32 1000 x 10``. 64 bits
        detect accidental differences, not forgery.

    Raises
    ------
    TypeError, ValueError, DeviceError
        As `reproducible` and `predict`.

    Examples
    --------
    >>> import xpnet
    >>> images, labels = xpnet.sample()
    >>> xpnet.result_hash(xpnet.load("sample"), images)
    '9189-73c3-8a45-d0ab'
    """
    network, images = reproducible(network), array_in_order(network, images)
    if is_dask(images):
        y = predict_blocks(outputs_of, network, images, None, None)
    else:
        y = outputs_of(network, images)
    digest = ResultHash()
    digest.update(to_numpy(y))
    return digest.text()
