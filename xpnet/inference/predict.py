"""Labels, class ids and probabilities of images."""

from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.dask_blocks import is_dask, map_blocks
from xpnet.arrays.namespace import array_namespace, dtype_name, without_warnings
from xpnet.arrays.transfer import to_numpy
from xpnet.files.errors import DataError
from xpnet.functions.activations import ACTIVATIONS
from xpnet.inference.chunks import run
from xpnet.inference.class_labels import labels_of
from xpnet.inference.rows import array_in_order, as_rows
from xpnet.networks.input_range import warn_of_range
from xpnet.networks.network import Network, check_network

__all__ = ["argmax_ids", "check_ids", "class_ids", "outputs_of", "predict", "predict_blocks"]
__all__ += ["predict_ids", "predict_proba"]


def predict(
    network: Network,
    images: Any,
    /,
    *,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Any:
    """Return the label of each image: the class of the largest logit.

    Parameters
    ----------
    network : Network
    images : array of shape (n, n_in), (n, height, width) ...
        NumPy images are copied to the network's device chunk by chunk, ``uint8`` without
        conversion, and the results back; images of another library must be on that device, and of
        their results only strings are copied. Dask images give a Dask array with the same chunks
        along the rows. Data frames count as arrays. If the network was trained on columns with
        names, columns of a data frame are put in their order; rows without names are taken by
        position. The cast to the network's dtype is that of `forward`.
    batch_size : int, optional
        Rows of a chunk; by default 1,024 on the host, and as many as suit a device.
    threads : int, optional
        Threads that take chunks of a NumPy network, with one BLAS thread each. By default, fewer
        than 8 chunks are computed by BLAS's own threads, and more by as many threads as BLAS has.
        Blocks of Dask images, of which Dask computes several at a time, have one thread each. The
        last digits of results may depend on both options and on the processor, except for a
        `reproducible` network.

    Returns
    -------
    array of shape (n,)
        For a network without ``classes``, class ids: integers in the library and on the device of
        `images`. Entries of ``network.classes`` otherwise: integers in the library's default
        integer dtype on that device, and strings in a NumPy array (of objects if some entries are
        integers). Of equal logits, the first wins. A single output unit gives the second class if
        its logit is above 0 (its probability above 0.5). For ``output="values"``, the values, of
        shape (n, n_out), in the dtype of the network; for NumPy images, bfloat16 becomes float32.

    Raises
    ------
    TypeError
        If `images` is not an array, or belongs to another library than the network.
    ValueError
        If an image does not have the network's number of inputs, a data frame has other columns
        than the training, `batch_size` or `threads` is below 1.
    DataError
        If the largest output of a NumPy image is NaN or infinite: a ValueError with the first such
        row, their number, and whether its inputs are not finite or a layer overflows. Results that
        stay on a device are not looked at: such an image is of any class. Values and probabilities
        show NaN themselves.
    DeviceError
        If a device has no memory for a chunk: give a smaller `batch_size`. Also a MemoryError.

    Warns
    -----
    ScalingWarning
        If images of 64 numbers or more are in host memory and, by the first 256, integers above 1
        for a network of pixels in 0..1, or numbers in 0..1 for a network of bytes. A network takes
        bytes if ``network.metadata["input_range"]`` is "0..255", or its first step divides by 10 or
        more, or has a mean or a scale above 1.5. Each block of Dask images is judged by itself, and
        rows in its errors are counted from its first.

    Examples
    --------
    >>> import xpnet
    >>> images, labels = xpnet.sample()
    >>> xpnet.predict(xpnet.load("sample"), images[:5])
    array([0, 1, 2, 3, 4])
    >>> gate = xpnet.Network([xpnet.Dense([[1.0], [1.0]], [-1.5])], classes=["low", "high"])
    >>> xpnet.predict(gate, [[0, 1], [1, 1]])
    array(['low', 'high'], dtype='<U4')
    """
    check_network(network)
    if type(images) is not np.ndarray:
        images = array_in_order(network, images)
        if is_dask(images):
            return predict_blocks(predict, network, images, batch_size, threads)
    warn_of_range(network, images)
    ids = predict_ids(network, images, batch_size, threads)
    return ids if network.classes is None else labels_of(network, ids)


def predict_ids(
    network: Network,
    images: Any,
    /,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Any:
    """Return class ids of images, or values of a regression; arguments are as for `predict`."""
    if not isinstance(images, np.ndarray):
        return run(network, images, argmax_ids, batch_size, threads)
    ids = run(network, images, class_ids, batch_size, threads)
    check_ids(network, images, ids)
    return ids


def predict_proba(
    network: Network,
    images: Any,
    /,
    *,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Any:
    """Return the probability of each class for each image.

    Parameters
    ----------
    network, images, batch_size, threads
        As for `predict`.

    Returns
    -------
    array of shape (n, n_classes)
        In the library and on the device of `images`, and in the dtype of the network; for NumPy
        images, bfloat16 becomes float32. Rows sum to 1. A single output unit gives two classes:
        [1 - p, p]. Where the largest of several outputs is NaN or infinite, they are NaN.

    Raises
    ------
    TypeError, ValueError
        As `predict`; also if the network is a regression.

    Warns
    -----
    ScalingWarning
        As `predict`.

    Examples
    --------
    >>> import xpnet
    >>> images, labels = xpnet.sample()
    >>> xpnet.predict_proba(xpnet.load("sample"), images[:5]).shape
    (5, 10)
    """
    check_network(network)
    if network.output == "values":
        msg = "`network` must classify; got output='values', a regression: use predict"
        raise ValueError(msg)
    images = array_in_order(network, images)
    if is_dask(images):
        return predict_blocks(predict_proba, network, images, batch_size, threads)
    warn_of_range(network, images)
    return run(network, images, _probabilities, batch_size, threads)


def outputs_of(
    network: Network, images: Any, /, batch_size: int | None = None, threads: int | None = None
) -> Any:
    """Return the outputs for images, computed and placed as by `predict`."""
    return run(network, images, lambda _, y: y, batch_size, threads)


def predict_blocks(
    function: Callable[..., Any],
    network: Network,
    images: Any,
    batch_size: int | None,
    threads: int | None,
) -> Any:
    """Return ``function(network, block, ...)`` for blocks of Dask images, lazily."""
    if network.library == "dask":
        msg = "`network` must not be of Dask arrays for Dask images: use network.map_arrays"
        msg += "(lambda x: x.compute())"
        raise TypeError(msg)
    if threads is None and network.library == "numpy":
        threads = 1
    return map_blocks(partial(function, batch_size=batch_size, threads=threads), network, images)


def class_ids(network: Network, y: Any) -> Any:
    """Return the class ids of outputs, -1 where the largest is not finite; values unchanged."""
    ids = argmax_ids(network, y)
    if network.output == "values" or (isinstance(y, np.ndarray) and isfinite(np.vdot(y, y))):
        return ids
    xp = array_namespace(y)
    is_finite = xp.isfinite(xp.max(y, axis=1))
    return (ids + 1) * xp.astype(is_finite, xp.int32) - 1  # in MLX, ids are unsigned


def argmax_ids(network: Network, y: Any) -> Any:
    """Return the class ids of outputs, or the outputs themselves for a regression."""
    if network.output == "values":
        return y
    if type(y) is np.ndarray and network.n_out > 1:
        return y.argmax(axis=1)  # in a quarter of the time
    xp = array_namespace(y)
    if network.n_out == 1:
        # The unit represents class 1. Class 0 wins if both are equal.
        even = xp.full_like(y, 0.0 if network.output == "logits" else 0.5)
        y = xp.concat((even, y), axis=1)
    return xp.argmax(y, axis=1)


def check_ids(network: Network, images: Any, ids: NDArray[Any], first_row: int = 0) -> None:
    """Raise DataError if class ids of images hold -1, with the first and its cause.

    `first_row` is the number of the first image.
    """
    if network.output == "values" or not len(ids) or ids[ids.argmin()] >= 0:
        return  # argmin is several times as fast as min
    lost = np.flatnonzero(ids < 0)
    row = to_numpy(as_rows(images, network.n_in)[lost[0] : lost[0] + 1, ...])
    others = f" and {len(lost) - 1:,} more" if len(lost) > 1 else ""
    what = f"row {first_row + lost[0]} (from 0){others} without a finite largest output"
    msg = f"{what}: {_cause(network, row)}"
    raise DataError(msg)


def _cause(network: Network, row: NDArray[Any]) -> str:
    """Return why the largest output of a row is not finite."""
    if not np.isfinite(row).all():
        return "its inputs are not finite"
    dtype = dtype_name(network.dtype)
    wider = "" if dtype == "float64" else ", or use network.astype('float64')"
    remedy = f"overflows in {dtype}: scale the inputs{wider}"
    host = network.to("cpu")
    with without_warnings():
        if not np.isfinite(host.inputs(row, np)).all():
            return f"the preprocessing {remedy}"
        for i, (_, y) in enumerate(host.layer_results(row, np), start=1):
            if not np.isfinite(host.rounded(y, np)).all():
                return f"layer {i} {remedy}"
    return "the device gives no finite one"


def _probabilities(network: Network, y: Any) -> Any:
    xp = array_namespace(y)
    if network.n_out > 1:
        return _activated(network, "softmax", y) if network.output == "logits" else y
    if network.output == "logits":
        pair = _activated(network, "sigmoid", -y), _activated(network, "sigmoid", y)
    else:
        pair = 1.0 - y, y
    return xp.concat(pair, axis=1)


def _activated(network: Network, name: str, y: Any) -> Any:
    xp = array_namespace(y)
    return network.rounded(ACTIVATIONS[name](network.widened(y, xp), network.functions(y)), xp)
