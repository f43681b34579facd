"""Accuracy and confusion matrix of a network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.dask_blocks import computed, is_dask
from xpnet.arrays.transfer import to_numpy
from xpnet.files.errors import DataError
from xpnet.inference.chunks import run
from xpnet.inference.class_labels import as_class_ids
from xpnet.inference.predict import check_ids, class_ids, predict_blocks
from xpnet.inference.rows import array_in_order
from xpnet.networks.input_range import warn_of_range
from xpnet.networks.network import Network, check_network

__all__ = ["Evaluation", "count_pairs", "evaluate", "evaluation_of"]


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Result of comparing predictions with labels; a notebook shows the matrix, too.

    Attributes
    ----------
    correct, total : int
        Number of images classified as labelled, and of all images.
    confusion : array of shape (n_classes, n_classes), int64
        Number of images by class (row) and predicted class (column).
    classes : sequence of str or int, or None
        Names of the classes, if the network has any.
    """

    correct: int
    total: int
    confusion: NDArray[np.int64]
    classes: Sequence[str | int] | None = None

    @property
    def accuracy(self) -> float:
        """Correct / total, in 0..1; NaN without images."""
        return self.correct / self.total if self.total else float("nan")

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of correct ones among the images predicted as each class; NaN without images."""
        n_images = self.confusion.sum(axis=0)
        return np.diagonal(self.confusion) / np.where(n_images > 0, n_images, np.nan)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of correct ones among the images of each class; NaN without images."""
        n_images = self.confusion.sum(axis=1)
        return np.diagonal(self.confusion) / np.where(n_images > 0, n_images, np.nan)

    def __repr__(self) -> str:
        return f"Evaluation({self._summary()})"

    def _summary(self) -> str:
        digits = 3 if self.total <= 1000 else 4
        counts = f"{self.accuracy:.{digits}f}: {self.correct:,} of {self.total:,}"
        return counts if self.total else "no images"

    def _repr_html_(self) -> str:
        from xpnet.pictures.results import draw_confusion, result_as_html

        names = self.classes or range(len(self.confusion))
        pairs = (f"{names[i]} predicted as {names[j]}: {n:,}" for i, j, n in self.most_confused())
        rows = {"accuracy": self._summary(), "most frequent mistakes": "; ".join(pairs) or "none"}
        return result_as_html(rows, draw_confusion, self.confusion, names)

    def most_confused(self, n_pairs: int = 5) -> list[tuple[int, int, int]]:
        """Return the most frequent mistakes: class id, predicted class id, number of images."""
        mistakes = np.where(np.eye(len(self.confusion), dtype=bool), 0, self.confusion)
        frequent = np.argsort(-mistakes, axis=None, kind="stable")[:n_pairs].tolist()
        counts = ((*divmod(i, len(mistakes)), int(mistakes.flat[i])) for i in frequent)
        return [pair for pair in counts if pair[2]]


def evaluate(
    network: Network,
    images: Any,
    labels: Any = None,
    /,
    *,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Evaluation:
    """Classify images and compare the classes with labels.

    Parameters
    ----------
    network : Network
        With ``output="logits"`` or ``"probabilities"``.
    images : array, or iterator of pairs
        As for `predict`; or, without `labels`, an iterator of pairs (images, labels), which may
        exceed the memory.
    labels : array of shape (n,), optional
        Each is matched by its text: with that of an entry of ``network.classes``, or for a network
        without classes with the number of one. Labels and class ids are compared on the host.
    batch_size, threads
        As for `predict`.

    Returns
    -------
    Evaluation
        With ``.accuracy``, ``.correct``, ``.total``, ``.confusion``, ``.precision`` and
        ``.recall`` of each class, and ``.most_confused()``.

    Raises
    ------
    TypeError
        As `predict`; also if labels are missing.
    ValueError
        As `predict`; also if the numbers of images and labels differ, a label is not a class of the
        network, or the network is a regression.
    DataError
        As `predict`, also for images on a device; rows of pairs are counted from the first pair.

    Warns
    -----
    ScalingWarning
        As `predict`.

    Examples
    --------
    >>> import xpnet
    >>> result = xpnet.evaluate(xpnet.load("sample"), *xpnet.sample())
    >>> result, result.most_confused(1)
    (Evaluation(0.986: 986 of 1,000), [(5, 3, 2)])
    """
    check_network(network)
    if network.output == "values":
        msg = "`network` must classify; got output='values', a regression: compare with predict"
        raise ValueError(msg)
    if labels is None and not isinstance(images, Iterator):
        msg = "`labels` must be given, unless `images` is an iterator of pairs (images, labels)"
        raise TypeError(msg)
    if is_dask(images):
        ids = predict_blocks(_predicted, network, images, batch_size, threads)
        return evaluation_of(network, count_pairs(network, *computed(ids, labels)))
    counts = np.zeros(network.n_classes**2, np.int64)
    n_rows = 0
    for some, names in images if labels is None else [(images, labels)]:
        ids = _predicted(network, some, batch_size, threads, n_rows)
        counts += count_pairs(network, ids, names)
        n_rows += len(ids)
    return evaluation_of(network, counts)


def _predicted(
    network: Network,
    images: Any,
    batch_size: int | None = None,
    threads: int | None = None,
    first_row: int = 0,
) -> NDArray[Any]:
    """Return class ids, on the host; raise DataError as `check_ids`."""
    images = array_in_order(network, images)
    warn_of_range(network, images, stacklevel=3)
    ids = to_numpy(run(network, images, class_ids, batch_size, threads))
    check_ids(network, images, ids, first_row)
    return ids


def count_pairs(network: Network, ids: NDArray[Any], labels: Any) -> NDArray[np.int64]:
    """Return the confusion matrix of class ids and labels as a vector."""
    expected, n_classes = as_class_ids(network, labels), network.n_classes
    if ids.shape != expected.shape:
        msg = (
            f"`labels` must be one for each image; got {len(expected)} labels for {len(ids)} images"
        )
        raise DataError(msg)
    return np.bincount(expected * n_classes + ids, minlength=n_classes**2)


def evaluation_of(network: Network, counts: NDArray[np.int64]) -> Evaluation:
    """Return the evaluation of the sum of all `count_pairs`."""
    confusion = counts.reshape(network.n_classes, network.n_classes)
    correct, total = int(np.trace(confusion)), int(confusion.sum())
    return Evaluation(correct, total, confusion, network.classes)
