"""Labels that mean nothing, since the largest output is NaN or infinite: marked, counted, told.

A mark is the number of classes, added to the class id. It crosses from a device with the ids, so
that counting takes no transfer of its own, and nobody waits for it.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, cast, limits_of
from xpnet.arrays.ranges import wider_dtypes
from xpnet.networks.network import Network

__all__ = [
    "NonfiniteCount",
    "NonfiniteWarning",
    "count_nonfinite",
    "mark",
    "nonfinite_text",
    "report",
    "tell",
]


class NonfiniteWarning(RuntimeWarning):
    """Labels mean nothing, since the largest output is NaN or infinite."""


class NonfiniteCount:
    """Counts images with outputs that are not finite.

    Attributes
    ----------
    n_images : int
    """

    def __init__(self) -> None:
        self.n_images = 0


_count: ContextVar[NonfiniteCount | None] = ContextVar("_count", default=None)


@contextmanager
def count_nonfinite() -> Iterator[NonfiniteCount]:
    """Count what `predict` and `evaluate` would warn of, and NaN and infinity in regressions."""
    count = NonfiniteCount()
    token = _count.set(count)
    try:
        yield count
    finally:
        _count.reset(token)


def mark(ids: Any, rows: Any, y: Any, n_classes: int) -> Any:
    """Return class ids, with a mark where the largest output of finite inputs is not finite.

    Inputs are looked at in NumPy arrays only. Of other libraries, NaN among the inputs, which is
    NaN in the outputs, is marked as well.

    Parameters
    ----------
    ids : array of shape (n,), integers
    rows : array of shape (n, n_in)
        The inputs.
    y : array of shape (n, n_out)
        The outputs.
    n_classes : int
    """
    if isinstance(y, np.ndarray):
        numbers = y.ravel()
        # The fastest look at all of them. A sum that overflows is looked into.
        with np.errstate(all="ignore"):
            if math.isfinite(numbers.dot(numbers)):
                return ids
    xp = array_namespace(y)
    if limits_of(y.dtype, xp).bits < 32:
        y = cast(y, xp.float32, xp)  # CuPy lacks functions of bfloat16
    is_marked = ~xp.isfinite(xp.max(y, axis=1))
    if isinstance(rows, np.ndarray) and rows.dtype.kind == "f":
        is_marked &= np.isfinite(rows).all(axis=1)
    return xp.where(is_marked, ids + n_classes, ids)


def report(results: NDArray[Any], network: Network) -> NDArray[Any]:
    """Return class ids without marks, or values as they are; tell of those that mean nothing."""
    if network.output == "values":
        if (count := _count.get()) is not None:
            count.n_images += int(np.count_nonzero(~np.isfinite(results).all(axis=1)))
        return results
    n_classes = network.n_classes
    if not len(results) or results[results.argmax()] < n_classes:  # several times as fast as max
        return results
    is_marked = results >= n_classes
    tell(int(np.count_nonzero(is_marked)), len(results), network, stacklevel=4)
    return np.where(is_marked, results - n_classes, results)


def tell(n_images: int, total: int, network: Network, *, stacklevel: int = 3) -> None:
    """Count images whose labels mean nothing, or warn of them where nobody counts.

    Parameters
    ----------
    n_images, total : int
        Number of these, and of all.
    network : Network
    stacklevel : int, default 3
        As of `warnings.warn`: the caller of the caller.
    """
    if (count := _count.get()) is not None:
        count.n_images += n_images
    elif n_images:
        message = nonfinite_text(network, n_images, total, "try network.astype('{}')")
        warnings.warn(message, NonfiniteWarning, stacklevel=stacklevel)


def nonfinite_text(network: Network, n_images: int, total: int, remedy: str) -> str:
    """Return the sentence about images with outputs that are not finite.

    Parameters
    ----------
    network : Network
    n_images, total : int
        Number of these, and of all.
    remedy : str
        With the place of a wider dtype, such as "try --precision {}".
    """
    of_what = "" if network.output == "values" else ", whose labels mean nothing"
    text = f"images with NaN or infinite {network.output}{of_what}: {n_images:,} of {total:,}"
    dtype = next(wider_dtypes(str(network.dtype).rpartition(".")[2]), None)
    return text if dtype is None else f"{text} ({remedy.format(dtype)})"
