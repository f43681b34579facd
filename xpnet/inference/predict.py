"""From many images to labels and probabilities, batch by batch."""

from typing import Any

import numpy as np

from xpnet.arrays.namespace import array_namespace, cast, current_device, largest
from xpnet.functions.sigmoids import sigmoid
from xpnet.functions.softmax import softmax
from xpnet.inference.batches import TransferPolicy, is_stream
from xpnet.inference.nonfinite import mark, report
from xpnet.inference.runner import batched, plan
from xpnet.networks.network import Network

__all__ = ["class_ids", "marked_class_ids", "predict", "predict_proba"]


def predict(
    network: Network,
    images: Any,
    /,
    *,
    batch_size: int | None = None,
    threads: int | None = None,
    batch_invariant: bool = False,
    transfers: TransferPolicy = "allow",
) -> Any:
    """Return the class id of each image: the largest logit decides, no softmax is computed.

    Parameters
    ----------
    network : Network
    images : array of shape (n, n_in), (n, height, width) ..., or iterator of such arrays
        NumPy images go to the network's device batch by batch, ``uint8`` as it is. Images of
        another library must be the network's own. Dask images give a Dask array. Cast as by
        `forward`.
    batch_size : int, optional
        Rows at a time; chosen for the device by default.
    threads : int, optional
        How many batches a NumPy network computes at a time; by default as many as its matrix
        products have threads, which are held to one meanwhile. The results are the same bits. A
        few rows are one batch: fewer than take about a millisecond.
    batch_invariant : bool, default False
        Whether an image's result shall be the same bits whatever is computed with it. It
        chooses its own `batch_size`.
    transfers : {"allow", "forbid"}, default "allow"
        With "forbid", images that are not where the network is are refused, and not copied.

    Returns
    -------
    array of shape (n,), integers
        Class ids, where the images live. On equal logits the first wins; NaN counts as the
        largest, so an image with a NaN pixel, whose logits are all NaN, is given class 0. One
        output unit: 1 where its logit is above 0 (its probability above 0.5). For
        ``output="values"``, the values, of shape (n, n_out).

    Raises
    ------
    TypeError
        If `images` are no array, or of another library than the network.
    ValueError
        If the images do not have the network's number of inputs, `batch_size` is below 1 or
        given together with `batch_invariant`, or `transfers` forbids to copy the images. Of NumPy
        images and a NumPy network, if a finite number is infinite in the dtype of the network; a
        network on a device computes with infinity.
    DeviceError
        If the GPU has no memory for 1,024 rows at a time.

    Warns
    -----
    NonfiniteWarning
        If the largest output for some images is NaN or infinite, since the layers overflow: a
        RuntimeWarning with their number. Not of results on a device, or of Dask; nor of NumPy
        images with NaN or infinite pixels and a NumPy network, whose class is the caller's choice.

    Notes
    -----
    To a network of CuPy, rows go as they are, in pinned chunks of 65,536, of which one is on its
    way while the one before is computed; blocks of an iterator are put together. Chunks are halved
    where memory is short. An array that is pinned is not copied on the host, and one that is on the
    GPU is not copied at all.

    Many calls with few rows are faster with ``xpnet.prepare(network)``. From 2,048 rows on, and
    of an iterator, a NumPy network is prepared by itself, but for its activations; so is one of
    CuPy, from 262,144 rows on. Rows that must be preprocessed before they are cast take the network
    as it is. Of a memory-mapped file that is open for reading, what was computed
    does not stay in memory.

    With `batch_invariant`, NumPy multiplies each row alone, which measured with OpenBLAS (its
    kernels for AVX2 and AVX-512) makes results independent of the batch, of the place in it and
    of the number of threads. Other libraries are given one row at a time; but CuPy tiles of 256
    rows, filled up with zeros, which has not been run on a GPU.

    Examples
    --------
    >>> import xpnet
    >>> images, labels = xpnet.sample()
    >>> xpnet.predict(xpnet.load("sample"), images[:5])
    array([0, 1, 2, 3, 4])
    """
    # Of results that stay on a device, or are yet to be computed, nothing can be told.
    is_counted = isinstance(images, np.ndarray | list | tuple) or is_stream(images)
    work = plan(
        network,
        images,
        marked_class_ids if is_counted else _class_ids,
        batch_size=batch_size,
        threads=threads,
        batch_invariant=batch_invariant,
        transfers=transfers,
    )
    results = batched(images, work)
    if not is_counted:
        return results
    if isinstance(results, np.ndarray):
        return report(results, network)
    with current_device(results):  # of a stream on a device
        return results if network.output == "values" else results % network.n_classes


def predict_proba(
    network: Network,
    images: Any,
    /,
    *,
    batch_size: int | None = None,
    threads: int | None = None,
    batch_invariant: bool = False,
    transfers: TransferPolicy = "allow",
) -> Any:
    """Return the probability of each class for each image.

    Parameters
    ----------
    network, images, batch_size, threads, batch_invariant, transfers
        As for `predict`.

    Returns
    -------
    array of shape (n, n_classes)
        Rows sum to 1, where the images live. One output unit gives two classes: [1 - p, p].

    Raises
    ------
    TypeError, ValueError
        As `predict`; and if the network is a regression, whose outputs are no probabilities.

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
    work = plan(
        network,
        images,
        _probabilities,
        batch_size=batch_size,
        threads=threads,
        batch_invariant=batch_invariant,
        transfers=transfers,
    )
    return batched(images, work)


def marked_class_ids(network: Network, rows: Any, y: Any) -> Any:
    """Return class ids, marked where they mean nothing, or the values of a regression."""
    ids = class_ids(network, y)
    return ids if network.output == "values" else mark(ids, rows, y, network.n_classes)


def _class_ids(network: Network, _rows: Any, y: Any) -> Any:
    return class_ids(network, y)


def class_ids(network: Network, y: Any) -> Any:
    """Return what `predict` says of outputs: class ids, or the values of a regression."""
    xp = array_namespace(y)
    if network.output == "values":
        return y
    if network.n_out == 1:
        # One unit speaks for class 1; class 0 has what is left: as much, if both are equal.
        even = xp.full_like(y, 0.0 if network.output == "logits" else 0.5)
        y = xp.concat((even, y), axis=1)
    return largest(y, xp)


def _probabilities(network: Network, _rows: Any, y: Any) -> Any:
    xp = array_namespace(y)
    if network.n_out > 1:
        return softmax(y) if network.output == "logits" else y
    if network.output == "logits":
        pair = sigmoid(-y), sigmoid(y)
    else:
        pair = cast(1.0 - y, y.dtype, xp), y  # of CuPy's bfloat16, the difference is float32
    return xp.concat(pair, axis=1)
