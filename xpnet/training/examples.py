"""Training examples as rows, and their division into mini-batches."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays import namespace as ns
from xpnet.arrays.namespace import array_namespace, cast, device_of, limits_of, without_warnings
from xpnet.arrays.transfer import move, to_numpy
from xpnet.files.errors import DataError
from xpnet.inference.chunks import on_network_device
from xpnet.inference.class_labels import as_class_ids
from xpnet.inference.rows import as_rows
from xpnet.networks.column_names import in_order
from xpnet.networks.network import Network
from xpnet.training.augmentation import Augment
from xpnet.training.backward import Objective

__all__ = ["Batch", "Examples", "all_finite", "as_examples", "as_sample_weight", "batches"]
__all__ += ["split", "weight_column"]

# Rows gathered and copied to a device at a time: a few megabytes of images.
_ROWS_AT_A_TIME = 4096


class Examples(NamedTuple):
    """Rows, answers and weights of examples.

    Rows, of shape (n, n_in), and answers, class ids of shape (n,) or values of shape (n, n_out),
    are both on the network's device, or both on the host. Weights of the rows are on the host.
    """

    rows: Any
    answers: Any
    weights: NDArray[np.float64] | None = None

    def take(self, order: NDArray[np.int64]) -> "Examples":
        """Return the examples with these indices, in this order."""
        return Examples(*(None if x is None else _take(x, order) for x in self))


def _take(x: Any, order: NDArray[np.int64]) -> Any:
    xp = array_namespace(x)
    index: Any = order if xp is np else move(order, xp, device_of(x))
    return xp.take(x, index, axis=0)  # with NumPy, faster than x[index]


class Batch(NamedTuple):
    """A mini-batch on the network's device: arguments of `loss_and_gradient`."""

    rows: Any
    targets: Any
    weights: Any | None
    total_weight: float  # without weights, the number of rows


def as_examples(
    objective: Objective, images: Any, labels: Any, *, on_host: bool = False
) -> Examples:
    """Return images and labels, validated as for `xpnet.train`, as rows and class ids or values.

    If `on_host`, images are copied to the host.
    """
    network, weight = objective.network, objective.network.layers[0].weight
    labels = ns.as_array(labels, "labels")
    rows = as_rows(in_order(network, images), network.n_in)
    answers = as_class_ids(network, labels) if objective.has_classes else _values(labels, objective)
    shape = (rows.shape[0],) if objective.has_classes else (rows.shape[0], network.n_out)
    if tuple(answers.shape) != shape:
        msg = f"`labels` must have the shape {shape} for these images; got {tuple(labels.shape)}"
        raise ValueError(msg)
    xp, device = array_namespace(weight), device_of(weight)
    is_there = array_namespace(rows) is xp and device_of(rows) == device
    if on_host or not is_there:
        xp, device = np, None
    rows, answers = move(rows, xp, device), move(answers, xp, device)
    _check_inputs(network, rows)
    return Examples(rows, answers)


def _values(labels: Any, objective: Objective) -> Any:
    """Validate targets that are not class ids: those of a regression, or independent yes/no."""
    values, xp = ns.as_floating(labels, "labels")
    if values.ndim == 1 and objective.network.n_out == 1:
        values = xp.reshape(values, (-1, 1))
    weight = objective.network.layers[0].weight
    if limits_of(weight.dtype, array_namespace(weight)).bits < 64:
        # The network's device may lack float64.
        with without_warnings():
            values = cast(values, xp.float32, xp)
    if not all_finite(values):
        msg = "`labels` must be finite in the dtype of the network; got NaN or infinity"
        raise ValueError(msg)
    is_wrong = (values < 0.0) | (values > 1.0)
    if objective.loss == "binary_cross_entropy" and bool(to_numpy(xp.any(is_wrong))):
        msg = "`labels` must be from 0 to 1 in each column for the binary cross-entropy"
        raise ValueError(msg)
    return values


def as_sample_weight(sample_weight: Any, n: int) -> NDArray[np.float64] | None:
    """Validate the weights of `n` images; return them divided by the largest, on the host.

    Quotients that float32 cannot represent become 0. Raise TypeError or ValueError if the weights
    are not real numbers of shape (n,), finite, 0 or more, and not all 0.
    """
    if sample_weight is None:
        return None
    given = ns.as_array(sample_weight, "sample_weight")
    ns.check_real(given, array_namespace(given), "sample_weight")
    weights = np.asarray(to_numpy(given), np.float64)
    if weights.shape != (n,):
        msg = f"`sample_weight` must have the shape ({n},); got {weights.shape}"
        raise ValueError(msg)
    is_wrong = ~np.isfinite(weights) | (weights < 0.0)
    if is_wrong.any() or (n and not weights.any()):
        i = int(np.argmax(is_wrong))
        rule = "finite, 0 or more, and above 0 for at least one row"
        msg = f"`sample_weight` must be {rule}; got {weights[i]} at index {i}"
        raise ValueError(msg)
    weights = weights / weights.max(initial=np.finfo(np.float64).smallest_subnormal)
    return np.where(weights < np.finfo(np.float32).tiny, 0.0, weights)


def weight_column(weights: NDArray[np.float64], outputs: Any) -> Any:
    """Return weights as a column beside outputs, in their dtype but at least float32."""
    xp = array_namespace(outputs)
    width = np.float64 if limits_of(outputs.dtype, xp).bits == 64 else np.float32
    return move(weights[:, None].astype(width), xp, device_of(outputs))


def all_finite(x: Any) -> bool:
    """Return whether an array holds neither NaN nor infinity."""
    # Each term is 0 or NaN. CuPy has a compiled sum of a whole array; to compile its `all`
    # takes seconds.
    with without_warnings():
        return float(to_numpy(array_namespace(x).sum(x - x))) == 0.0


def _check_inputs(network: Network, rows: Any) -> None:
    """Raise DataError unless rows are finite after the preprocessing: no rate would help."""
    for start in range(0, rows.shape[0], _ROWS_AT_A_TIME):
        part = rows[start : min(start + _ROWS_AT_A_TIME, rows.shape[0]), :]
        given = on_network_device(network, part)
        with without_warnings():
            inputs = network.inputs(given, array_namespace(given))
        if not all_finite(inputs):
            i = int(np.argmin(np.isfinite(to_numpy(inputs)).all(axis=1)))
            is_given = not np.isfinite(to_numpy(part)[i]).all()
            fault = f"overflows in {ns.dtype_name(network.dtype)}: scale the images"
            msg = f"row {start + i} (from 0) {'holds NaN or infinity' if is_given else fault}"
            raise DataError(msg)


def split(n: int, validation: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of training and held-out examples, both in a seeded random order."""
    order, n_held_out = np.random.default_rng(seed).permutation(n), int(validation * n)
    return order[n_held_out:], order[:n_held_out]


def batches(
    examples: Examples,
    order: NDArray[np.int64],
    objective: Objective,
    batch_size: int,
    *,
    augment: Augment | None = None,
    random: Any = None,
) -> Iterator[Batch]:
    """Yield the examples in this order as batches on the device, `augment` applied on the host."""
    network = objective.network
    n_at_a_time = max(_ROWS_AT_A_TIME // batch_size, 1) * batch_size
    for start in range(0, len(order), n_at_a_time):
        rows, answers, weights = examples.take(order[start : start + n_at_a_time])
        if augment is not None:
            shape, rows = rows.shape, np.asarray(augment(rows, random))
            if rows.shape != shape:
                msg = f"`augment` must return rows of the shape {shape}; got {rows.shape}"
                raise ValueError(msg)
        rows, answers = (on_network_device(network, x) for x in (rows, answers))
        targets = objective.targets(answers, network.dtype, array_namespace(rows))
        for first in range(0, rows.shape[0], batch_size):
            # The array API standard leaves slices beyond the end of an axis undefined.
            part = slice(first, min(first + batch_size, rows.shape[0]))
            column, total = None, float(part.stop - first)
            if weights is not None:
                column, total = weight_column(weights[part], targets), float(weights[part].sum())
            yield Batch(rows[part, :], targets[part, :], column, total)
