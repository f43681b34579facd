"""Detection of outputs that are NaN or infinite because the layers overflow.

The class id of an image with such an output is marked: the number of classes is added to it. Marks
are copied from a device with the ids, so counting them needs no transfer and no synchronization.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.dask_blocks import warn
from xpnet.arrays.namespace import array_namespace, cast, limits_of
from xpnet.arrays.ranges import wider_dtypes
from xpnet.networks.network import Network

__all__ = [
    "NonfiniteCount",
    "NonfiniteWarning",
    "are_finite",
    "count_nonfinite",
    "mark_nonfinite",
    "nonfinite_text",
    "remove_marks",
    "warn_nonfinite",
]


class NonfiniteWarning(RuntimeWarning):
    """Predicted classes are meaningless, because the largest output is NaN or infinite."""


@dataclass
class NonfiniteCount:
    """Number of images with outputs that are not finite, and their rows in the last call."""

    n_images: int = 0
    rows: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))


_count: ContextVar[NonfiniteCount | None] = ContextVar("_count", default=None)


@contextmanager
def count_nonfinite() -> Iterator[NonfiniteCount]:
    """Count images instead of warning of them in `predict` and `evaluate`.

    For regressions, images with NaN or infinite values are counted.
    """
    count = NonfiniteCount()
    token = _count.set(count)
    try:
        yield count
    finally:
        _count.reset(token)


def are_finite(y: NDArray[Any]) -> bool:
    """Return whether all numbers are finite. A sum of squares that overflows also gives False.

    This is the fastest check of all numbers, and `numpy.vdot` does not warn.
    """
    return math.isfinite(np.vdot(y, y))


def mark_nonfinite(ids: Any, rows: Any, y: Any, n_classes: int) -> Any:
    """Return class ids, marked where finite inputs have a largest output that is not finite.

    Only NumPy inputs are checked: in other libraries, a NaN among the inputs is marked as well.
    """
    if isinstance(y, np.ndarray) and are_finite(y):
        return ids
    xp = array_namespace(y)
    if limits_of(y.dtype, xp).bits < 32:
        y = cast(y, xp.float32, xp)  # CuPy lacks functions of bfloat16
    is_marked = ~xp.isfinite(xp.max(y, axis=1))
    if isinstance(rows, np.ndarray) and rows.dtype.kind == "f":
        is_marked &= np.isfinite(rows).all(axis=1)
    return xp.where(is_marked, ids + n_classes, ids)


def remove_marks(results: NDArray[Any], network: Network) -> NDArray[Any]:
    """Return class ids without marks, or values unchanged; warn about nonfinite outputs."""
    if network.output == "values":
        if (count := _count.get()) is not None:
            count.rows = np.flatnonzero(~np.isfinite(results).all(axis=1))
            count.n_images += len(count.rows)
        return results
    n_classes = network.n_classes
    if not len(results) or results[results.argmax()] < n_classes:  # several times as fast as max
        return results
    is_marked = results >= n_classes
    if (count := _count.get()) is not None:
        count.rows = np.flatnonzero(is_marked)
    warn_nonfinite(int(np.count_nonzero(is_marked)), len(results), network, stacklevel=5)
    return np.where(is_marked, results - n_classes, results)


def warn_nonfinite(n_images: int, total: int, network: Network, *, stacklevel: int = 3) -> None:
    """Warn at the location of the caller's caller, or count inside of `count_nonfinite`."""
    if (count := _count.get()) is not None:
        count.n_images += n_images
    elif n_images:
        message = nonfinite_text(network, n_images, total, "try network.astype('{}')")
        warn(message, NonfiniteWarning, stacklevel=stacklevel)


def nonfinite_text(network: Network, n_images: int, total: int, remedy: str) -> str:
    """Return a message about nonfinite outputs; `remedy` is "try --precision {}", for example."""
    effect = "" if network.output == "values" else ", whose labels are meaningless"
    text = f"images with NaN or infinite {network.output}{effect}: {n_images:,} of {total:,}"
    dtype = next(wider_dtypes(str(network.dtype).rpartition(".")[2]), None)
    return text if dtype is None else f"{text} ({remedy.format(dtype)})"
