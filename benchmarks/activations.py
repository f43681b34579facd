"""How fast each function is against the best plain NumPy for it, and against torch.

    python benchmarks/activations.py --json activations.json -o activations.png

Every function on 100,000 float32 numbers with one thread; all contenders take turns in rounds.
A NumPy expression counts if its largest error, over some million points that include the tails,
the infinities and NaN, is within the bound of xpnet's own, and if NumPy did not warn; the
fastest that counts is the rival. The exact values are computed in float64, by the standard
library where NumPy has no such function. Ratios are xpnet's time divided by the other's: below 1
xpnet is faster.
"""

import argparse
import datetime as dt
import importlib
import json
import math
import operator
import platform
import shutil
import statistics
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import threadpoolctl

import xpnet
from xpnet.pictures.saving import check_picture, new_figure, save_figure

SIZE = 100_000
WIDTH = 10  # of the rows of softmax and its relatives
SECONDS_PER_SAMPLE = 1e-3
# A comment in an expression: its author knows of the overflow, and has silenced the warning.
SILENCED = "# silenced"


def polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Return the polynomial of the coefficients, lowest power first, by Horner's rule."""
    y = coefficients[-1] * x
    for coefficient in coefficients[-2:0:-1]:
        y += coefficient
        y *= x
    y += coefficients[0]
    return y


def nodes(function: Callable[[float], float], low: float, high: float) -> tuple[Any, Any]:
    """Return points of an interval, denser towards its ends, and the function's values there."""
    x = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(500) + 0.5) / 500)
    return x, np.asarray([function(float(value)) for value in x])


def fit(
    function: Callable[[float], float], low: float, high: float, n_top: int, n_bottom: int = 1
) -> tuple[list[float], list[float]]:
    """Return the coefficients of two polynomials whose ratio is nearest a function, relatively.

    By least squares; as that is linear only for a known denominator, some rounds of it.
    """
    x, y = nodes(function, low, high)
    powers = np.vander(x / high, max(n_top, n_bottom), increasing=True)
    weight = np.ones((len(x), 1))
    for _ in range(5):
        matrix = np.hstack([powers[:, :n_top] / y[:, None], -powers[:, 1:n_bottom]]) * weight
        solution = np.linalg.lstsq(matrix, weight)[0][:, 0]
        bottom = np.append(1.0, solution[n_top:])
        weight = 1 / np.abs(powers[:, :n_bottom] @ bottom)[:, None]
    scale = high ** np.arange(max(n_top, n_bottom))
    return (solution[:n_top] / scale[:n_top]).tolist(), (bottom / scale[:n_bottom]).tolist()


def atanh_of_erf(x: float) -> float:
    """Return atanh(erf(x)) for x > 0, by erfc for the digits."""
    return 0.5 * math.log((1 + math.erf(x)) / math.erfc(x))


def scaled_tail(t: float) -> float:
    """Return Q(x) exp(x^2 / 2) / t at t = 1 / (1 + x / 3); Q is the normal upper tail."""
    x = 3 / t - 3
    return 0.5 * math.erfc(x * math.sqrt(0.5)) * math.exp(x * x / 2) / t


# What somebody would write who needs erf and has only NumPy: erf(x) as tanh of x times a ratio
# of polynomials in x^2, and the normal tail as exp(-x^2 / 2) times a polynomial in
# t = 1 / (1 + x / 3). Beyond 15, float32 has no normal tail.
ERF = fit(lambda u: atanh_of_erf(math.sqrt(u)) / math.sqrt(u), 0.0, 16.0, 6, 6)
TAIL, _ = fit(scaled_tail, 1 / (1 + 15 / 3), 1.0, 10)


def erf_by_tanh(x: Any) -> Any:
    """Return erf(x) by its ratio of polynomials."""
    c = np.clip(x, -4, 4)
    square = c * c
    return np.tanh(c * polynomial(ERF[0], square) / polynomial(ERF[1], square))


def gelu_by_tail(x: Any) -> Any:
    """Return gelu as max(x, 0) less the tail; its exponent in float64, the rest in float32."""
    size = np.abs(np.clip(x, -15, 15))
    density = np.exp(np.square(size.astype(np.float64)) * -0.5).astype(x.dtype)
    t = 1 / (1 + size / 3)
    return np.clip(x, 0, np.inf) - polynomial(TAIL, t) * t * size * density


def rows_sum(x: Any) -> Any:
    """Return the sums of rows as a column, by a product with ones."""
    return x @ np.ones((x.shape[-1], 1), x.dtype)


def columns(function: Callable[[Any], Any], x: Any) -> Any:
    """Apply a function of columns to rows: NumPy reduces the first axis faster than a short last.

    The result has the order in memory that the argument has.
    """
    return np.ascontiguousarray(function(np.ascontiguousarray(x.T)).T)


def softmax_of_columns(t: Any) -> Any:
    """Return the softmax of each column."""
    t -= t.max(axis=0)
    np.exp(t, out=t)
    t /= t.sum(axis=0)
    return t


def log_softmax_of_columns(t: Any) -> Any:
    """Return the log-softmax of each column."""
    t -= t.max(axis=0)
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


def sparsemax_by_support(x: Any) -> Any:
    """Return the sparsemax of rows, as its paper has it: the support first."""
    z = x - x.max(axis=-1, keepdims=True)
    descending = -np.sort(-z, axis=-1)
    total = np.cumsum(descending, axis=-1)
    k = np.arange(1, z.shape[-1] + 1, dtype=z.dtype)
    size = np.sum(1 + k * descending > total, axis=-1, keepdims=True)
    # A row with NaN has no support; any size will do.
    chosen = np.take_along_axis(total, np.maximum(size, 1) - 1, axis=-1)
    return np.maximum(z - (chosen - 1) / np.maximum(size, 1).astype(z.dtype), 0)


def sparsemax_by_maximum(x: Any) -> Any:
    """Return the sparsemax of rows: the threshold is the largest of what each size would give."""
    z = x - x.max(axis=-1, keepdims=True)
    k = np.arange(1, z.shape[-1] + 1, dtype=z.dtype)
    total = np.cumsum(-np.sort(-z, axis=-1), axis=-1)
    return np.maximum(z - ((total - 1) / k).max(axis=-1, keepdims=True), 0)


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


def exact_erf(x: Any) -> Any:
    """Return erf(x) by the standard library."""
    return np.frompyfunc(math.erf, 1, 1)(x).astype(np.float64)


def exact_erfc(x: Any) -> Any:
    """Return erfc(x) by the standard library."""
    return np.frompyfunc(math.erfc, 1, 1)(x).astype(np.float64)


def exact_sigmoid(x: Any) -> Any:
    """Return sigmoid(x) in float64, digits in both tails."""
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def exact_softplus(x: Any) -> Any:
    """Return log(1 + exp(x)) in float64, digits in both tails."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def exact_tanh_shrink(x: Any) -> Any:
    """Return x - tanh(x) in float64, by its series where the two are close."""
    near = np.clip(x, -0.02, 0.02)
    square = near * near
    series = near * square * (1 / 3 - square * (2 / 15 - square * (17 / 315)))
    return np.where(np.abs(x) < 0.02, series, x - np.tanh(x))  # noqa: PLR2004 (as above)


def exact_squareplus(x: Any) -> Any:
    """Return (x + sqrt(x^2 + 4)) / 2 in float64, digits in the negative tail."""
    half = np.abs(x) / 2
    larger = half + np.sqrt(half * half + 1)
    return np.where(x < 0, 1 / larger, larger)


def exact_logsumexp(x: Any) -> Any:
    """Return logsumexp of rows in float64, as a column."""
    peak = np.max(x, axis=-1, keepdims=True)
    total = np.sum(np.exp(x - peak), axis=-1, keepdims=True)
    return np.where(np.isfinite(peak), peak + np.log(total), peak)


def exact_sparsemax(x: Any) -> Any:
    """Return sparsemax of rows in float64."""
    descending = np.sort(x, axis=-1)[:, ::-1]
    k = np.arange(1, x.shape[-1] + 1)
    threshold = np.max((np.cumsum(descending, axis=-1) - 1) / k, axis=-1, keepdims=True)
    return np.maximum(x - threshold, 0)


def at_minus_infinity(value: float, x: Any, y: Any) -> Any:
    """Return `y` with the limit where x is -inf, and the product is not a number."""
    return np.where(x == -np.inf, value, y)


@dataclass(frozen=True)
class Case:
    """One function: what is exact, and who else computes it.

    Attributes
    ----------
    exact : str
        An expression in a float64 `x`.
    rivals : tuple of str
        Expressions in a float32 `x`, in the names of NumPy, of this file, and of scipy.special
        as `special`.
    torch : str
        An expression in the names of torch, and of torch.nn.functional as `F`; empty where torch
        has no such function.
    name : str
        The name of the public function, where it is not that of the case.
    options : dict
        What the public function is given besides `x`.
    width : int
        Of the rows, for functions that are not elementwise.
    unit : str
        "ulp" of the result; "eps" times max(1, abs(result)), where results near 0 are
        differences of larger numbers, and no formula could keep their digits; or "log": eps
        times p (1 + abs(log(p))), as exp amplifies what a difference of logits was rounded by.
    """

    exact: str
    rivals: tuple[str, ...]
    torch: str = ""
    name: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    width: int = 0
    unit: str = "ulp"


SELU = "1.0507009873554805 * where(x > 0, x, 1.6732632423543772 * expm1(minimum(x, 0)))"
SELU_SUM = "1.0507009873554805 * clip(x, 0, inf) + 1.7580993408473766 * expm1(clip(x, -inf, 0))"
CUBIC = "1.5957691216057308 * (d + 0.044715 * d * d * d)"
PEAK = "x.max(axis=-1, keepdims=True)"
SHIFT = f"(m := where(isfinite(m := {PEAK}), m, 0))"

CASES = {
    "step": Case(
        "where(isnan(x), x, x > 0)",
        (
            "where(x > 0, float32(1), float32(0))",
            "(x > 0).astype(float32)",
            "heaviside(x, 0)",
            "maximum(sign(x), 0)",
            "clip(sign(x), 0, 1)",
        ),
        "torch.heaviside(x, torch.zeros(()))",
    ),
    "sigmoid": Case(
        "exact_sigmoid(x)",
        (
            "1 / (1 + exp(-x))",
            "1 / (1 + exp(-x))  # silenced",
            "1 / (1 + exp(clip(-x, -88, 88)))",
            "1 / (1 + exp(minimum(-x, 88)))",
            "divide(1, add(1, exp(t := clip(-x, -88, 88), out=t), out=t), out=t)",
            "where(x >= 0, 1 / (1 + (e := exp(-abs(x)))), e / (1 + e))",
            "0.5 * (1 + tanh(x / 2))",
            "special.expit(x)",
        ),
        "torch.sigmoid(x)",
    ),
    "relu": Case(
        "maximum(x, 0)",
        (
            "maximum(x, 0)",
            "maximum(x, zeros_like(x))",
            "clip(x, 0, inf)",
            "where(x > 0, x, 0)",
            "x * (x > 0)",
            "(x + abs(x)) / 2",
        ),
        "torch.relu(x)",
    ),
    "identity": Case("x", ("asarray(x)",), "torch.nn.Identity()(x)"),
    "tanh": Case("tanh(x)", ("tanh(x)", "1 - 2 / (1 + exp(2 * x))  # silenced"), "torch.tanh(x)"),
    "exponential": Case("exp(x)", ("exp(x)", "exp(x)  # silenced"), "torch.exp(x)"),
    "leaky_relu": Case(
        "where(x > 0, x, 0.01 * x)",
        (
            "where(x > 0, x, 0.01 * x)",
            "maximum(x, 0.01 * x)",
            "maximum(x, 0) + 0.01 * minimum(x, 0)",
        ),
        "F.leaky_relu(x)",
    ),
    "elu": Case(
        "where(x > 0, x, expm1(x))",
        (
            "where(x > 0, x, exp(x) - 1)",
            "where(x > 0, x, expm1(minimum(x, 0)))",
            "maximum(x, 0) + expm1(minimum(x, 0))",
            "maximum(x, expm1(minimum(x, 0)))",
            "maximum(x, expm1(clip(x, -inf, 0)))",
            "expm1(x, out=x.copy(), where=x < 0)",
        ),
        "F.elu(x)",
    ),
    "selu": Case(
        SELU,
        (
            SELU,
            "1.0507009873554805 * maximum(x, 0) + 1.7580993408473766 * expm1(minimum(x, 0))",
            SELU_SUM,
            f"{SELU_SUM}  # silenced",
        ),
        "torch.selu(x)",
    ),
    "gelu": Case(
        "at_minus_infinity(-0.0, x, 0.5 * x * exact_erfc(x * -sqrt(0.5)))",
        (
            "0.5 * x * (1 + erf_by_tanh(x * 0.70710678))",
            "gelu_by_tail(x)",
            "gelu_by_tail(x.astype(float64)).astype(float32)",
            "x * special.ndtr(x)",
            "0.5 * x * special.erfc(x * -0.70710678)",
            "((d := maximum(x, -40).astype(float64)) * special.ndtr(d)).astype(float32)",
        ),
        "F.gelu(x)",
    ),
    "gelu_tanh": Case(
        f"at_minus_infinity(-0.0, x, (d := x) * exact_sigmoid({CUBIC}))",
        (
            "0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x**3)))  # silenced",
            f"(d := clip(x, -12, 3e38)) / (1 + exp(-{CUBIC}))  # silenced",
            f"((d := maximum(x, -16).astype(float64)) / (1 + exp(-{CUBIC}))).astype(float32)",
        ),
        "F.gelu(x, approximate='tanh')",
        name="gelu",
        options={"approximate": "tanh"},
    ),
    "silu": Case(
        "at_minus_infinity(-0.0, x, x * exact_sigmoid(x))",
        (
            "x / (1 + exp(-x))",
            "maximum(x, -200) / (1 + exp(-x))  # silenced",
            "maximum(x, -200) * exp(minimum(x, 0)) / (1 + exp(-abs(x)))",
            "maximum(x, -170) / ((t := exp(clip(x, -170, 170) * -0.5)) + 1 / t) / t",
            "((d := maximum(x, -200).astype(float64)) / (1 + exp(-d))).astype(float32)",
            "maximum(x, -200) * special.expit(x)",
        ),
        "F.silu(x)",
    ),
    "mish": Case(
        "at_minus_infinity(-0.0, x, x * tanh(exact_softplus(x)))",
        (
            "x * tanh(log1p(exp(x)))",
            "maximum(x, -200) * tanh(log1p(exp(minimum(x, 20))))",
            "mish_by_quotient(maximum(x, -200))",
            "mish_by_halves(x)",
            "mish_by_quotient(maximum(x, -200).astype(float64)).astype(float32)",
        ),
        "F.mish(x)",
    ),
    "softplus": Case(
        "exact_softplus(x)",
        (
            "log1p(exp(x))",
            "logaddexp(x, 0)",
            "maximum(x, 0) + log1p(exp(-abs(x)))",
            "maximum(x, log1p(exp(minimum(x, 20))))",
            "maximum(x, log1p(exp(clip(x, -inf, 20))))",
            "-special.log_expit(-x)",
        ),
        "F.softplus(x)",
    ),
    "log_sigmoid": Case(
        "-exact_softplus(-x)",
        (
            "log(1 / (1 + exp(-x)))",
            "-logaddexp(0, -x)",
            "minimum(x, 0) - log1p(exp(-abs(x)))",
            "minimum(x, -log1p(exp(minimum(-x, 20))))",
            "minimum(x, -log1p(exp(-clip(x, -20, inf))))",
            "special.log_expit(x)",
        ),
        "F.logsigmoid(x)",
    ),
    "softsign": Case(
        "where(isinf(x), sign(x), x / (1 + abs(x)))",
        (
            "x / (1 + abs(x))",
            "(c := clip(x, -3e38, 3e38)) / (1 + abs(c))",
            "copysign(1 - 1 / (1 + abs(x)), x)",
        ),
        "F.softsign(x)",
    ),
    "erf": Case(
        "exact_erf(x)",
        (
            "erf_by_tanh(x)",
            "erf_by_tanh(x.astype(float64)).astype(float32)",
            "exact_erf(x).astype(float32)",
            "special.erf(x)",
        ),
        "torch.erf(x)",
    ),
    "softmax": Case(
        "exp(where(isinf(y := exact_logsumexp(x)), nan, x - y))",
        (
            f"(e := exp(x - {PEAK})) / e.sum(axis=-1, keepdims=True)  # silenced",
            f"(e := exp(x - {PEAK})) / rows_sum(e)  # silenced",
            "columns(softmax_of_columns, x)  # silenced",
            "special.softmax(x, axis=-1)  # silenced",
        ),
        "torch.softmax(x, -1)",
        width=WIDTH,
        unit="log",
    ),
    "log_softmax": Case(
        "where(isinf(y := exact_logsumexp(x)), nan, x - y)",
        (
            f"(z := x - {PEAK}) - log(exp(z).sum(axis=-1, keepdims=True))  # silenced",
            f"(z := x - {PEAK}) - log(rows_sum(exp(z)))  # silenced",
            "columns(log_softmax_of_columns, x)  # silenced",
            "special.log_softmax(x, axis=-1)  # silenced",
        ),
        "torch.log_softmax(x, -1)",
        width=WIDTH,
        unit="eps",
    ),
    "logsumexp": Case(
        "exact_logsumexp(x)[:, 0]",
        (
            "log(exp(x).sum(axis=-1))  # silenced",
            "logaddexp.reduce(x, axis=-1)",
            f"({SHIFT}[:, 0] + log(exp(x - m).sum(axis=-1)))  # silenced",
            f"({SHIFT} + log(rows_sum(exp(x - m))))[:, 0]  # silenced",
            "columns(logsumexp_of_columns, x)  # silenced",
            "special.logsumexp(x, axis=-1)  # silenced",
        ),
        "torch.logsumexp(x, -1)",
        width=WIDTH,
        unit="eps",
    ),
    "relu6": Case("clip(x, 0, 6)", ("clip(x, 0, 6)", "minimum(maximum(x, 0), 6)"), "F.relu6(x)"),
    "celu": Case(
        "where(x > 0, x, expm1(x))",
        (
            "where(x > 0, x, expm1(minimum(x, 0)))",
            "maximum(x, 0) + expm1(minimum(x, 0))",
            "maximum(x, expm1(minimum(x, 0)))",
            "maximum(x, expm1(clip(x, -inf, 0)))",
        ),
        "F.celu(x)",
    ),
    "squareplus": Case(
        "exact_squareplus(x)",
        (
            "(x + sqrt(x * x + 4)) / 2",
            "(x + hypot(x, 2)) / 2",
            "maximum(x, 0) + 1 / ((h := abs(x) * 0.5) + hypot(h, 1))",
            "squareplus_by_reciprocal(x)",
            "exact_squareplus(x.astype(float64)).astype(float32)",
        ),
    ),
    "hard_sigmoid": Case(
        "clip(x + 3, 0, 6) / 6",
        (
            "clip(x / 6 + 0.5, 0, 1)",
            "clip(x + 3, 0, 6) / 6",
            "clip(x + 3, 0, 6) * 0.16666667",
            "minimum(maximum(x + 3, 0), 6) / 6",
        ),
        "F.hardsigmoid(x)",
    ),
    "hard_silu": Case(
        "at_minus_infinity(-0.0, x, x * (clip(x + 3, 0, 6) / 6))",
        (
            "x * clip(x + 3, 0, 6) / 6",
            "x * (clip(x + 3, 0, 6) / 6)",
            "maximum(x, -3) * (clip(x + 3, 0, 6) / 6)",
            "clip(x, -3, inf) * (clip(x + 3, 0, 6) * 0.16666667)",
        ),
        "F.hardswish(x)",
    ),
    "hard_tanh": Case(
        "clip(x, -1, 1)", ("clip(x, -1, 1)", "minimum(maximum(x, -1), 1)"), "F.hardtanh(x)"
    ),
    "hard_shrink": Case(
        "where(abs(x) <= 0.5, 0, x)",
        (
            "where(abs(x) > 0.5, x, 0)",
            "where(abs(x) <= 0.5, 0, x)",
            "x * (abs(x) > 0.5)",
            "(y := x.copy(), putmask(y, abs(x) <= 0.5, 0))[0]",
        ),
        "F.hardshrink(x)",
    ),
    "soft_shrink": Case(
        "x - clip(x, -0.5, 0.5)",
        (
            "where(x > 0.5, x - 0.5, where(x < -0.5, x + 0.5, 0 * x))",
            "sign(x) * maximum(abs(x) - 0.5, 0)",
            "x - clip(x, -0.5, 0.5)",
        ),
        "F.softshrink(x)",
    ),
    "tanh_shrink": Case(
        "exact_tanh_shrink(x)",
        (
            "x - tanh(x)",
            "((d := x.astype(float64)) - tanh(d)).astype(float32)",
            "exact_tanh_shrink(x.astype(float64)).astype(float32)",
        ),
        "F.tanhshrink(x)",
    ),
    "threshold": Case(
        "where(x <= 1, 0.25, x)",
        (
            "where(x > 1, x, 0.25)",
            "where(x <= 1, 0.25, x)",
            "(y := x.copy(), putmask(y, x <= 1, 0.25))[0]",
            "clip(x, 1, inf) * ~(m := x <= 1) + float32(0.25) * m",
        ),
        "F.threshold(x, 1.0, 0.25)",
        options={"threshold": 1.0, "value": 0.25},
    ),
    "sparse_plus": Case(
        "maximum(x, square(clip(x, -1, 1) + 1) / 4)",
        (
            "where(x <= -1, 0, where(x < 1, square(x + 1) / 4, x))  # silenced",
            "maximum(x, square(clip(x, -1, 1) + 1) / 4)",
            "maximum(x, square(clip(x, -1, 1) * 0.5 + 0.5))",
        ),
    ),
    "sparse_sigmoid": Case(
        "clip((x + 1) / 2, 0, 1)",
        (
            "where(x <= -1, 0, where(x < 1, (x + 1) / 2, 1))",
            "clip((x + 1) / 2, 0, 1)",
            "clip(x * 0.5 + 0.5, 0, 1)",
        ),
    ),
    "glu": Case(
        f"x[:, :{WIDTH}] * exact_sigmoid(x[:, {WIDTH}:])",
        (
            f"x[:, :{WIDTH}] / (1 + exp(-x[:, {WIDTH}:]))  # silenced",
            f"x[:, :{WIDTH}] / (1 + exp(clip(-x[:, {WIDTH}:], -88, 88)))",
            f"x[:, :{WIDTH}] / (1 + exp(minimum(-x[:, {WIDTH}:], 88)))",
        ),
        "F.glu(x)",
        width=2 * WIDTH,
    ),
    "sparsemax": Case(
        "exact_sparsemax(x)",
        (
            "sparsemax_by_maximum(x)",
            "sparsemax_by_support(x)",
            "columns(sparsemax_of_columns, x)",
        ),
        width=WIDTH,
        unit="eps",
    ),
}
# Nothing is computed there, so its ratio would be that of two calls: not in the summary.
NOTHING_TO_COMPUTE = ("identity",)


@dataclass(eq=False)
class Contender:
    """Who computes a function: the call that is timed, and what was found about it.

    Attributes
    ----------
    error : float
        The largest, in the unit of the case; infinite for a missing or false NaN or infinity,
        or for another dtype.
    seconds : list of float
        Per call, one for each round.
    """

    label: str
    call: Callable[[Any], Any]
    x: Any
    error: float = math.nan
    worst: Any = None
    warned: bool = False
    verdict: str = ""
    seconds: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The seconds of the best round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The seconds of the median round."""
        return statistics.median(self.seconds)


@dataclass(eq=False)
class Contest:
    """One function's contenders."""

    case: Case
    ours: Contender
    rivals: list[Contender]
    theirs: Contender | None = None
    ours_on_torch: Contender | None = None
    bound: float = math.nan
    stated: bool = True

    @property
    def everybody(self) -> list[Contender]:
        """All who are timed."""
        torch = [c for c in (self.theirs, self.ours_on_torch) if c is not None]
        return [self.ours, *self.rivals, *torch]

    def fastest(self, *, scipy: bool = False) -> Contender | None:
        """Return the fastest rival that counts, of plain NumPy or of SciPy."""
        counting = [
            c for c in self.rivals if c.verdict == "counts" and ("special." in c.label) == scipy
        ]
        return min(counting, key=lambda c: c.median, default=None)


def main() -> int:
    """Run the benchmark of the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="(default: 15)")
    parser.add_argument("--quick", action="store_true", help="one round, to see that it runs")
    parser.add_argument("--functions", metavar="A,B", help="only these (default: all)")
    parser.add_argument("--rivals", action="store_true", help="show every expression")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    parser.add_argument("-o", "--output", metavar="PICTURE", help="draw the ratios")
    args = parser.parse_args()
    names = args.functions.split(",") if args.functions else list(CASES)
    if unknown := set(names) - set(CASES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(CASES)}")
    if args.rounds < 1:
        parser.error(f"--rounds must be at least 1; got {args.rounds}")
    if args.output:
        check_picture(args.output)

    # As in a program that has used large arrays before: from then on glibc's malloc keeps memory
    # of this size, where in a fresh process every temporary array would fault its pages in anew.
    np.ones(4_000_000)
    torch, special = optional("torch"), optional("scipy.special")
    with threadpoolctl.threadpool_limits(1), inference(torch):
        contests = {
            name: contest
            for name in names
            if (contest := enter(name, torch, special, quick=args.quick)) is not None
        }
        measure(contests, 1 if args.quick else args.rounds)
    result: dict[str, Any] = {
        "about": about(torch),
        "functions": {name: report(contest) for name, contest in contests.items()},
        "skipped": [name for name in names if name not in contests],
    }
    result["summary"] = summarise(result["functions"])
    print_all(result, rivals=args.rivals)
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.output:
        save_figure(draw(result["functions"]), args.output, force=True)
    return 0


def optional(name: str) -> ModuleType | None:
    """Return a module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def inference(torch: Any) -> Any:
    """Hold torch to one thread and to inference, where it is installed."""
    if torch is None:
        return nullcontext()
    torch.set_num_threads(1)
    return torch.inference_mode()


def enter(name: str, torch: Any, special: Any, *, quick: bool) -> Contest | None:
    """Return the contest of a function, every contender checked; None where xpnet lacks it."""
    case = CASES[name]
    function = getattr(xpnet, case.name or name, None)
    if function is None:
        return None
    options = case.options
    x = timed_input(case)
    on_torch = None if torch is None else torch.from_numpy(x)
    ours = Contender("xpnet", lambda x: function(x, **options), x)
    known = {**vars(np), **globals(), "special": special}
    contest = Contest(
        case,
        ours,
        [
            Contender(text, compiled(text, known), x)
            for text in case.rivals
            if special is not None or "special." not in text
        ],
    )
    if torch is not None:
        contest.ours_on_torch = Contender("xpnet on torch", ours.call, on_torch)
        if case.torch:
            call = compiled(case.torch, {"torch": torch, "F": torch.nn.functional})
            contest.theirs = Contender(case.torch, call, on_torch)
    check(name, contest, checked_input(case, 20_000 if quick else 1_000_000), torch)
    return contest


def compiled(text: str, known: dict[str, Any]) -> Callable[[Any], Any]:
    """Return the function of `x` that an expression is: what is printed is what was timed."""
    function: Callable[[Any], Any] = eval(f"lambda x: ({text}\n)", known)  # noqa: S307 (our own)
    if SILENCED not in text:
        return function

    def silenced(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(x)

    return silenced


def timed_input(case: Case) -> Any:
    """Return 100,000 numbers in the shape of the case (twice as many where half are gates)."""
    rows = SIZE // WIDTH
    shape = (rows, case.width) if case.width else (SIZE,)
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape, np.float32) * np.float32(3)


def checked_input(case: Case, count: int) -> Any:
    """Return the points at which errors are measured, some 2.5 times `count`, from a fixed seed."""
    rng = np.random.default_rng(1)
    normal = rng.standard_normal(count, np.float32) * np.float32(3)
    if case.width:
        return checked_rows(case, normal, rng)
    # Evenly spaced bit patterns reach every binade of either sign.
    bits = np.arange(0, 2**32, 2**32 // count).astype(np.uint32).view(np.float32)
    middle = rng.uniform(-120, 120, count // 2).astype(np.float32)
    limits = np.finfo(np.float32)
    special = [0.0, 0.5, 1.0, 3.0, 6.0, float(limits.tiny), float(limits.max), math.inf]
    edges = np.asarray([*special, *(-value for value in special), np.nan], np.float32)
    beside = [np.nextafter(edges[:5], np.float32(to)) for to in (-np.inf, np.inf)]
    return np.concatenate([bits[~np.isnan(bits)], normal, middle, edges, *beside])


def checked_rows(case: Case, normal: Any, rng: Any) -> Any:
    """Return rows of ordinary and of large logits, and rows with infinities and NaN."""
    rows = normal[: len(normal) // case.width * case.width].reshape(-1, case.width)
    if case.torch == "F.glu(x)":
        # Where the gate is a normal number, or exactly 0 or 1.
        gates = rng.uniform(-87, 120, rows[:, WIDTH:].shape).astype(np.float32)
        gates[0], gates[1], gates[2] = np.inf, -np.inf, np.nan
        return np.concatenate([rows, np.concatenate([rows[:, :WIDTH], gates], axis=1)])
    odd = rows[:8].copy()
    odd[0, 3], odd[1, 3], odd[2, :2] = np.nan, -np.inf, -np.inf
    if case.exact != "exact_sparsemax(x)":  # which takes finite logits, and -inf
        odd[3, 3], odd[4, :2], odd[5], odd[6] = np.inf, np.inf, -np.inf, np.inf
    return np.concatenate([rows, rows * np.float32(10), odd])


def check(name: str, contest: Contest, x: Any, torch: Any) -> None:
    """Measure everybody's largest error, and decide which rivals count."""
    known = {**vars(np), **globals()}
    with np.errstate(all="ignore"):
        exact = compiled(contest.case.exact, known)(x.astype(np.float64))
    for contender in contest.everybody:
        on_torch = contender in (contest.theirs, contest.ours_on_torch)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = contender.call(torch.from_numpy(x) if on_torch else x)
        contender.warned = bool(caught)
        contender.error, place = largest_error(np.asarray(result), exact, contest.case.unit)
        contender.worst = None if contest.case.width else float(x[place])
    contest.bound, contest.stated = bound_of(name, contest.case.unit, contest.ours.error)
    for rival in contest.rivals:
        if rival.error > contest.bound:
            rival.verdict = "inexact"
        else:
            rival.verdict = "warns" if rival.warned > contest.ours.warned else "counts"


def largest_error(result: Any, exact: Any, unit: str) -> tuple[float, int]:
    """Return the largest error and where it is.

    Results below the smallest normal number need only be that near. What is beyond the largest
    number counts as the next power of two.
    """
    if result.dtype != np.float32 or result.shape != exact.shape:
        return math.inf, 0
    limits = np.finfo(np.float32)
    largest, tiny = 2.0**limits.maxexp, float(limits.tiny)
    exact = np.clip(exact, -largest, largest)
    difference = np.abs(np.clip(result.astype(np.float64), -largest, largest) - exact)
    size = np.abs(exact)
    if unit == "eps":
        error = difference / (float(limits.eps) * np.maximum(size, 1))
    else:
        normal = np.clip(size, tiny, float(limits.max))
        if unit == "log":
            error = difference / (float(limits.eps) * normal * (1 + np.abs(np.log(normal))))
        else:
            error = np.ldexp(difference, limits.nmant + 1 - np.frexp(normal)[1])
        error[(size < tiny) & (difference <= tiny)] = 0
    error[np.isnan(result) & np.isnan(exact)] = 0
    error[np.isnan(error)] = math.inf
    place = int(np.argmax(error))
    return float(error.flat[place]), place


def bound_of(name: str, unit: str, measured: float) -> tuple[float, bool]:
    """Return xpnet's stated bound on NumPy in ULP; where none is, what was measured of xpnet."""
    if unit == "ulp":
        try:
            bounds = importlib.import_module("xpnet.functions.bounds")
            return float(bounds.ulp_bound(name, "numpy", "float32")), True
        except (ModuleNotFoundError, KeyError, ValueError):
            pass
    return max(4.0, measured), False


def measure(contests: dict[str, Contest], rounds: int) -> None:
    """Time every contender once in each round, in one process, in turn."""
    contenders = [c for contest in contests.values() for c in contest.everybody]
    with np.errstate(all="ignore"):
        repeats = [max(1, round(SECONDS_PER_SAMPLE / sample(c, 1))) for c in contenders]
        for _ in range(rounds):
            for contender, repeat in zip(contenders, repeats, strict=True):
                contender.seconds.append(sample(contender, repeat))


def sample(contender: Contender, repeat: int) -> float:
    """Return the seconds per call of some calls, after one that is not timed."""
    call, x = contender.call, contender.x
    call(x)
    start = time.perf_counter()
    for _ in range(repeat):
        call(x)
    return (time.perf_counter() - start) / repeat


def ratio(ours: Contender | None, theirs: Contender | None) -> dict[str, float] | None:
    """Return how often the other's time goes into ours: best rounds, and median over rounds."""
    if ours is None or theirs is None:
        return None
    paired = map(operator.truediv, ours.seconds, theirs.seconds)
    return {"best": ours.best / theirs.best, "median": statistics.median(paired)}


def report(contest: Contest) -> dict[str, Any]:
    """Return what was found about one function, for JSON."""
    numpy, scipy = contest.fastest(), contest.fastest(scipy=True)
    return {
        "unit": contest.case.unit,
        "bound": contest.bound,
        "bound_is_stated": contest.stated,
        "xpnet": facts(contest.ours),
        "rivals": [facts(c) | {"verdict": c.verdict} for c in contest.rivals],
        "numpy": numpy and numpy.label,
        "scipy": scipy and scipy.label,
        "torch": contest.theirs and facts(contest.theirs),
        "xpnet_on_torch": contest.ours_on_torch and facts(contest.ours_on_torch),
        "ratios": {
            "xpnet_to_numpy": ratio(contest.ours, numpy),
            "xpnet_to_scipy": ratio(contest.ours, scipy),
            "xpnet_to_torch": ratio(contest.ours, contest.theirs),
            "xpnet_on_torch_to_torch": ratio(contest.ours_on_torch, contest.theirs),
        },
    }


def facts(contender: Contender) -> dict[str, Any]:
    """Return a contender's times in seconds, error and whether NumPy warned."""
    return {
        "label": contender.label,
        "best": contender.best,
        "median": contender.median,
        # JSON has no infinity.
        "error": contender.error if math.isfinite(contender.error) else None,
        "worst_at": contender.worst and str(contender.worst),
        "warned": contender.warned,
    }


def summarise(functions: dict[str, Any]) -> dict[str, Any]:
    """Return, for each kind of ratio, its median over the functions and how many are below 1."""
    summary = {}
    for kind in ("xpnet_to_numpy", "xpnet_to_scipy", "xpnet_to_torch", "xpnet_on_torch_to_torch"):
        ratios = {
            name: row["ratios"][kind]["median"]
            for name, row in functions.items()
            if row["ratios"][kind] and name not in NOTHING_TO_COMPUTE
        }
        if ratios:
            summary[kind] = {
                "functions": len(ratios),
                "median": statistics.median(ratios.values()),
                "faster": sum(value < 1 for value in ratios.values()),
                "slowest": dict(sorted(ratios.items(), key=lambda item: -item[1])[:5]),
            }
    return summary


def about(torch: Any) -> dict[str, Any]:
    """Return what ran where and when."""
    simd: Any = np.show_config(mode="dicts")
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "commit": commit(),
        "hardware": xpnet.Device("cpu").hardware,
        "numpy_features": " ".join(simd["SIMD Extensions"]["found"]),
        "torch_features": torch and torch.backends.cpu.get_cpu_capability(),
        "threads": 1,
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: installed(name) for name in ("xpnet", "numpy", "scipy", "torch")},
    }


def installed(name: str) -> str | None:
    """Return the version of a distribution, None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def commit() -> str | None:
    """Return the commit of the checkout, with '-dirty' after changes; None outside of one."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
    folder = Path(__file__).parent
    done = subprocess.run(  # noqa: S603 (a fixed command)
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None


def print_all(result: dict[str, Any], *, rivals: bool) -> None:
    """Print the table, who is missing, and the summary."""
    facts_text = ", ".join(
        f"{name} {value or 'missing'}" for name, value in result["about"].items()
    )
    print(textwrap.fill(facts_text, 100))
    print(f"{SIZE:,} float32 numbers, one thread; ratios of the best rounds (of the median)")
    print(
        f"{'function':<14} {'microsec':>8} {'error':>6} {'to NumPy':>13} {'to torch':>13}"
        f" {'on torch':>8}  fastest NumPy within the bound"
    )
    for name, row in result["functions"].items():
        print_row(name, row)
        if rivals:
            print_rivals(row)
    lacking = [name for name in result["functions"] if not CASES[name].torch]
    print(
        "error: the largest, in ULP (softmax: in eps p (1 + |log p|); log_softmax, logsumexp and\n"
        "sparsemax: in eps max(1, |result|)); !: above the bound\n"
        "on torch: the time of xpnet on torch's arrays to torch's own"
    )
    for text, names in (
        ("torch has no", lacking),
        ("not in xpnet", result["skipped"]),
        ("nothing to compute, not in the summary:", [*NOTHING_TO_COMPUTE]),
    ):
        if names:
            print(textwrap.fill(f"{text} {', '.join(names)}", 100))
    for kind, found in result["summary"].items():
        slowest = ", ".join(f"{name} {value:.2f}" for name, value in found["slowest"].items())
        text = (
            f"{kind}: median {found['median']:.2f}, faster in {found['faster']} of"
            f" {found['functions']}; slowest {slowest}"
        )
        print(textwrap.fill(text, 100, subsequent_indent="  "))


def print_row(name: str, row: dict[str, Any]) -> None:
    """Print one function's line."""
    ratios, ours = row["ratios"], row["xpnet"]
    on_torch = ratios["xpnet_on_torch_to_torch"]
    print(
        f"{name:<14} {ours['best'] * 1e6:>8,.1f} {error_text(ours['error'], row['bound']):>6}"
        f" {ratio_text(ratios['xpnet_to_numpy']):>13} {ratio_text(ratios['xpnet_to_torch']):>13}"
        f" {'-' if on_torch is None else format(on_torch['best'], '.2f'):>8}"
        f"  {shortened(row['numpy'] or 'none', 31)}"
    )


def print_rivals(row: dict[str, Any]) -> None:
    """Print every contender of one function: time, error, and whether it counts."""
    for rival in [*row["rivals"], *filter(None, [row["torch"], row["xpnet_on_torch"]])]:
        error = error_text(rival["error"], row["bound"])
        place = f" at {rival['worst_at']}" if error.endswith("!") and rival["worst_at"] else ""
        print(
            f"{'':<14} {rival['best'] * 1e6:>8,.1f} {error:>6} {rival.get('verdict', ''):<8}"
            f" {rival['label']}{place}"
        )


def error_text(error: float | None, bound: float) -> str:
    """Return an error in a few characters, with a mark where it is above the bound."""
    if error is None:
        return "inf!"
    return (f"{error:.1f}" if error < 1000 else f"{error:.0e}") + "!" * (error > bound)  # noqa: PLR2004


def ratio_text(pair: dict[str, float] | None) -> str:
    """Return a ratio of best rounds, and of the median round in parentheses."""
    return "-" if pair is None else f"{pair['best']:.2f} ({pair['median']:.2f})"


def shortened(text: str, length: int) -> str:
    """Return a text, cut where it is longer."""
    return text if len(text) <= length else text[: length - 3] + "..."


def draw(functions: dict[str, Any]) -> Any:
    """Return a figure of the ratios to NumPy and to torch, on a logarithmic axis."""
    figure = new_figure(7.0, 1.6 + 0.28 * len(functions), layout="constrained")
    axes = figure.subplots()
    names = [name for name in functions if name not in NOTHING_TO_COMPUTE]
    kinds = (("xpnet_to_numpy", "to the best NumPy expression"), ("xpnet_to_torch", "to torch"))
    for place, (kind, label) in enumerate(kinds):
        pairs = [(i, functions[name]["ratios"][kind]) for i, name in enumerate(names)]
        bars = [(i + 0.38 * (place - 0.5), pair["median"]) for i, pair in pairs if pair]
        if bars:
            middles, ratios = zip(*bars, strict=True)
            # From 1, so that a bar to the left is a gain.
            axes.barh(middles, [r - 1 for r in ratios], 0.36, left=1, label=f"xpnet {label}")
    axes.margins(y=0.01)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    ticks = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("time of xpnet on NumPy / time of the other (median of rounds)")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


if __name__ == "__main__":
    sys.exit(main())
