"""From many images to labels, probabilities and accuracy, batch by batch."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, as_array, current_device, library_of
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.sigmoids import sigmoid
from xpnet.functions.softmax import softmax
from xpnet.inference.batches import as_rows, check_batch_size, is_stream, on_network_device
from xpnet.networks.network import Network, forward

__all__ = ["Evaluation", "as_class_ids", "evaluate", "predict", "predict_proba"]


def predict(network: Network, images: Any, /, *, batch_size: int | None = None) -> Any:
    """Return the class id of each image: the largest logit decides, no softmax is computed.

    Parameters
    ----------
    network : Network
    images : array of shape (n, n_in), (n, height, width) ..., or iterator of such arrays
        NumPy images go to the network's device batch by batch, ``uint8`` as it is. Images of
        another library must be the network's own. Dask images give a Dask array.
    batch_size : int, optional
        Rows at a time; chosen for the device by default.

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
        If the images do not have the network's number of inputs, or `batch_size` is below 1.

    Examples
    --------
    >>> import xpnet
    >>> images, labels = xpnet.sample()
    >>> xpnet.predict(xpnet.load("sample"), images[:5])
    array([0, 1, 2, 3, 4])
    """
    return _batched(network, images, _class_ids, batch_size)


def predict_proba(network: Network, images: Any, /, *, batch_size: int | None = None) -> Any:
    """Return the probability of each class for each image.

    Parameters
    ----------
    network, images, batch_size
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
    return _batched(network, images, _probabilities, batch_size)


def _class_ids(network: Network, y: Any) -> Any:
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


def _batched(
    network: Network,
    images: Any,
    finish: Callable[[Network, Any], Any],
    batch_size: int | None,
) -> Any:
    """Return ``finish(network, outputs)`` of all images, where the images live."""
    if not is_stream(images):
        images = as_array(images, "images")
        if library_of(images) == "dask":
            from xpnet.inference.lazy import map_rows

            return map_rows(lambda block: _batched(network, block, finish, batch_size), images)
    with current_device(network.layers[0].weight):
        parts = list(_results(network, images, finish, batch_size))
        return parts[0] if len(parts) == 1 else array_namespace(parts[0]).concat(parts)


def _results(
    network: Network,
    images: Any,
    finish: Callable[[Network, Any], Any],
    batch_size: int | None,
) -> Iterator[Any]:
    """Yield the results batch by batch; at least one, if of no rows."""
    size = check_batch_size(network, batch_size)
    blocks = images if is_stream(images) else iter([images])
    first = next(blocks, np.empty((0, network.n_in), np.uint8))
    for block in chain([first], blocks):
        rows = as_rows(block, network.n_in)
        n_rows = rows.shape[0]
        for start in range(0, max(n_rows, 1), size):
            batch = rows[start : min(start + size, n_rows), :]
            result = finish(network, forward(network, on_network_device(network, batch)))
            yield to_numpy(result) if isinstance(batch, np.ndarray) else result


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How many images a network got right.

    Attributes
    ----------
    correct, total : int
        Images classified as their label says, and all.
    confusion : array of shape (n_classes, n_classes), int64
        How many images of the class in the row were taken for the class in the column.
    """

    correct: int
    total: int
    confusion: NDArray[np.int64]

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
        (where those are texts, either).
    batch_size : int, optional
        Rows at a time; chosen for the device by default.

    Returns
    -------
    Evaluation
        With ``.accuracy``, ``.correct``, ``.total`` and ``.confusion``.

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
    for block, truth in _pairs(images, labels):
        predicted = to_numpy(predict(network, block, batch_size=batch_size))
        expected = as_class_ids(network, truth)
        if predicted.shape != expected.shape:
            msg = (
                "`labels` must be one for each image;"
                f" got {expected.shape} labels for {len(predicted)} images"
            )
            raise ValueError(msg)
        counts = np.bincount(expected * n_classes + predicted, minlength=n_classes**2)
        confusion += counts.reshape(n_classes, n_classes)
    return Evaluation(int(np.trace(confusion)), int(confusion.sum()), confusion)


def _pairs(images: Any, labels: Any) -> Iterable[tuple[Any, Any]]:
    if labels is not None:
        return [(images, labels)]
    if is_stream(images):
        pairs: Iterable[tuple[Any, Any]] = images
        return pairs
    msg = "`labels` must be given, unless `images` is an iterator of pairs (images, labels)"
    raise TypeError(msg)


def as_class_ids(network: Network, labels: Any) -> NDArray[np.int64]:
    """Return labels (class ids, or entries of ``network.classes``) as class ids on the host.

    Whole numbers are class ids where all classes are named by texts.

    Raises
    ------
    TypeError
        If they are no integers, where the network names no classes.
    ValueError
        If one is no class of the network.
    """
    truth = to_numpy(as_array(labels, "labels"))
    is_integer = np.isdtype(truth.dtype, "integral")
    if network.classes is not None and not (is_integer and _are_texts(network.classes)):
        ids = {name: i for i, name in enumerate(network.classes)}
        rule = "entries of the network's classes"
        found = np.asarray([ids.get(label, -1) for label in truth.tolist()], np.int64)
    elif is_integer:
        rule = f"class ids from 0 to {network.n_classes - 1}"
        found = truth.astype(np.int64)
    else:
        msg = f"`labels` must be integers; got dtype {truth.dtype}"
        raise TypeError(msg)
    wrong = np.flatnonzero((found < 0) | (found >= network.n_classes))
    if wrong.size:
        msg = f"`labels` must be {rule}; got {truth[wrong[0]]} in place {wrong[0]}"
        raise ValueError(msg)
    return found


def _are_texts(classes: tuple[str | int, ...]) -> bool:
    return all(isinstance(name, str) for name in classes)
