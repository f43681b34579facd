"""NumPy code that is too long for an expression: what somebody would write without xpnet."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# The error function as tanh of x times a ratio of polynomials in x^2, up to 4; and the normal
# distribution's tail as exp(-x^2 / 2) times a polynomial in t = 1 / (1 + x / 3), up to 15, beyond
# which float32 has none. Both fitted by least squares of the relative error.
ERF_TOP = (
    1.128379168275697,
    0.4348615955419066,
    0.08985566125441592,
    0.010293299301057865,
    0.0005649845923217419,
    7.416004261395235e-06,
)
ERF_BOTTOM = (
    1.0,
    0.29430623965276664,
    0.053012366693696036,
    0.004871703831676049,
    0.00016324662916991493,
    5.938574388960968e-07,
)
TAIL = (
    0.1329692203328743,
    0.13325967091483626,
    0.11535877497197028,
    0.10465810961288957,
    -0.004744910896628915,
    0.12002628573532721,
    -0.14246281607789626,
    0.025785591380695964,
    0.024351397685074317,
    -0.00920133356868151,
)
TANH_SHRINK_SERIES = (1 / 3, -2 / 15, 17 / 315)


def polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Return the polynomial of the coefficients, lowest power first, by Horner's rule."""
    y = coefficients[-1] * x
    for coefficient in coefficients[-2:0:-1]:
        y += coefficient
        y *= x
    y += coefficients[0]
    return y


def erf_by_tanh(x: Any) -> Any:
    """Return erf(x) by its ratio of polynomials."""
    c = np.clip(x, -4, 4)
    square = c * c
    return np.tanh(c * polynomial(ERF_TOP, square) / polynomial(ERF_BOTTOM, square))


def gelu_by_tail(x: Any) -> Any:
    """Return gelu as max(x, 0) less the tail; its exponent in float64, the rest in float32."""
    size = np.abs(np.clip(x, -15, 15))
    density = np.exp(np.square(size.astype(np.float64)) * -0.5).astype(x.dtype)
    t = 1 / (1 + size / 3)
    return np.clip(x, 0, np.inf) - polynomial(TAIL, t) * t * size * density


def mish_by_quotient(x: Any) -> Any:
    """Return mish without tanh and log: tanh(log(1 + e)) is e (e + 2) / (e (e + 2) + 2)."""
    e = np.exp(np.minimum(x, 20))
    e *= e + 2
    return x * (e / (e + 2))


def mish_by_halves(x: Any) -> Any:
    """Return mish by exp(x / 2), which is a normal number wherever the result is."""
    x = np.maximum(x, -170)
    half = np.exp(np.minimum(x, 20) * np.float32(0.5))
    e = half * half
    return x * (half * ((e + 2) / (e * (e + 2) + 2))) * half


def squareplus_by_reciprocal(x: Any) -> Any:
    """Return max(x, 0) + 1 / p with p = abs(x) / 2 + sqrt(x^2 / 4 + 1): p - 1 / p is abs(x)."""
    half = np.abs(x) * np.float32(0.5)
    root = np.sqrt(np.square(np.clip(half, 0, 1e9)) + 1)  # beyond 1e9 it is half itself
    return np.maximum(x, 0) + 1 / (half + np.maximum(half, root))


def tanh_shrink_by_series(x: Any) -> Any:
    """Return x - tanh(x), by its series where the two are close."""
    near = np.clip(x, -0.02, 0.02)
    square = near * near
    series = near * square * polynomial(TANH_SHRINK_SERIES, square)
    return np.where(x == near, series, x - np.tanh(x))


def rows_sum(x: Any) -> Any:
    """Return the sums of rows as a column, by a product with ones."""
    return x @ np.ones((x.shape[-1], 1), x.dtype)


def finite(peak: Any) -> Any:
    """Return the peak, NaN where it is infinite: infinity less infinity would warn."""
    return np.where(np.isfinite(peak), peak, np.float32(np.nan))


def columns(function: Callable[[Any], Any], x: Any) -> Any:
    """Apply a function of columns to rows: NumPy reduces the first axis faster than a short last.

    The result has the order in memory that the argument has.
    """
    return np.ascontiguousarray(function(np.ascontiguousarray(x.T)).T)


def softmax_of_columns(t: Any) -> Any:
    """Return the softmax of each column."""
    t -= finite(t.max(axis=0))
    np.exp(t, out=t)
    t /= t.sum(axis=0)
    return t


def log_softmax_of_columns(t: Any) -> Any:
    """Return the log-softmax of each column."""
    t -= finite(t.max(axis=0))
    t -= np.log(np.exp(t).sum(axis=0))
    return t


def logsumexp_of_columns(t: Any) -> Any:
    """Return the logsumexp of each column."""
    peak = t.max(axis=0)
    t -= np.where(np.isfinite(peak), peak, 0)
    return peak + np.log(np.where(np.isfinite(peak), np.exp(t, out=t).sum(axis=0), 1))


def sparsemax_of_columns(t: Any) -> Any:
    """Return the sparsemax of each column; rows are what NumPy sorts fast."""
    t -= t.max(axis=0)
    total = np.ascontiguousarray(np.sort(np.ascontiguousarray(t.T), axis=-1).T)[::-1]
    total = np.cumsum(total, axis=0)
    total -= 1
    total /= np.arange(1, len(t) + 1, dtype=t.dtype)[:, None]
    t -= total.max(axis=0)
    return np.maximum(t, 0, out=t)


def sparsemax_by_maximum(x: Any) -> Any:
    """Return the sparsemax of rows: the threshold is the largest of what each size would give."""
    z = x - x.max(axis=-1, keepdims=True)
    k = np.arange(1, z.shape[-1] + 1, dtype=z.dtype)
    total = np.cumsum(-np.sort(-z, axis=-1), axis=-1)
    return np.maximum(z - ((total - 1) / k).max(axis=-1, keepdims=True), 0)
