"""Detection of images in which a layer overflows.

In a NumPy network, these are the images for which a layer sums up to NaN or infinity, although a
sigmoid may hide it. In other libraries, their largest output is NaN or infinite. Between a batch
and the end of a call, the complement ``~id``, a negative number, stands for the class id of such an
image: it comes from a device with the other ids, without another transfer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.dask_blocks import warn
from xpnet.arrays.namespace import array_namespace, dtype_name, without_warnings
from xpnet.arrays.ranges import are_finite, wider_dtypes
from xpnet.networks.execution import layer_results
from xpnet.networks.network import Network

__all__ = ["NonfiniteWarning", "checked_results", "count_nonfinite", "lost_rows", "nonfinite_text"]
__all__ += ["outputs_and_lost_rows", "warn_nonfinite", "without_complements", "without_lost"]


class NonfiniteWarning(RuntimeWarning):
    """Predicted classes are meaningless, because a layer gives NaN or infinity."""


@dataclass
class NonfiniteCount:
    """Number of images in which a layer overflows, and their rows in the last call."""

    n_images: int = 0
    rows: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))


_count: ContextVar[NonfiniteCount | None] = ContextVar("_count", default=None)


@contextmanager
def count_nonfinite() -> Iterator[NonfiniteCount]:
    """Count images with meaningless predictions or values instead of warning of them."""
    count = NonfiniteCount()
    token = _count.set(count)
    try:
        yield count
    finally:
        _count.reset(token)


def outputs_and_lost_rows(network: Network, rows: NDArray[Any]) -> tuple[NDArray[Any], Any]:
    """Return the outputs of a NumPy network, and in which rows a layer overflows, or None.

    Rows of NaN or infinity do not count, nor do units of such parameters and those behind them. A
    reproducible network computes with infinity: only its outputs count.
    """
    if network.is_reproducible:
        y = network.compute(rows, np)
        return y, lost_rows(network, rows, y)
    plan = network.plan
    if plan is not None and (y := plan.outputs(rows)) is not None:
        return y, None
    is_lost = np.zeros(len(rows), np.bool_)
    with without_warnings():
        stages = layer_results(network, rows, np)
        _, y = next(stages)
        for layer, (sums, results) in zip(network.layers, stages, strict=True):
            if not (are_finite(sums) and are_finite(results)):
                is_counted = np.isfinite(layer.weight).all(axis=0) & np.isfinite(layer.bias)
                is_infinite = ~np.isfinite(sums) | ~np.isfinite(results)
                is_lost |= (is_infinite & is_counted).any(axis=1) & np.isfinite(y).all(axis=1)
            y = results
    is_finite = np.isfinite(rows).all(axis=1)
    if plan is not None and not is_finite.all():  # others get the bits that they have without them
        others = plan.outputs(np.where(is_finite[:, None], rows, np.zeros_like(rows)))
        y = y if others is None else np.where(is_finite[:, None], others, y)
    is_lost &= is_finite
    return y, is_lost if is_lost.any() else lost_rows(network, rows, y)


def lost_rows(network: Network, rows: Any, y: Any) -> Any | None:
    """Return in which rows of finite numbers the largest output is not finite; None if in none.

    Only NumPy rows are examined: in other libraries, rows of NaN count as well.
    """
    if network.output == "values" or (isinstance(y, np.ndarray) and are_finite(y)):
        return None
    xp = array_namespace(y)
    is_lost = ~xp.isfinite(xp.max(y, axis=1))
    if isinstance(rows, np.ndarray) and rows.dtype.kind == "f":
        is_lost &= np.isfinite(rows).all(axis=1)
    return is_lost


def without_lost(y: NDArray[Any], is_lost: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return outputs with NaN for the finite ones of lost rows, which a layer's overflow made."""
    return y if is_lost is None else np.where(is_lost[:, None] & np.isfinite(y), np.nan, y)


def without_complements(ids: Any) -> Any:
    """Return class ids with those of lost rows instead of their complements."""
    return array_namespace(ids).where(ids < 0, ~ids, ids)


def checked_results(results: NDArray[Any], network: Network) -> NDArray[Any]:
    """Return class ids without complements, or values; warn about the lost rows, or count them."""
    if network.output == "values":
        is_lost = None if _count.get() is None else ~np.isfinite(results).all(axis=1)
    elif not len(results) or results[results.argmin()] >= 0:  # several times as fast as min
        is_lost = None
    else:
        results, is_lost = without_complements(results), results < 0
    if is_lost is not None:
        rows = np.flatnonzero(is_lost)
        if (count := _count.get()) is not None:
            count.rows = rows
        warn_nonfinite(len(rows), len(results), network, stacklevel=5)
    return results


def warn_nonfinite(n_images: int, total: int, network: Network, *, stacklevel: int) -> None:
    """Warn at the location of the caller's caller, or count inside of `count_nonfinite`."""
    if (count := _count.get()) is not None:
        count.n_images += n_images
    elif n_images:
        message = nonfinite_text(network, n_images, total, "try network.astype('{}')")
        warn(message, NonfiniteWarning, stacklevel=stacklevel)


def nonfinite_text(network: Network, n_images: int, total: int, remedy: str) -> str:
    """Return a message about nonfinite outputs; `remedy` is "try --precision {}", for example."""
    what = "NaN or infinity in a layer, whose labels are meaningless"
    if network.output == "values":
        what = "NaN or infinite values"
    text = f"images with {what}: {n_images:,} of {total:,}"
    dtype = next(wider_dtypes(dtype_name(network.dtype)), None)
    return text if dtype is None else f"{text} ({remedy.format(dtype)})"
