"""Activation functions as users of NumPy or SciPy would write them.

Expressions of a float32 ``x``, in the names of NumPy, of this file, and of scipy.special as
``special``: one a line, after the name of the function. The first is the simplest; of the others,
those that are inexact, or take twice as long as the fastest, were left out after a measurement.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

WIDTH = 10  # of the rows of softmax and its relatives

_SELU_NEGATIVE = "1.7580993408473766 * expm1(clip(x, -inf, 0))"
_SELU_END = "3.238622e38"  # beyond it is infinity
_CUBIC = "1.5957691216057308 * (d + 0.044715 * d * d * d)"
_PEAK = "x.max(axis=-1, keepdims=True)"
_SHIFT = f"(m := where(isfinite(m := {_PEAK}), m, 0))"
_VALUE, _GATE = f"x[:, :{WIDTH}]", f"x[:, {WIDTH}:]"

_TEXT = f"""
step: where(x > 0, float32(1), float32(0))
    maximum(sign(x), 0)
    clip(sign(x), 0, 1)
sigmoid: 1 / (1 + exp(-x))
    1 / (1 + exp(clip(-x, -88, 88)))
    1 / (1 + exp(minimum(-x, 88)))
    divide(1, add(1, exp(t := clip(-x, -88, 88), out=t), out=t), out=t)
    special.expit(x)
relu: maximum(x, 0)
    maximum(x, zeros_like(x))
    clip(x, 0, inf)
identity: asarray(x)
tanh: tanh(x)
exponential: exp(x)
    where(x > 88.72283, inf, exp(clip(x, -inf, 88.72283)))
leaky_relu: where(x > 0, x, 0.01 * x)
    maximum(x, 0.01 * x)
elu: where(x > 0, x, exp(x) - 1)
    maximum(x, expm1(minimum(x, 0)))
    maximum(x, expm1(clip(x, -inf, 0)))
selu: 1.0507009873554805 * where(x > 0, x, 1.6732632423543772 * expm1(minimum(x, 0)))
    1.0507009873554805 * maximum(x, 0) + 1.7580993408473766 * expm1(minimum(x, 0))
    1.0507009873554805 * clip(x, 0, inf) + {_SELU_NEGATIVE}
    where(x > {_SELU_END}, inf, 1.0507009873554805 * clip(x, 0, {_SELU_END}) + {_SELU_NEGATIVE})
gelu: 0.5 * x * (1 + erf_by_tanh(x * 0.70710678))
    gelu_by_tail(x.astype(float64)).astype(float32)
    ((d := maximum(x, -40).astype(float64)) * special.ndtr(d)).astype(float32)
gelu_tanh: 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x**3)))
    ((d := maximum(x, -16).astype(float64)) / (1 + exp(-{_CUBIC}))).astype(float32)
silu: x / (1 + exp(-x))
    ((d := maximum(x, -200).astype(float64)) / (1 + exp(-d))).astype(float32)
mish: x * tanh(log1p(exp(x)))
    mish_by_quotient(maximum(x, -200).astype(float64)).astype(float32)
softplus: log1p(exp(x))
    maximum(x, 0) + log1p(exp(-abs(x)))
    maximum(x, log1p(exp(minimum(x, 20))))
    maximum(x, log1p(exp(clip(x, -inf, 20))))
    -special.log_expit(-x)
log_sigmoid: log(1 / (1 + exp(-x)))
    minimum(x, 0) - log1p(exp(-abs(x)))
    minimum(x, -log1p(exp(minimum(-x, 20))))
    minimum(x, -log1p(exp(-clip(x, -20, inf))))
    special.log_expit(x)
softsign: x / (1 + abs(x))
    (c := clip(x, -3e38, 3e38)) / (1 + abs(c))
erf: erf_by_tanh(x)
    erf_by_tanh(x.astype(float64)).astype(float32)
    special.erf(x)
softmax: (e := exp(x - {_PEAK})) / e.sum(axis=-1, keepdims=True)
    columns(softmax_of_columns, x)
    special.softmax(x, axis=-1)
log_softmax: (z := x - {_PEAK}) - log(exp(z).sum(axis=-1, keepdims=True))
    columns(log_softmax_of_columns, x)
logsumexp: log(exp(x).sum(axis=-1))
    columns(logsumexp_of_columns, x)
    special.logsumexp(x, axis=-1)
relu6: clip(x, 0, 6)
celu: where(x > 0, x, expm1(minimum(x, 0)))
    maximum(x, expm1(minimum(x, 0)))
    maximum(x, expm1(clip(x, -inf, 0)))
squareplus: (x + sqrt(x * x + 4)) / 2
    squareplus_by_reciprocal(x)
hard_sigmoid: clip(x / 6 + 0.5, 0, 1)
    clip(x + 3, 0, 6) / 6
hard_silu: x * clip(x + 3, 0, 6) / 6
    maximum(x, -3) * (clip(x + 3, 0, 6) / 6)
hard_tanh: clip(x, -1, 1)
hard_shrink: where(abs(x) > 0.5, x, 0)
    x * (abs(x) > 0.5)
soft_shrink: where(x > 0.5, x - 0.5, where(x < -0.5, x + 0.5, 0 * x))
    x - clip(x, -0.5, 0.5)
tanh_shrink: x - tanh(x)
    tanh_shrink_by_series(x.astype(float64)).astype(float32)
threshold: where(x > 1, x, 0.25)
    clip(x, 1, inf) * ~(m := x <= 1) + float32(0.25) * m
sparse_plus: where(x <= -1, 0, where(x < 1, square(x + 1) / 4, x))
    maximum(x, square(clip(x, -1, 1) + 1) / 4)
    maximum(x, square(clip(x, -1, 1) * 0.5 + 0.5))
sparse_sigmoid: where(x <= -1, 0, where(x < 1, (x + 1) / 2, 1))
    clip((x + 1) / 2, 0, 1)
    clip(x * 0.5 + 0.5, 0, 1)
sparsemax: sparsemax_by_maximum(x)
    columns(sparsemax_of_columns, x)
glu: {_VALUE} / (1 + exp(-{_GATE}))
    {_VALUE} * ({_GATE} > -88) / (1 + exp(clip(-{_GATE}, -88, 88)))
"""


def expressions() -> dict[str, list[str]]:
    """Return the expressions by function."""
    found: dict[str, list[str]] = {}
    for line in _TEXT.strip().splitlines():
        first, _, rest = line.partition(": ")
        if first.isidentifier():
            found[first] = latest = [rest]
        else:
            latest.append(line.strip())
    return found


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


# The error function as tanh of x times a ratio of polynomials in x^2, up to 4; and the normal
# distribution's tail as exp(-x^2 / 2) times a polynomial in t = 1 / (1 + x / 3), up to 15, beyond
# which float32 has none. Both fitted by least squares of the relative error.
ERF_TOP = _numbers(
    "1.128379168275697 0.4348615955419066 0.08985566125441592 0.010293299301057865 "
    "0.0005649845923217419 7.416004261395235e-06"
)
ERF_BOTTOM = _numbers(
    "1.0 0.29430623965276664 0.053012366693696036 0.004871703831676049 0.00016324662916991493 "
    "5.938574388960968e-07"
)
TAIL = _numbers(
    "0.1329692203328743 0.13325967091483626 0.11535877497197028 0.10465810961288957 "
    "-0.004744910896628915 0.12002628573532721 -0.14246281607789626 0.025785591380695964 "
    "0.024351397685074317 -0.00920133356868151"
)
TANH_SHRINK_SERIES = (1 / 3, -2 / 15, 17 / 315)


def _polynomial(coefficients: Sequence[float], x: Any) -> Any:
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
    return np.tanh(c * _polynomial(ERF_TOP, square) / _polynomial(ERF_BOTTOM, square))


def gelu_by_tail(x: Any) -> Any:
    """Return gelu as max(x, 0) less the tail; its exponent in float64, the rest in float32."""
    size = np.abs(np.clip(x, -15, 15))
    density = np.exp(np.square(size.astype(np.float64)) * -0.5).astype(x.dtype)
    t = 1 / (1 + size / 3)
    return np.clip(x, 0, np.inf) - _polynomial(TAIL, t) * t * size * density


def mish_by_quotient(x: Any) -> Any:
    """Return mish without tanh and log: tanh(log(1 + e)) is e (e + 2) / (e (e + 2) + 2)."""
    e = np.exp(np.minimum(x, 20))
    e *= e + 2
    return x * (e / (e + 2))


def squareplus_by_reciprocal(x: Any) -> Any:
    """Return max(x, 0) + 1 / p with p = abs(x) / 2 + sqrt(x^2 / 4 + 1): p - 1 / p is abs(x)."""
    half = np.abs(x) * np.float32(0.5)
    root = np.sqrt(np.square(np.clip(half, 0, 1e9)) + 1)  # beyond 1e9 it is half itself
    return np.maximum(x, 0) + 1 / (half + np.maximum(half, root))


def tanh_shrink_by_series(x: Any) -> Any:
    """Return x - tanh(x), by its series where the two are close."""
    near = np.clip(x, -0.02, 0.02)
    square = near * near
    series = near * square * _polynomial(TANH_SHRINK_SERIES, square)
    return np.where(x == near, series, x - np.tanh(x))


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
