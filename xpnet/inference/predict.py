"""From many images to labels, probabilities and accuracy, batch by batch."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.counting import Transfers, count_transfers
from xpnet.arrays.memory import keep_freed_memory
from xpnet.arrays.namespace import array_namespace, as_array, current_device, library_of
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.sigmoids import sigmoid
from xpnet.functions.softmax import softmax
from xpnet.inference.batches import (
    TransferPolicy,
    as_rows,
    check_batch_size,
    check_transfer,
    check_transfers,
    is_stream,
    on_network_device,
)
from xpnet.inference.labels import as_class_ids, confusion_of, stay_together
from xpnet.inference.tiles import check_threads, in_tiles
from xpnet.networks.network import Network, forward

__all__ = ["Evaluation", "class_ids", "evaluate", "predict", "predict_proba"]


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
        another library must be the network's own. Dask images give a Dask array.
    batch_size : int, optional
        Rows at a time; chosen for the device by default.
    threads : int, optional
        How many batches a NumPy network computes at a time; by default as many as its matrix
        products have threads, which are held to one meanwhile. The results are the same bits.
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
        given together with `batch_invariant`, or `transfers` forbids to copy the images.

    Notes
    -----
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
    compute = _computation(network, class_ids, batch_size, invariant=batch_invariant)
    return _batched(network, images, _Work(*compute, threads, transfers))


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
    compute = _computation(network, _probabilities, batch_size, invariant=batch_invariant)
    return _batched(network, images, _Work(*compute, threads, transfers))


def class_ids(network: Network, y: Any) -> Any:
    """Return what `predict` says of outputs: class ids, or the values of a regression."""
    xp = array_namespace(y)
    if network.output == "values":
        return y
    if network.n_out == 1:
        # One unit speaks for class 1; class 0 has what is left: as much, if both are equal.
        even = xp.full_like(y, 0.0 if network.output == "logits" else 0.5)
        y = xp.concat((even, y), axis=1)
    return xp.argmax(y, axis=-1)


def _probabilities(network: Network, y: Any) -> Any:
    xp = array_namespace(y)
    if network.n_out > 1:
        return softmax(y) if network.output == "logits" else y
    pair = (sigmoid(-y), sigmoid(y)) if network.output == "logits" else (1.0 - y, y)
    return xp.concat(pair, axis=1)


_Finish = Callable[[Network, Any], Any]


def _computation(
    network: Network, finish: _Finish, batch_size: int | None, *, invariant: bool
) -> tuple[Callable[[Any], Any], int]:
    """Return what makes results of a batch of rows, and how many rows a batch has."""
    if invariant:
        from xpnet.inference.invariance import tiled

        return tiled(network, finish, batch_size)
    return lambda rows: finish(network, forward(network, rows)), check_batch_size(
        network, batch_size
    )


class _Work(NamedTuple):
    """What is done to rows: how to make results of a batch, how many rows it has, and where."""

    compute: Callable[[Any], Any]
    batch_size: int
    threads: int | None
    transfers: TransferPolicy


def _batched(network: Network, images: Any, work: _Work) -> Any:
    """Return the results of all images, where the images live."""
    check_threads(network, work.threads)
    if work.transfers != "allow":
        check_transfers(work.transfers)
    if not is_stream(images):
        images = as_array(images, "images")
        if library_of(images) == "dask":
            from xpnet.inference.lazy import map_rows

            return map_rows(lambda block: _batched(network, block, work), images)
    if network.library == "numpy":
        keep_freed_memory()
    with current_device(network.layers[0].weight):
        parts = list(_results(network, images, work))
        return parts[0] if len(parts) == 1 else array_namespace(parts[0]).concat(parts)


def _results(network: Network, images: Any, work: _Work) -> Iterator[Any]:
    """Yield the results part by part; at least one, if of no rows."""
    blocks = images if is_stream(images) else iter([images])
    first = next(blocks, np.empty((0, network.n_in), np.uint8))
    for block in chain([first], blocks):
        rows = as_rows(block, network.n_in)
        on_host = isinstance(rows, np.ndarray)
        n_rows = rows.shape[0]
        if on_host and n_rows and work.transfers != "allow":
            check_transfer(rows, network, work.transfers)
        if on_host and network.library == "numpy":
            yield in_tiles(work.compute, rows, work.batch_size, work.threads)
            continue
        for start in range(0, max(n_rows, 1), work.batch_size):
            batch = rows[start : min(start + work.batch_size, n_rows), :]
            result = work.compute(on_network_device(network, batch))
            yield to_numpy(result) if on_host else result


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How many images a network got right.

    Attributes
    ----------
    correct, total : int
        Images classified as their label says, and all.
    confusion : array of shape (n_classes, n_classes), int64
        How many images of the class in the row were taken for the class in the column.
    transfers : Transfers
        What was copied between host and device.
    """

    correct: int
    total: int
    confusion: NDArray[np.int64]
    transfers: Transfers = field(default_factory=Transfers)

    @property
    def accuracy(self) -> float:
        """Correct / total, in 0..1; NaN where there were no images."""
        return self.correct / self.total if self.total else float("nan")


def evaluate(
    network: Network,
    images: Any,
    labels: Any = None,
    /,
    *,
    batch_size: int | None = None,
    threads: int | None = None,
    batch_invariant: bool = False,
    transfers: TransferPolicy = "allow",
) -> Evaluation:
    """Classify images and compare with their labels.

    Parameters
    ----------
    network : Network
        With ``output="logits"`` or ``"probabilities"``.
    images : array, or iterator of pairs
        As for `predict`; or, without `labels`, an iterator of pairs (images, labels), which
        may be longer than the memory.
    labels : array of shape (n,), optional
        Class ids in 0 .. n_classes - 1, or entries of ``network.classes`` where it has them
        (where those are texts, either). Where images and labels are on the network's device,
        they are compared there, and counts come back.
    batch_size, threads, batch_invariant
        As for `predict`.
    transfers : {"allow", "forbid"}, default "allow"
        With "forbid", images or labels that are not where the network is are refused, and not
        copied. The counts come back nevertheless.

    Returns
    -------
    Evaluation
        With ``.accuracy``, ``.correct``, ``.total``, ``.confusion`` and ``.transfers``.

    Raises
    ------
    TypeError
        As `predict`; and if labels are missing, or no integers where the network names no
        classes.
    ValueError
        As `predict`; and if the numbers of images and labels differ, a label is no class of the
        network, or the network is a regression.

    Examples
    --------
    >>> import xpnet
    >>> result = xpnet.evaluate(xpnet.load("sample"), *xpnet.sample())
    >>> result.total, result.accuracy > 0.97
    (1000, True)
    """
    n_classes = network.n_classes
    if n_classes == 0:
        msg = "`network` must classify; got output='values', a regression: compare with predict"
        raise ValueError(msg)
    confusion = np.zeros((n_classes, n_classes), np.int64)
    compute = _computation(network, class_ids, batch_size, invariant=batch_invariant)
    work = _Work(*compute, threads, transfers)
    with count_transfers() as counted:
        for block, truth in _pairs(images, labels):
            predicted = _batched(network, block, work)
            confusion += _compared(network, predicted, truth, transfers)
    return Evaluation(int(np.trace(confusion)), int(confusion.sum()), confusion, counted)


def _pairs(images: Any, labels: Any) -> Iterable[tuple[Any, Any]]:
    if labels is not None:
        return [(images, labels)]
    if is_stream(images):
        pairs: Iterable[tuple[Any, Any]] = images
        return pairs
    msg = "`labels` must be given, unless `images` is an iterator of pairs (images, labels)"
    raise TypeError(msg)


def _compared(
    network: Network, predicted: Any, labels: Any, transfers: TransferPolicy
) -> NDArray[np.int64]:
    """Return how many of each class were taken for which."""
    labels = as_array(labels, "labels")
    check_transfer(labels, network, transfers, "labels")
    expected = as_class_ids(network, labels)
    if library_of(predicted) == "dask" or not stay_together(expected, predicted):
        expected, predicted = to_numpy(expected), to_numpy(predicted)
    if predicted.shape != expected.shape:
        msg = (
            "`labels` must be one for each image;"
            f" got {tuple(expected.shape)} labels for {predicted.shape[0]} images"
        )
        raise ValueError(msg)
    return confusion_of(expected, predicted, network.n_classes)
