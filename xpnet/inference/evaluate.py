"""Accuracy and confusion matrix of a network."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.dask_blocks import is_dask, sum_over_blocks
from xpnet.arrays.namespace import as_array
from xpnet.arrays.ranges import counting_from
from xpnet.inference.batches import BatchOptions
from xpnet.inference.class_labels import as_class_ids, confusion_of
from xpnet.inference.nonfinite import warn_nonfinite
from xpnet.inference.predict import marked_class_ids, predict_blocks
from xpnet.inference.runner import Runner, run
from xpnet.networks.input_range import with_scaling_warning
from xpnet.networks.network import Network

__all__ = ["Evaluation", "compare_labels", "evaluate"]


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Result of comparing predictions with labels; a notebook shows the matrix, too.

    Attributes
    ----------
    correct, total : int
        Number of images classified as labelled, and of all images.
    confusion : array of shape (n_classes, n_classes), int64
        Number of images by class (row) and predicted class (column).
    n_nonfinite : int
        Number of images with meaningless predictions, since a layer gives NaN or infinity: see
        ``NonfiniteWarning`` of `xpnet.predict`.
    classes : sequence of str or int, or None
        Names of the classes, if the network has any.
    """

    correct: int
    total: int
    confusion: NDArray[np.int64]
    n_nonfinite: int = 0
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
        lost = f"; {self.n_nonfinite:,} not finite" if self.n_nonfinite else ""
        return f"{counts if self.total else 'no images'}{lost}"

    def _repr_html_(self) -> str:
        from xpnet.pictures.confusion import draw_confusion
        from xpnet.pictures.html import result_as_html

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
        exceed the memory. Dask images are counted block by block, and only counts are returned.
    labels : array of shape (n,), optional
        Class ids in 0 .. n_classes - 1, or entries of ``network.classes`` (both, if the entries are
        strings). Strings such as "7" are integers if no entry is a string. If images and labels are
        on the network's device, they are compared there, and only counts are copied back. With Dask
        images, also a Dask array in any chunks.
    batch_size, threads
        As for `predict`.

    Returns
    -------
    Evaluation
        With ``.accuracy``, ``.correct``, ``.total``, ``.confusion``, ``.precision`` and
        ``.recall`` of each class, ``.most_confused()`` and ``.n_nonfinite``.

    Raises
    ------
    TypeError
        As `predict`; also if labels are missing, or are not integers for a network without
        ``classes``.
    ValueError
        As `predict`; also if the numbers of images and labels differ, a label is not a class of the
        network or is the id and name of two classes, or the network is a regression.

    Warns
    -----
    NonfiniteWarning
        If ``.n_nonfinite`` is not 0; a RuntimeWarning.
    ScalingWarning
        As `predict`; of an iterator, the first block is examined.

    Examples
    --------
    >>> import xpnet
    >>> result = xpnet.evaluate(xpnet.load("sample"), *xpnet.sample())
    >>> result, result.most_confused(1)
    (Evaluation(0.986: 986 of 1,000), [(5, 3, 2)])
    """
    if network.output == "values":
        msg = "`network` must classify; got output='values', a regression: compare with predict"
        raise ValueError(msg)
    options = BatchOptions(batch_size, threads)
    if labels is None and not isinstance(images, Iterator):
        msg = "`labels` must be given, unless `images` is an iterator of pairs (images, labels)"
        raise TypeError(msg)
    if is_dask(images):
        predicted = predict_blocks(_predict_block, network, images, options)
        counts = sum_over_blocks(_count, network, predicted, as_array(labels, "labels"))
        return _evaluation(network, counts, stacklevel=4)
    images = with_scaling_warning(network, images)
    if labels is not None:
        predicted = run(network, images, marked_class_ids, options)
        return compare_labels(network, [(predicted, labels)])
    runner = Runner(network, marked_class_ids, options)
    return compare_labels(network, _predict_blocks(runner, images))


def compare_labels(network: Network, results: Iterable[tuple[Any, Any]]) -> Evaluation:
    """Return the evaluation of pairs of class ids, from `marked_class_ids`, and labels."""
    counts = np.zeros(network.n_classes**2 + 1, np.int64)
    for predicted, labels in results:
        counts += _count(network, predicted, labels)
    return _evaluation(network, counts)


def _count(network: Network, predicted: Any, labels: Any) -> NDArray[np.int64]:
    """Return the confusion matrix as a vector, and the number of lost rows after it."""
    return np.append(*confusion_of(as_class_ids(network, labels), predicted, network.n_classes))


def _predict_block(network: Network, images: Any, **options: Any) -> Any:
    images = with_scaling_warning(network, images)
    return run(network, images, marked_class_ids, BatchOptions(**options))


def _evaluation(network: Network, counts: NDArray[np.int64], *, stacklevel: int = 5) -> Evaluation:
    n_classes, n_nonfinite = network.n_classes, int(counts[-1])
    confusion = counts[:-1].reshape(n_classes, n_classes)
    total = int(confusion.sum())
    warn_nonfinite(n_nonfinite, total, network, stacklevel=stacklevel)
    correct, classes = int(np.trace(confusion)), network.classes
    return Evaluation(correct, total, confusion, n_nonfinite, classes)


def _predict_blocks(runner: Runner, pairs: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """Yield the predictions for each block of images, with its labels."""
    n_before = 0
    for images, labels in pairs:
        with counting_from(n_before):
            predicted = runner.run(images)
        yield predicted, labels
        n_before += predicted.shape[0]
