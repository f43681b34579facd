"""Labels, class ids and probabilities of images."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from xpnet.arrays.dask_blocks import is_dask, map_blocks
from xpnet.arrays.namespace import array_namespace, largest
from xpnet.functions.activations import ACTIVATIONS
from xpnet.inference.batches import BatchOptions
from xpnet.inference.class_labels import labels_of
from xpnet.inference.nonfinite import checked_results, lost_rows, without_lost
from xpnet.inference.runner import run
from xpnet.inference.tiles import compute_few
from xpnet.networks.input_range import with_scaling_warning
from xpnet.networks.network import Network

__all__ = ["class_ids", "marked_class_ids", "most_probable", "predict", "predict_blocks"]
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
        NumPy images are copied to the network's device batch by batch, ``uint8`` without
        conversion, and the results back; images of another library must be on that device, and of
        their results only strings are copied. Dask images give a Dask array with the same chunks
        along the rows. Data frames without missing values count as arrays; the names of their
        columns are ignored. The cast to the network's dtype is that of `forward`.
    batch_size : int, optional
        Rows in a batch; chosen for the device by default.
    threads : int, optional
        Batches that a NumPy network computes at a time; by default the number of threads of its
        matrix products, which are limited to one meanwhile. It does not change the bits of the
        results. Blocks of Dask images, of which Dask computes several at a time, have one thread
        each by default.

    Returns
    -------
    array of shape (n,)
        For a network without ``classes``, class ids: integers in the library and on the device of
        `images`. Entries of ``network.classes`` otherwise: integers in the library's default
        integer dtype on that device, and strings in a NumPy array (of objects if some entries are
        integers). Of equal logits, the first wins. NaN counts as the largest: an image with a NaN
        pixel, whose logits are all NaN, is of the first class. A single output unit gives the
        second class if its logit is above 0 (its probability above 0.5). For ``output="values"``,
        the values, of shape (n, n_out), in the dtype of the network; for NumPy images, bfloat16
        becomes float32.

    Raises
    ------
    TypeError
        If `images` is not an array, or belongs to another library than the network.
    ValueError
        If an image does not have the network's number of inputs, `batch_size` is below 1, labels
        exceed the default integer dtype, or strings are the labels of images traced by ``jax.jit``.
        For NumPy images, also if they are integers beyond 2^53 in size from which a mean is
        subtracted; with a NumPy network, also if a finite number overflows in the preprocessing or
        in the dtype of the network. A network on a device, and a `reproducible` one, compute with
        infinity.
    DeviceError
        If a device has no memory for a batch: give a smaller `batch_size`. Also a MemoryError.

    Warns
    -----
    NonfiniteWarning
        If a layer gives NaN or infinity for some images; a RuntimeWarning with their number. In a
        NumPy network, any sum of a layer counts, even if a sigmoid hides it, unless pixels or
        parameters are NaN or infinite; in other libraries, the largest output. Instead of the
        warning, values of such images are NaN. It is not given for results on a device.
    ScalingWarning
        If the first 256 NumPy images are in 0..1, and the network's first step is for raw pixels:
        it divides by 255, or has such means or scales (on the host); or if they are integers, and
        ``network.metadata["input_range"]`` is "0..1", or bytes for a first step that standardises
        or whitens pixels in 0..1.
    dask.array.PerformanceWarning
        If the values of a Dask image are in several chunks, which must be joined. The other
        warnings are given for each block, and rows in errors are counted from its first.

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
    if type(images) is not np.ndarray and is_dask(images):
        options = BatchOptions(batch_size, threads)
        return predict_blocks(predict, network, images, options)
    images = with_scaling_warning(network, images)
    y = None if batch_size is not None else compute_few(network, images, threads)
    ids = predict_ids(network, images, batch_size, threads) if y is None else class_ids(network, y)
    return ids if network.classes is None else labels_of(network, ids)


def predict_ids(
    network: Network,
    images: Any,
    /,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Any:
    """Return class ids of images, or values of a regression; arguments are as for `predict`."""
    options = BatchOptions(batch_size, threads)
    # Lost rows cannot be counted on a device, or before Dask computes.
    if not isinstance(images, np.ndarray | list | tuple):
        return run(network, images, lambda network, y, _is_lost: class_ids(network, y), options)
    return checked_results(run(network, images, marked_class_ids, options), network)


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
        [1 - p, p]. Where a layer of a NumPy network gives NaN or infinity, they are NaN.

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
    if network.output == "values":
        msg = "`network` must classify; got output='values', a regression: use predict"
        raise ValueError(msg)
    options = BatchOptions(batch_size, threads)
    if is_dask(images):
        return predict_blocks(predict_proba, network, images, options)
    images = with_scaling_warning(network, images)
    if batch_size is None:
        y = compute_few(network, images, threads)
        if y is not None:
            return _probabilities(network, y, None)
    return run(network, images, _probabilities, options)


def predict_blocks(
    function: Callable[..., Any], network: Network, images: Any, options: BatchOptions
) -> Any:
    """Return ``function(network, block, **options)`` for blocks of Dask images, lazily."""
    if network.library == "dask":
        msg = "`network` must not be of Dask arrays for Dask images: use network.map_arrays"
        msg += "(lambda x: x.compute())"
        raise TypeError(msg)
    if options.threads is None and network.library == "numpy":
        options = options._replace(threads=1)
    return map_blocks(partial(function, **options._asdict()), network, images)


def most_probable(ids: Any, probabilities: Any, n_classes: int) -> tuple[Any, Any]:
    """Return class ids and probabilities by rank, in NumPy; the predicted `ids` come first."""
    keys = np.negative(probabilities, dtype=np.float64)
    keys[np.arange(len(ids)), ids] = -np.inf  # others may be as probable, and all may be NaN
    ranked = np.argsort(keys, axis=1, kind="stable")[:, :n_classes]
    return ranked, np.take_along_axis(probabilities, ranked, axis=1)


def marked_class_ids(network: Network, y: Any, is_lost: Any | None) -> Any:
    """Return class ids, complements in lost rows, or the values of a regression, NaN there."""
    if network.output == "values":
        return without_lost(y, is_lost)
    ids = class_ids(network, y)
    if is_lost is None and not isinstance(y, np.ndarray):
        is_lost = lost_rows(network, None, y)
    return ids if is_lost is None else array_namespace(ids).where(is_lost, ~ids, ids)


def class_ids(network: Network, y: Any) -> Any:
    """Return the class ids of outputs, or the outputs themselves for a regression."""
    if network.output == "values":
        return y
    if type(y) is np.ndarray and network.n_out > 1:
        return y.argmax(axis=1)
    xp = array_namespace(y)
    if network.n_out == 1:
        # The unit represents class 1. Class 0 wins if both are equal.
        even = xp.full_like(y, 0.0 if network.output == "logits" else 0.5)
        y = xp.concat((even, y), axis=1)
    return largest(y, xp)


def _probabilities(network: Network, y: Any, is_lost: Any | None) -> Any:
    y = without_lost(y, is_lost)
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
