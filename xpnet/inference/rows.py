"""Images as rows, and the checks of options."""

import math
from typing import Any

import numpy as np

from xpnet.arrays.namespace import array_namespace, as_array, check_real
from xpnet.files.errors import DataError
from xpnet.networks.column_names import in_order
from xpnet.networks.network import Network

__all__ = ["array_in_order", "as_rows", "check_integer"]


def array_in_order(network: Network, images: Any) -> Any:
    """Return images as an array, the columns of a data frame in the order of the inputs."""
    return as_array(in_order(network, images), "images")


def as_rows(images: Any, n_in: int, name: str = "images") -> Any:
    """Return images of shape (n, n_in), (n, height, width) ... as rows.

    Raise DataError for other shapes.
    """
    if type(images) is np.ndarray and images.dtype.kind in "biuf" and images.shape[1:] == (n_in,):
        return images  # most often, and as quickly as can be
    images = as_array(images, name)
    shape, xp = images.shape, array_namespace(images)
    check_real(images, xp, name)
    if shape[1:] == (n_in,):
        return images
    if len(shape) > 1 and math.prod(shape[1:]) == n_in:
        return xp.reshape(images, (-1, n_in))
    rule = f"must be rows of {n_in} values, the inputs of the network"
    msg = f"`{name}` {rule}; got the shape {tuple(shape)}"
    if math.prod(shape) == n_in:
        msg += f". For a single image, give {name}[None]"
    raise DataError(msg)


def check_integer(name: str, value: Any, least: int = 1) -> None:
    """Raise TypeError if an option is not an integer, ValueError if it is below `least`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        msg = f"`{name}` must be an integer; got {value!r}"
        raise TypeError(msg)
    if value < least:
        msg = f"`{name}` must be at least {least}; got {value}"
        raise ValueError(msg)
