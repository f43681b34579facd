"""Loss functions, and their derivatives with respect to the outputs of a network.

A loss and its derivative share most of their computation, and are computed together.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    as_floating,
    compute,
    device_of,
    without_warnings,
)
from xpnet.functions.rectifiers import softplus
from xpnet.functions.sigmoids import sigmoid
from xpnet.functions.softmax import check_axis, log_softmax

__all__ = ["binary_cross_entropy", "cross_entropy", "mean_squared_error"]

Loss: TypeAlias = Callable[[Any, Any, Any], tuple[Any, Any]]
"""``loss(outputs, targets, xp)``, both of shape (n, n_out): the loss of each row, of shape (n, 1),
and its derivative with respect to the outputs."""


def cross_entropy(logits: Any, labels: Any, /, *, axis: int = -1) -> Any:
    """Mean cross-entropy between softmax probabilities and integer labels, in nats.

    The mean of -log(softmax(logits)[label]), computed with `log_softmax`: 0-dimensional, in the
    dtype of `logits`. A label out of range gives inf: array functions do not inspect values, and so
    cannot raise. NaN logits and empty arrays give NaN.

    Parameters
    ----------
    logits : array of real numbers
        In nats, with n_classes along `axis`.
    labels : array of integers
        Class ids from 0 to n_classes - 1, in the shape of `logits` without `axis`.
    axis : int, default -1
        Axis of the classes.

    Raises
    ------
    TypeError
        If `labels` are not integers, or the arrays belong to different libraries.
    ValueError
        If the shapes do not match, or `logits` has no axis `axis`.

    Examples
    --------
    >>> round(float(cross_entropy([[0.0, 0.0]], [1])), 6)  # log(2)
    0.693147
    """
    logits, xp = as_floating(logits, "logits")
    labels = as_array(labels, "labels")
    array_namespace(logits, labels)
    if not xp.isdtype(labels.dtype, "integral"):
        is_one_hot = tuple(labels.shape) == tuple(logits.shape)
        hint = f"; one-hot labels? give labels.argmax(axis={axis})" if is_one_hot else ""
        msg = f"`labels` must be integers; got dtype {labels.dtype}{hint}"
        raise TypeError(msg)
    check_axis(logits, axis)
    kept = list(logits.shape)
    del kept[axis]
    if tuple(labels.shape) != tuple(kept):
        rule = f"must have the shape of the logits without axis {axis}, {tuple(kept)}"
        msg = f"`labels` {rule}; got {tuple(labels.shape)}"
        raise ValueError(msg)
    if 0 in logits.shape:
        return _mean_of_nothing(logits, xp)
    matches = one_hot(labels, logits.shape[axis], xp, axis % logits.ndim)
    chosen = xp.where(matches, log_softmax(logits, axis=axis), -xp.inf)
    return -xp.mean(xp.max(chosen, axis=axis))


def one_hot(labels: Any, n_classes: int, xp: Any, axis: int) -> Any:
    """Return the one-hot encoding of labels as booleans, along a new axis `axis` >= 0."""
    classes = xp.arange(n_classes, device=device_of(labels))
    shape = [1] * (labels.ndim + 1)
    shape[axis] = n_classes
    labels = xp.expand_dims(xp.astype(labels, classes.dtype), axis=axis)
    return labels == xp.reshape(classes, tuple(shape))


def _cross_entropy(logits: Any, targets: Any, xp: Any) -> tuple[Any, Any]:
    """Return the losses, and their derivative: softmax minus the targets, which sum to 1."""
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    exponentials = xp.exp(shifted)
    # In NumPy a product sums short rows faster than `sum`.
    ones = xp.ones((logits.shape[1], 1), dtype=logits.dtype, device=device_of(logits))
    totals = xp.matmul(exponentials, ones)
    losses = xp.log(totals) - xp.matmul(targets * shifted, ones)
    return losses, xp.divide(exponentials, totals) - targets


def binary_cross_entropy(logits: Any, targets: Any, /) -> Any:
    """Mean elementwise cross-entropy between sigmoid probabilities and target probabilities.

    The mean of -t log(p) - (1 - t) log(1 - p), in nats: 0-dimensional, in the dtype of `logits`.
    The loss of an infinite logit is 0 for the target of its side, 0 or 1, and inf otherwise. NaN
    logits and empty arrays give NaN.

    Computed as softplus(-abs(logit)) + w * abs(logit), where w is t or 1 - t, the weight of the
    less likely side. Both terms are positive: nothing cancels or overflows, and no logarithm of an
    underflowed probability is taken.

    Parameters
    ----------
    logits : array of real numbers
        In nats: the logarithm of p / (1 - p).
    targets : array of numbers or booleans
        True probabilities t, mostly 0 or 1, in the shape of `logits`.

    Raises
    ------
    TypeError
        If an argument is complex or not numeric, or the arrays belong to different libraries.
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> binary_cross_entropy([1000.0, -1000.0], [1, 1])
    np.float64(500.0)
    """
    return _mean_loss(_binary_cross_entropy, logits, targets, "logits")


def _binary_cross_entropy(logits: Any, targets: Any, xp: Any) -> tuple[Any, Any]:
    """Return the mean losses over the units, and their derivative: sigmoid minus the targets."""
    # Computed for the likelier side: for 1 - t and -logit where t is above 1/2.
    side = 1.0 - 2.0 * xp.astype(targets > 0.5, logits.dtype)
    share = xp.minimum(targets, 1.0 - targets)
    # Not abs, whose derivative at 0 by JAX and torch would give a wrong gradient there.
    below = xp.where(logits > 0.0, -logits, logits)
    wrong = xp.where(logits > 0.0, 1.0 - targets, targets)
    # A weight of 0 gives 0, even for an infinite logit.
    losses = softplus.formula(below, xp) - wrong * xp.where(wrong > 0.0, below, 0.0)
    slope = xp.divide(side * (sigmoid.formula(side * logits, xp) - share), float(logits.shape[1]))
    return xp.mean(losses, axis=1, keepdims=True), slope


def mean_squared_error(outputs: Any, targets: Any, /) -> Any:
    """Mean squared difference between outputs and targets, in the squared unit of `outputs`.

    0-dimensional, in the dtype of `outputs`, and inf beyond its range. NaN, infinity minus infinity
    and empty arrays give NaN. Raise as `binary_cross_entropy` does.

    Parameters
    ----------
    outputs : array of real numbers
    targets : array of numbers
        In the shape of `outputs`.

    Examples
    --------
    >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
    np.float64(2.0)
    """
    return _mean_loss(_mean_squared_error, outputs, targets, "outputs")


def _mean_squared_error(outputs: Any, targets: Any, xp: Any) -> tuple[Any, Any]:
    """Return the mean losses over the units, and their derivative."""
    error = outputs - targets
    return xp.mean(error * error, axis=1, keepdims=True), error * (2.0 / outputs.shape[1])


def _mean_loss(loss: Loss, outputs: Any, targets: Any, name: str) -> Any:
    """Return the mean of an elementwise loss over arrays of any shape."""
    outputs, xp = as_floating(outputs, name)
    targets, _ = as_floating(targets, "targets")
    array_namespace(outputs, targets)
    if tuple(outputs.shape) != tuple(targets.shape):
        rule = f"must have the shape of `{name}`, {tuple(outputs.shape)}"
        msg = f"`targets` {rule}; got {tuple(targets.shape)}"
        raise ValueError(msg)
    # Infinite squares of large numbers are valid results.
    with without_warnings():
        if 0 in outputs.shape:
            return _mean_of_nothing(outputs, xp)
        targets = xp.astype(targets, outputs.dtype, copy=False)
        columns = (xp.reshape(x, (-1, 1)) for x in (outputs, targets))
        return compute(lambda *given: xp.mean(loss(*given)[0]), *columns, xp=xp)


def _mean_of_nothing(outputs: Any, xp: Any) -> Any:
    """Return NaN as a 0-dimensional array, without the warning of NumPy's mean."""
    return xp.sum(outputs) + xp.nan


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "binary_cross_entropy": _binary_cross_entropy,
        "cross_entropy": _cross_entropy,
        "mean_squared_error": _mean_squared_error,
    }
)
