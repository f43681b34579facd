"""Loss functions: one number that says how wrong the outputs are."""

from typing import Any

from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    as_floating,
    current_device,
    device_of,
)
from xpnet.functions.softmax import check_axis, log_softmax

__all__ = ["cross_entropy", "mean_surprise", "one_hot"]


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
        matches = one_hot(labels, logits.shape[axis], xp, axis % logits.ndim)
        return mean_surprise(log_softmax(logits, axis=axis), matches, xp, axis)


def mean_surprise(log_probabilities: Any, matches: Any, xp: Any, axis: int) -> Any:
    """Return the mean of minus the log-probabilities that `one_hot` labels choose."""
    if 0 in log_probabilities.shape:
        return xp.sum(log_probabilities) + xp.nan  # the mean of nothing, without a warning
    return -xp.mean(xp.max(xp.where(matches, log_probabilities, -xp.inf), axis=axis))


def one_hot(labels: Any, n_classes: int, xp: Any, axis: int) -> Any:
    """Return booleans: whether a label is each of the classes, along a new axis `axis` >= 0."""
    classes = xp.arange(n_classes, device=device_of(labels))
    shape = [1] * (labels.ndim + 1)
    shape[axis] = n_classes
    return xp.expand_dims(xp.astype(labels, classes.dtype), axis=axis) == xp.reshape(
        classes, tuple(shape)
    )
