"""Loss functions: one number that says how wrong the outputs are, and where it falls.

Each loss is written once, together with its derivative by the outputs, with which it has most of
its computation in common.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    as_floating,
    compute,
    current_device,
    device_of,
    without_warnings,
)
from xpnet.functions.rectifiers import _softplus
from xpnet.functions.sigmoids import _sigmoid
from xpnet.functions.softmax import check_axis, log_softmax

__all__ = [
    "LOSSES",
    "Loss",
    "binary_cross_entropy",
    "cross_entropy",
    "mean_squared_error",
    "one_hot",
]

Loss: TypeAlias = Callable[[Any, Any, Any], tuple[Any, Any]]
"""``loss(outputs, targets, xp)``, both of the shape (n, n_out): the loss of each row, of shape
(n, 1), and its derivative by the outputs."""


def cross_entropy(logits: Any, labels: Any, /, *, axis: int = -1) -> Any:
    """Mean cross-entropy of the softmax of logits against integer labels.

    Parameters
    ----------
    logits : array of real numbers
        In nats, with n_classes along `axis`.
    labels : array of integers
        Class ids in 0 .. n_classes - 1; the shape of `logits` without `axis`.
    axis : int, default -1
        The axis of the classes.

    Returns
    -------
    array
        The mean of -log(softmax(logits)[label]), in nats; 0-dimensional, in the dtype of
        `logits`. A label out of range gives inf (an array function does not look at values, so
        it cannot raise); NaN logits, or no labels at all, give NaN.

    Raises
    ------
    TypeError
        If `labels` are not integers, or the two belong to different libraries.
    ValueError
        If the shapes do not fit, or `logits` has no axis `axis`.

    Notes
    -----
    Computed by `log_softmax`, so it neither overflows nor takes the logarithm of a probability
    that underflowed.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(cross_entropy(np.asarray([[0.0, 0.0]]), np.asarray([1]))), 6)  # log(2)
    0.693147
    """
    logits, xp = as_floating(logits, "logits")
    labels = as_array(labels, "labels")
    array_namespace(logits, labels)
    if not xp.isdtype(labels.dtype, "integral"):
        msg = f"`labels` must be integers; got dtype {labels.dtype}"
        raise TypeError(msg)
    check_axis(logits, axis)
    kept = list(logits.shape)
    del kept[axis]
    if tuple(labels.shape) != tuple(kept):
        msg = (
            f"`labels` must have the shape of the logits without axis {axis}, {tuple(kept)};"
            f" got {tuple(labels.shape)}"
        )
        raise ValueError(msg)
    with current_device(logits):
        if 0 in logits.shape:
            return _of_nothing(logits, xp)
        matches = one_hot(labels, logits.shape[axis], xp, axis % logits.ndim)
        chosen = xp.where(matches, log_softmax(logits, axis=axis), -xp.inf)
        return -xp.mean(xp.max(chosen, axis=axis))


def one_hot(labels: Any, n_classes: int, xp: Any, axis: int) -> Any:
    """Return booleans: whether a label is each of the classes, along a new axis `axis` >= 0."""
    classes = xp.arange(n_classes, device=device_of(labels))
    shape = [1] * (labels.ndim + 1)
    shape[axis] = n_classes
    return xp.expand_dims(xp.astype(labels, classes.dtype), axis=axis) == xp.reshape(
        classes, tuple(shape)
    )


def _cross_entropy(logits: Any, targets: Any, xp: Any) -> tuple[Any, Any]:
    """Return the losses, and their slope: the softmax less the targets, which sum to 1."""
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    exponentials = xp.exp(shifted)
    # NumPy sums up short rows faster by a product.
    ones = xp.ones((logits.shape[1], 1), dtype=logits.dtype, device=device_of(logits))
    totals = exponentials @ ones
    return xp.log(totals) - (targets * shifted) @ ones, exponentials / totals - targets


def binary_cross_entropy(logits: Any, targets: Any, /) -> Any:
    """Mean cross-entropy of the sigmoid of logits against probabilities, each for itself.

    Parameters
    ----------
    logits : array of real numbers
        In nats: the logarithm of p / (1 - p).
    targets : array of numbers or booleans
        The true p, mostly 0 or 1; in the shape of `logits`.

    Returns
    -------
    array
        The mean of -t log(p) - (1 - t) log(1 - p) over all elements, in nats; 0-dimensional, in
        the dtype of `logits`. Of an infinite logit a right target, 0 or 1, gives 0, any other one
        inf. NaN logits, or none at all, give NaN.

    Raises
    ------
    TypeError
        If an argument is complex or no array of numbers, or the two belong to different
        libraries.
    ValueError
        If the shapes differ.

    Notes
    -----
    Computed as softplus(-abs(logit)) + w * abs(logit), where w, the weight of the less likely
    side, is t or 1 - t: both terms are positive, so nothing cancels, nor overflows, nor takes the
    logarithm of a probability that underflowed.

    Examples
    --------
    >>> import numpy as np
    >>> binary_cross_entropy(np.asarray([1000.0, -1000.0]), np.asarray([1, 1]))
    np.float64(500.0)
    """
    return _mean_loss(_binary_cross_entropy, logits, targets, "logits")


def _binary_cross_entropy(logits: Any, targets: Any, xp: Any) -> tuple[Any, Any]:
    """Return the means over the units, and their slope: the sigmoid less the targets."""
    # Seen from the likelier side: of 1 - t and -logit, where t is above 1/2.
    side = 1.0 - 2.0 * xp.astype(targets > 0.5, logits.dtype)
    seen = side * logits
    share = xp.minimum(targets, 1.0 - targets)
    far = xp.abs(logits)
    wrong = xp.where(logits > 0.0, 1.0 - targets, targets)
    # Of what is right, nothing: not even of infinity.
    losses = _softplus(-far, xp) + wrong * xp.where(wrong > 0.0, far, 0.0)
    slope = side * (_sigmoid(seen, xp) - share) / logits.shape[1]
    return xp.mean(losses, axis=1, keepdims=True), slope


def mean_squared_error(outputs: Any, targets: Any, /) -> Any:
    """Mean of the squared differences of outputs and targets.

    Parameters
    ----------
    outputs : array of real numbers
    targets : array of numbers
        In the shape of `outputs`.

    Returns
    -------
    array
        The mean of (output - target)^2 over all elements; 0-dimensional, in the dtype of
        `outputs`, in the square of their unit; inf where that is beyond the dtype. NaN, infinity
        less infinity, or no elements at all give NaN.

    Raises
    ------
    TypeError
        If an argument is complex or no array of numbers, or the two belong to different
        libraries.
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> mean_squared_error(np.asarray([1.0, 2.0]), np.asarray([1.0, 4.0]))
    np.float64(2.0)
    """
    return _mean_loss(_mean_squared_error, outputs, targets, "outputs")


def _mean_squared_error(outputs: Any, targets: Any, xp: Any) -> tuple[Any, Any]:
    """Return the means over the units, and their slope."""
    error = outputs - targets
    return xp.mean(error * error, axis=1, keepdims=True), error * (2.0 / outputs.shape[1])


def _mean_loss(loss: Loss, outputs: Any, targets: Any, name: str) -> Any:
    """Return the mean of a loss alone, over all elements of arrays of any shape."""
    outputs, xp = as_floating(outputs, name)
    targets, _ = as_floating(targets, "targets")
    array_namespace(outputs, targets)
    if tuple(outputs.shape) != tuple(targets.shape):
        msg = (
            f"`targets` must have the shape of `{name}`, {tuple(outputs.shape)};"
            f" got {tuple(targets.shape)}"
        )
        raise ValueError(msg)
    # Squares of large numbers are infinite: that is an answer.
    with current_device(outputs), without_warnings():
        if 0 in outputs.shape:
            return _of_nothing(outputs, xp)
        targets = xp.astype(targets, outputs.dtype, copy=False)
        columns = (xp.reshape(x, (-1, 1)) for x in (outputs, targets))
        return compute(lambda *given: xp.mean(loss(*given)[0]), *columns, xp=xp)


def _of_nothing(outputs: Any, xp: Any) -> Any:
    """Return the mean of nothing, NaN, without NumPy's warning."""
    return xp.sum(outputs) + xp.nan


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "binary_cross_entropy": _binary_cross_entropy,
        "cross_entropy": _cross_entropy,
        "mean_squared_error": _mean_squared_error,
    }
)
