"""What is learned from: images and answers as rows, chosen in a seeded order, batch by batch."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    as_floating,
    current_device,
    device_of,
    is_real,
)
from xpnet.arrays.ranges import counting_from
from xpnet.arrays.transfer import is_in_host_memory, move, to_numpy
from xpnet.inference.batches import TransferPolicy, as_rows, check_transfer, on_network_device
from xpnet.inference.class_labels import as_class_ids, stay_together
from xpnet.networks.network import Network, preprocessed
from xpnet.training.augmentation import Augmentation
from xpnet.training.backward import Objective

__all__ = ["Examples", "as_examples", "batches", "check_finite", "split"]

# As many rows are chosen, moved and copied to a device at a time: a few megabytes.
_ROWS_AT_A_TIME = 4096


class Examples(NamedTuple):
    """Rows of inputs, and what should come of each.

    Attributes
    ----------
    rows : array of shape (n, n_in)
        On the network's device, or on the host.
    answers : array of shape (n,) or (n, n_out)
        Class ids, or values; on the network's device, or on the host.
    """

    rows: Any
    answers: Any

    def taken(self, order: NDArray[np.int64]) -> "Examples":
        """Return these examples, in this order."""
        there = next((x for x in self if not isinstance(x, np.ndarray)), None)
        moved = order if there is None else move(order, array_namespace(there), device_of(there))
        return Examples(*(_taken(x, order if isinstance(x, np.ndarray) else moved) for x in self))


def as_examples(
    objective: Objective,
    images: Any,
    labels: Any,
    transfers: TransferPolicy = "allow",
    *,
    on_host: bool = False,
) -> Examples:
    """Return images as rows, and labels as class ids or values.

    Parameters
    ----------
    objective : Objective
    images : array of shape (n, n_in), (n, height, width) ...
    labels : array of shape (n,), or of shape (n, n_out) where there are several answers
    transfers : {"allow", "forbid"}
    on_host : bool, default False
        Whether the images are needed on the host.

    Raises
    ------
    TypeError, ValueError
        If they are not of the right kind or shape, a label is no class, or `transfers` forbids to
        copy them; or as `forward` raises.
    """
    network = objective.network
    weight = network.layers[0].weight
    labels = as_array(labels, "labels")
    for x, name in ((images, "images"), (labels, "labels")):
        check_transfer(x, network, transfers, name)
    rows = as_rows(images, network.n_in)
    if not is_real(rows, array_namespace(rows)):
        msg = f"`images` must hold real numbers; got dtype {rows.dtype}"
        raise TypeError(msg)
    if on_host and not is_in_host_memory(rows) and transfers == "forbid":
        msg = "`augment` and `distort`, which work on the host, must be 0 with transfers='forbid'"
        raise ValueError(msg)
    answers = as_class_ids(network, labels) if objective.has_classes else _values(labels, objective)
    shape = (rows.shape[0],) if objective.has_classes else (rows.shape[0], network.n_out)
    if tuple(answers.shape) != shape:
        msg = (
            f"`labels` must have the shape {shape}, as there are images; got {tuple(labels.shape)}"
        )
        raise ValueError(msg)
    rows = rows if stay_together(rows, weight) and not on_host else to_numpy(rows)
    if network.library == "numpy" and rows.dtype.kind == "f":
        _check_range(network, rows)
    return Examples(rows, answers if stay_together(answers, weight) else to_numpy(answers))


def _check_range(network: Network, rows: NDArray[Any]) -> None:
    """Raise RangeError for the first row that is too large: a shuffled batch does not know it."""
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        with counting_from(start):
            preprocessed(network, rows[start : start + _ROWS_AT_A_TIME], np)


def check_finite(rows: Any) -> None:
    """Refuse rows that hold NaN or infinity.

    Raises
    ------
    ValueError
        If there is one.
    """
    xp = array_namespace(rows)
    if xp.isdtype(rows.dtype, "real floating"):
        with current_device(rows):
            if not bool(to_numpy(xp.all(xp.isfinite(rows)))):
                msg = "`images` must be finite numbers; there are others among them"
                raise ValueError(msg)


def _values(labels: Any, objective: Objective) -> Any:
    """Return the answers of a regression, or of questions that units answer each for itself."""
    values, xp = as_floating(labels, "labels")
    with current_device(values):
        if values.ndim == 1 and objective.network.n_out == 1:
            values = xp.reshape(values, (-1, 1))
        if not bool(to_numpy(xp.all(xp.isfinite(values)))):
            msg = "`labels` must be finite"
            raise ValueError(msg)
        if objective.loss == "binary_cross_entropy" and bool(
            to_numpy(xp.any((values < 0.0) | (values > 1.0)))
        ):
            msg = "`labels` must be from 0 to 1, for each of the units"
            raise ValueError(msg)
    return values


def split(n: int, validation: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which of `n` examples to learn from, and which share of them to hold out."""
    order = np.random.default_rng(seed).permutation(n)
    n_held_out = int(validation * n)
    return order[n_held_out:], order[:n_held_out]


def batches(
    examples: Examples,
    order: NDArray[np.int64],
    objective: Objective,
    batch_size: int,
    *,
    augmentation: Augmentation | None = None,
    random: np.random.Generator | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield rows and targets on the network's device, in this order, perhaps augmented."""
    n_at_a_time = max(_ROWS_AT_A_TIME // batch_size, 1) * batch_size
    orders = [order[i : i + n_at_a_time] for i in range(0, len(order), n_at_a_time)]
    network = objective.network
    for part in orders:
        rows, answers = examples.taken(part)
        if augmentation is not None and random is not None:
            rows = augmentation(rows, random)
        rows, answers = (on_network_device(network, x) for x in (rows, answers))
        with current_device(rows):
            targets = objective.targets(answers, network.dtype, array_namespace(rows))
        for first in range(0, rows.shape[0], batch_size):
            # The end of a slice is not beyond the rows: the standard leaves that open.
            batch = slice(first, min(first + batch_size, rows.shape[0]))
            yield rows[batch, :], targets[batch, :]


def _taken(x: Any, order: Any) -> Any:
    """Return the rows of `x` in this order."""
    with current_device(x):
        return array_namespace(x).take(x, order, axis=0)  # in NumPy, faster than x[order]
