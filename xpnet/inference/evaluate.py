"""How many images a network gets right."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import as_array, library_of
from xpnet.arrays.ranges import counting_from
from xpnet.arrays.transfer import to_numpy
from xpnet.arrays.transfer_counts import Transfers, count_transfers
from xpnet.inference.batches import TransferPolicy, check_transfer, is_stream
from xpnet.inference.class_labels import as_class_ids, confusion_of, stay_together
from xpnet.inference.nonfinite import tell
from xpnet.inference.predict import marked_class_ids
from xpnet.inference.runner import Work, batched, plan
from xpnet.networks.network import Network

__all__ = ["Evaluation", "evaluate"]

_ROWS_AT_ONCE = 2**22


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
    n_nonfinite : int
        How many images have a label that means nothing, since the layers overflow: the largest
        output is NaN or infinite. Left out are NumPy images with NaN or infinite pixels, if the
        network is NumPy's, too.
    """

    correct: int
    total: int
    confusion: NDArray[np.int64]
    transfers: Transfers = field(default_factory=Transfers)
    n_nonfinite: int = 0

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
        With ``.accuracy``, ``.correct``, ``.total``, ``.confusion``, ``.transfers`` and
        ``.n_nonfinite``.

    Raises
    ------
    TypeError
        As `predict`; and if labels are missing, or no integers where the network names no
        classes.
    ValueError
        As `predict`; and if the numbers of images and labels differ, a label is no class of the
        network, or the network is a regression.

    Warns
    -----
    NonfiniteWarning
        If ``.n_nonfinite`` is not 0: a RuntimeWarning.

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
    counts = np.zeros((n_classes, 2 * n_classes), np.int64)
    work = plan(
        network,
        images,
        marked_class_ids,
        batch_size=batch_size,
        threads=threads,
        batch_invariant=batch_invariant,
        transfers=transfers,
    )
    with count_transfers() as counted:
        pairs = _pairs(images, labels)
        if labels is None and network.library == "cupy":
            results = _of_stream(pairs, work)
        else:
            results = _by_block(pairs, work)
        for predicted, truth in results:
            counts += _compared(network, predicted, truth, transfers)
    marked = counts[:, n_classes:]
    confusion, n_nonfinite = counts[:, :n_classes] + marked, int(marked.sum())
    total = int(confusion.sum())
    tell(n_nonfinite, total, network)
    return Evaluation(int(np.trace(confusion)), total, confusion, counted, n_nonfinite)


def _pairs(images: Any, labels: Any) -> Iterable[tuple[Any, Any]]:
    if labels is not None:
        return [(images, labels)]
    if is_stream(images):
        pairs: Iterable[tuple[Any, Any]] = images
        return pairs
    msg = "`labels` must be given, unless `images` is an iterator of pairs (images, labels)"
    raise TypeError(msg)


def _by_block(pairs: Iterable[tuple[Any, Any]], work: Work) -> Iterator[tuple[Any, Any]]:
    """Yield the predictions for each block of images, with its labels."""
    n_before = 0
    for block, truth in pairs:
        with counting_from(n_before):
            predicted = batched(block, work)
        yield predicted, truth
        n_before += predicted.shape[0]


def _of_stream(pairs: Iterable[tuple[Any, Any]], work: Work) -> Iterator[tuple[Any, Any]]:
    """Yield the predictions for each block of images, with its labels.

    To a GPU, blocks that follow one another are one stream, which it need not stop for.
    """
    rest = iter(pairs)
    for first in rest:
        taken: list[tuple[int, Any]] = []
        predicted, start = batched(_taken(chain([first], rest), taken), work), 0
        for n_rows, truth in taken:
            yield predicted[start : start + n_rows], truth
            start += n_rows


def _taken(pairs: Iterable[tuple[Any, Any]], taken: list[tuple[int, Any]]) -> Iterator[Any]:
    """Yield blocks up to so many rows that their labels are no burden, and note these."""
    n_left = _ROWS_AT_ONCE
    for block, truth in pairs:
        rows = as_array(block, "images")
        taken.append((rows.shape[0], truth))
        yield rows
        n_left -= rows.shape[0]
        if n_left <= 0:
            return


def _compared(
    network: Network, predicted: Any, labels: Any, transfers: TransferPolicy
) -> NDArray[np.int64]:
    """Return how many of each class were taken for which, and for which with a mark."""
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
    return confusion_of(expected, predicted, network.n_classes, 2 * network.n_classes)
