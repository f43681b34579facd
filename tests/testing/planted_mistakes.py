"""Mistakes typical of array code.

Per backend, variant of the arguments or word of the message that finds them: the wrong function;
the right one (None: these options allow none); the array, by default `X`; options of `parity`.
Those in `HIDDEN` are not revealed by one ordinary array on each library.
"""

import itertools
import math

import numpy as np
from array_api_compat import (
    array_namespace as ns,
    device,
    is_array_api_obj,
    is_dask_array,
    is_torch_array,
    size,
)
from array_api_extra import at

__all__ = ["HIDDEN", "MISTAKES"]

RNG = np.random.default_rng(23)
X = RNG.normal(size=(5, 7)).astype(np.float32)
V = X[0].copy()
POSITIVE = np.abs(X) + 1.0
WEIGHTS = np.linspace(0.5, 2.0, 7, dtype=np.float32)
INTEGERS = np.arange(8, dtype=np.int64)
INTS = np.asarray([250, 3, 7, 200], np.uint8)
COMPLEX = (X + 1j * X[::-1]).astype(np.complex64)
FLAGS = np.asarray([True, False, True])
SHAPES = {"shapes": "0d,empty,batched"}
FLOATS = {"dtypes": "float"}


def only_for_numpy(x):
    if not isinstance(x, np.ndarray):
        msg = "`x` must be an array"
        raise TypeError(msg)
    return x * 2.0


def only_for_arrays(x):
    if not is_array_api_obj(x):
        msg = "`x` must be an array"
        raise TypeError(msg)
    return x * 2.0


def raise_if_not_finite(x):
    if not ns(x).all(ns(x).isfinite(x)):
        msg = "`x` must be finite"
        raise ValueError(msg)
    return x * 2.0


def positive_part(x):
    return ns(x).where(x > 0.0, x, ns(x).zeros_like(x))


def number_of_steps(x):
    y = ns(x).sort(x)
    return 1 + ns(x).sum(ns(x).astype(y[1:] != y[:-1], ns(x).int32))


def clip_by_mask(x):
    y = ns(x).asarray(x, copy=True)
    y[y < 0] = 0.0
    return y


def assign_to_item(x):
    y = ns(x).asarray(x, copy=True)
    y[0, ...] = 0.0
    return y


def write_to_out(x):
    y = ns(x).empty_like(x)
    ns(x).exp(x, out=y)
    return y


def center_in_place(x):
    x -= ns(x).mean(x)
    return x


def double_an_alias(x):
    y = ns(x).asarray(x)
    y *= 2.0
    return y


def append_values(x):
    maxima = [float(ns(x).max(x[i, ...])) for i in range(x.shape[0])]
    return ns(x).asarray(maxima, dtype=x.dtype, device=device(x))


def steps_by_value(x):
    xp, n = ns(x), 0
    while xp.max(x) > 1.0:
        x, n = x / 2.0, n + 1
    return x


CACHE, CALLS = {}, itertools.count()


def cached_weights(x):
    n = x.shape[-1]
    if n not in CACHE:
        CACHE[n] = ns(x).ones(n, dtype=x.dtype, device=device(x))
    return x * CACHE[n]


def leaks_a_tracer(x):
    xp, key = ns(x), type(x)
    if key not in CACHE:
        CACHE[key] = xp.all(x < 1e30)
    return xp.where(CACHE[key], x, -x)


def positions(x):
    return ns(x).arange(x.shape[-1], dtype=x.dtype, device=device(x))


def shape_or_none(x, function):
    try:
        shape = function(x).shape
    except ValueError:
        shape = None
    return x * 2.0, shape


def reshaped_to_3_by_3(x):
    if size(x) != 9:
        msg = "`x` must have 9 elements"
        raise ValueError(msg)
    return ns(x).reshape(x, (3, 3))


def one_hot_largest(x):
    return ns(x).where(x == ns(x).max(x), x, ns(x).zeros_like(x))


def one_hot_largest_of_any(x):
    return one_hot_largest(x) if size(x) else x


def centered_by_shape(x):
    n, m = x.shape
    return x - ns(x).sum(x) / (n * m)


def centered(x):
    return x - ns(x).sum(x) / max(size(x), 1)


def softplus(x):
    return ns(x).log(1.0 + ns(x).exp(x))


def safe_softplus(x):
    return ns(x).maximum(x, ns(x).zeros_like(x)) + ns(x).log1p(ns(x).exp(-ns(x).abs(x)))


def variance(x):
    return ns(x).mean(x * x, axis=-1) - ns(x).mean(x, axis=-1) ** 2


def norm(x):
    return ns(x).sqrt(ns(x).sum(x * x, axis=-1))


def scaled_norm(x):
    scale = ns(x).max(ns(x).abs(x), axis=-1, keepdims=True)
    return scale[..., 0] * norm(x / scale)


def logistic(x):
    return ns(x).exp(x) / (1.0 + ns(x).exp(x))


def safe_logistic(x):
    return 0.5 * (1.0 + ns(x).tanh(0.5 * x))


def log_sum_exp(x):
    largest = ns(x).max(x)
    return largest + ns(x).log(ns(x).sum(ns(x).exp(x - largest)))


def safe_log_sum_exp(x):
    largest = ns(x).max(x)
    shift = ns(x).where(ns(x).isfinite(largest), largest, ns(x).zeros_like(largest))
    return shift + ns(x).log(ns(x).sum(ns(x).exp(x - shift)))


def true_log_sum_exp(x):
    with np.errstate(all="ignore"):
        return np.logaddexp.reduce(x, axis=None)


def by_chunk(function):
    """Return a function of arrays that Dask applies to each chunk."""
    return lambda x: x.map_blocks(function, dtype=x.dtype) if is_dask_array(x) else function(x)


def rows_of_first_chunk(x):
    return x / (x.chunks[0][0] if is_dask_array(x) else x.shape[0])


def double_and_restore(x):
    x += 1.0
    y = 2.0 * x
    x -= 1.0
    return y


def absolute_difference(x):
    return ns(x).abs(x - 100)


def distance_from_100(x):
    return ns(x).where(x > 100, x - 100, 100 - x)


def true_distance(x):
    return np.abs(x.astype(np.int64) - 100).astype(x.dtype)


# Rows are as compact as they can be read.
# fmt: off
MISTAKES = {
    "numpy": {
        "modified argument": (center_in_place, lambda x: x - ns(x).mean(x)),
        "modified alias of the argument": (double_an_alias, lambda x: x * 2.0),
        "zeros of the default dtype": (lambda x: x + ns(x).zeros(x.shape, device=device(x)),
            lambda x: x + ns(x).zeros(x.shape, dtype=x.dtype, device=device(x))),
        "constant of the default dtype": (lambda x: x * ns(x).asarray(0.5, device=device(x)),
            lambda x: x * ns(x).asarray(0.5, dtype=x.dtype, device=device(x))),
        "constant of np.sqrt": (lambda x: x * np.sqrt(2.0), lambda x: x * math.sqrt(2.0)),
        "result in float64": (lambda x: ns(x).astype(x * 2.0, ns(x).float64), lambda x: x * 2.0),
        "floats times positions": (lambda x: x * ns(x).arange(x.shape[-1], device=device(x)),
            lambda x: x * positions(x)),
    },
    "deterministic": {
        "random state": (lambda x: x + float(np.random.default_rng().normal()), lambda x: x + 0.5),
        "state between calls": (lambda x: x * float(next(CALLS)), lambda x: x * 3.0),
    },
    "array-api-strict": {
        "np.asarray": (lambda x: np.asarray(x) * 2.0, lambda x: x * 2.0),
        "np.sum": (lambda x: np.sum(x, axis=0), lambda x: ns(x).sum(x, axis=0)),
        "np.exp": (np.exp, lambda x: ns(x).exp(x)),
        "weights of NumPy": (lambda x: x * WEIGHTS,
            lambda x: x * ns(x).asarray(WEIGHTS, device=device(x))),
        "np.finfo": (lambda x: x / (1.0 + float(np.finfo(x.dtype).smallest_normal)),
            lambda x: x / (1.0 + float(ns(x).finfo(x.dtype).smallest_normal))),
        "isinstance of np.ndarray": (only_for_numpy, only_for_arrays),
        "iteration": (lambda x: ns(x).stack([row / ns(x).max(row) for row in x]),
            lambda x: x / ns(x).max(x, axis=-1, keepdims=True), POSITIVE),
        "sum of Python": (sum, lambda x: ns(x).sum(x, axis=0)),
        "sorted": (lambda x: ns(x).asarray(sorted(x)), lambda x: ns(x).sort(x), V),
        "len": (lambda x: x / len(x), lambda x: x / x.shape[0]),
        "array of elements": (lambda x: ns(x).asarray([x[0], x[1]]),
            lambda x: ns(x).stack([x[0], x[1]]), V),
        "integers times a float": (lambda x: x * 0.5,
            lambda x: ns(x).astype(x, ns(x).float32) * 0.5, INTEGERS, {"dtype": "float32"}),
        "integers divided": (lambda x: x / 2, lambda x: ns(x).astype(x, ns(x).float32) / 2.0,
            INTEGERS, {"dtype": "float32"}),
        "mean of integers": (lambda x: ns(x).mean(x),
            lambda x: ns(x).mean(ns(x).astype(x, ns(x).float32)), INTEGERS, {"dtype": "float32"}),
        "sum of booleans": (lambda x: ns(x).sum(x > 0.0),
            lambda x: ns(x).sum(ns(x).astype(x > 0.0, ns(x).int32))),
        "product with a mask": (lambda x: x * (x > 0.0), positive_part),
        "one minus a mask": (lambda x: 1 - (x > 0.0),
            lambda x: ns(x).astype(x <= 0.0, ns(x).int32)),
        "truth of floats": (lambda x: ns(x).logical_and(x, x), lambda x: x != 0.0),
        "dtype as a string": (lambda x: ns(x).astype(x, "float32"),
            lambda x: ns(x).astype(x, ns(x).float32), X, {"dtype": "float32"}),
        "kind of a dtype": (lambda x: x if x.dtype.kind == "f" else x + 0.5,
            lambda x: x if ns(x).isdtype(x.dtype, "real floating") else x + 0.5),
        "method sum": (lambda x: x.sum(axis=0), lambda x: ns(x).sum(x, axis=0)),
        "method reshape": (lambda x: x.reshape(-1), lambda x: ns(x).reshape(x, (-1,))),
        "method copy": (lambda x: x.copy() * 2.0, lambda x: x * 2.0),
        "method item": (lambda x: x[0, 0].item(), lambda x: float(x[0, 0]), X, {"lazy": False}),
        "positional axis": (lambda x: ns(x).sum(x, 0), lambda x: ns(x).sum(x, axis=0)),
        "keyword of NumPy": (lambda x: ns(x).max(x, initial=0.0), lambda x: ns(x).max(x)),
        "nanmax": (lambda x: ns(x).nanmax(x), lambda x: ns(x).max(x)),
        "concatenate": (lambda x: ns(x).concatenate([x, x]), lambda x: ns(x).concat([x, x])),
        "swapaxes": (lambda x: ns(x).swapaxes(x, 0, 1), lambda x: ns(x).permute_dims(x, (1, 0))),
        "dot": (lambda x: ns(x).dot(x, x.T), lambda x: x @ x.T),
        "decimals of round": (lambda x: ns(x).round(x, 1), lambda x: ns(x).round(x * 10.0) / 10.0),
        "T of three axes": (lambda x: x.T, lambda x: ns(x).permute_dims(x, (2, 1, 0)),
            X.reshape(1, 5, 7)),
        "fewer indices than axes": (lambda x: x[0], lambda x: x[0, ...]),
        "array as an index": (lambda x: x[ns(x).asarray([0, 2], device=device(x)), :],
            lambda x: ns(x).take(x, ns(x).asarray([0, 2], device=device(x)), axis=0)),
        "slice beyond the end": (lambda x: x[:, :100], lambda x: x[:, :]),
        "cache for every library": (cached_weights,
            lambda x: x * ns(x).ones(7, dtype=x.dtype, device=device(x))),
    },
    "array-api-strict:device1": {
        "zeros on the default device": (lambda x: x + ns(x).zeros(x.shape, dtype=x.dtype),
            lambda x: x + ns(x).zeros_like(x)),
        "positions on the default device": (lambda x: x * ns(x).arange(x.shape[-1], dtype=x.dtype),
            lambda x: x * positions(x)),
        "list on the default device": (
            lambda x: x * ns(x).asarray(WEIGHTS.tolist(), dtype=x.dtype),
            lambda x: x * ns(x).asarray(WEIGHTS.tolist(), dtype=x.dtype, device=device(x))),
        "to NumPy and back": (lambda x: ns(x).asarray(np.cumsum(np.asarray(x), axis=0)),
            lambda x: ns(x).cumulative_sum(x, axis=0)),
    },
    "array-api-strict:no_float64": {
        "sum in float64": (
            lambda x: ns(x).astype(ns(x).sum(ns(x).astype(x, ns(x).float64)), x.dtype),
            lambda x: ns(x).sum(x)),
        "weights in float64": (
            lambda x: ns(x).astype(x * positions(ns(x).astype(x, ns(x).float64)), x.dtype),
            lambda x: x * positions(x)),
    },
    "array-api-strict:strictest": {
        "max of Python": (max, lambda x: ns(x).max(x), V),
        "in": (lambda x: 2.0 * x if 100.0 in x else x, lambda x: x, V),
        "float": (lambda x: x / float(ns(x).max(x)), lambda x: x / ns(x).max(x)),
        "math.sqrt": (lambda x: x / math.sqrt(ns(x).sum(x * x)),
            lambda x: x / ns(x).sqrt(ns(x).sum(x * x))),
        "if": (lambda x: x if ns(x).sum(x) > 0 else -x,
            lambda x: ns(x).where(ns(x).sum(x) > 0, x, -x)),
        "while": (steps_by_value, None, POSITIVE),
        "validation of values": (raise_if_not_finite, lambda x: x * 2.0),
        "loop that reads values": (append_values, lambda x: ns(x).max(x, axis=-1)),
        "shape from values": (lambda x: ns(x).zeros(int(ns(x).max(x)) + 1, device=device(x)), None,
            INTEGERS),
        "selection by a mask": (lambda x: ns(x).sum(x[x > 0]),
            lambda x: ns(x).sum(positive_part(x))),
        "number of unique values": (lambda x: ns(x).unique_values(x).shape[0], number_of_steps,
            INTEGERS),
    },
    "jax": {
        "assignment to an item": (assign_to_item, lambda x: at(x)[0, ...].set(0.0, copy=True)),
        "assignment by a mask": (clip_by_mask, positive_part),
        "out": (write_to_out, lambda x: ns(x).exp(x)),
        "order of ties": (lambda x: ns(x).argsort(x, stable=False),
            lambda x: ns(x).argsort(x, stable=True), RNG.integers(0, 3, 1000).astype(np.float32)),
    },
    "jax:cpu": {
        "tracer that leaks": (leaks_a_tracer, lambda x: x, X,
            {"dtypes": "float", "backends": "numpy,jax,jax:cpu"}),
    },
    "torch": {
        "negative step": (lambda x: x[::-1, ...], lambda x: ns(x).flip(x, axis=0)),
        "size is a method": (lambda x: x / x.size, lambda x: x / size(x)),
        "shape of a branch": (
            lambda x: ns(x).mean(x) if is_torch_array(x) else ns(x).mean(x, axis=0),
            lambda x: ns(x).mean(x, axis=0)),
        "dtype of a branch": (lambda x: x.double() if is_torch_array(x) else x, lambda x: x * 1.0),
        "another error": (lambda x: shape_or_none(x, lambda x: ns(x).reshape(x, (3, 3))),
            lambda x: shape_or_none(x, reshaped_to_3_by_3)),
    },
}

HIDDEN = {
    "0d": {
        "length of the first axis": (lambda x: x / x.shape[0], lambda x: x / size(x), X, SHAPES),
        "concat": (lambda x: ns(x).concat([x, x]), lambda x: ns(x).stack([x, x]), X, SHAPES),
        "last axis": (lambda x: ns(x).sum(x, axis=-1),
            lambda x: ns(x).sum(x, axis=tuple(range(x.ndim))[-1:]), X, SHAPES),
    },
    "empty": {
        "max": (one_hot_largest, one_hot_largest_of_any, X, {"shapes": "empty"}),
        "mean by division": (lambda x: ns(x).sum(x) * (1.0 / math.prod(x.shape)),
            lambda x: ns(x).sum(x) * (1.0 / max(1, math.prod(x.shape))), X, SHAPES),
    },
    "batched": {
        "T": (lambda x: x @ x.T, lambda x: x @ ns(x).matrix_transpose(x), X, {"shapes": "batched"}),
        "two axes": (centered_by_shape, centered, X, {"shapes": "batched"}),
        "axis counted from the front": (lambda x: x - ns(x).max(x, axis=1, keepdims=True),
            lambda x: x - ns(x).max(x, axis=-1, keepdims=True), X,
            {"shapes": "batched", "expected": lambda x: x - np.max(x, axis=-1, keepdims=True)}),
    },
    "nan jax": {
        "NaN to integers": (lambda x: ns(x).astype(x, ns(x).int32),
            lambda x: ns(x).astype(ns(x).where(ns(x).isfinite(x), x, 0.0), ns(x).int32),
            X, {"specials": True}),
    },
    "nan": {
        "comparison that hides NaN": (lambda x: ns(x).where(x > 0.0, x, 0.0),
            lambda x: ns(x).maximum(x, ns(x).zeros_like(x)), X,
            {"specials": True, "expected": lambda x: np.maximum(x, 0.0)}),
    },
    "inf": {
        "logistic function": (logistic, safe_logistic, X,
            {"specials": True, "expected": lambda x: 0.5 * (1.0 + np.tanh(0.5 * x))}),
        "log of the sum of exp": (log_sum_exp, safe_log_sum_exp, X,
            {"specials": True, "expected": true_log_sum_exp}),
    },
    "-0.0": {
        "sign by comparison": (lambda x: ns(x).where(x < 0.0, -1.0, ns(x).ones_like(x)),
            lambda x: ns(x).copysign(ns(x).ones_like(x), x), X,
            {"specials": True, "expected": lambda x: np.copysign(np.ones_like(x), x)}),
    },
    "float32": {
        "constant of 1e-300": (lambda x: x / (ns(x).sum(x * x) + 1e-300),
            lambda x: x / (ns(x).sum(x * x) + 1e-30), np.zeros((3, 4)), FLOATS),
        "constant of 1e-16": (lambda x: ns(x).log1p(-ns(x).clip(x, 0.0, 1.0 - 1e-16)),
            lambda x: ns(x).log1p(-ns(x).clip(x, 0.0, 1.0 - 2.0**-10)), np.asarray([0.25, 1.0]),
            FLOATS),
        "overflow of exp": (softplus, safe_softplus, np.asarray([1.0, 100.0]), FLOATS),
        "variance in one pass": (variance, lambda x: ns(x).var(x, axis=-1), X.astype(float) + 1e4,
            FLOATS),
    },
    "numpy": {
        "sum of squares": (norm, scaled_norm, (300.0 * POSITIVE).astype(np.float16)),
        "difference that wraps around": (absolute_difference, distance_from_100, INTS,
            {"dtypes": "int", "expected": true_distance}),
    },
    "array-api-strict": {
        "attribute real": (lambda x: x.real * 2.0, lambda x: ns(x).real(x) * 2.0, COMPLEX,
            {"dtypes": "complex"}),
        "true division": (lambda x: ns(x).sum(x) / 2, lambda x: ns(x).sum(x) // 2, INTS,
            {"dtypes": "int"}),
        "square root": (lambda x: x**0.5, lambda x: x**2, INTS, {"dtypes": "int"}),
        "product of booleans": (lambda x: x * x, lambda x: x & x, FLAGS, {"dtypes": "bool"}),
        "minus": (lambda x: 1 - x, lambda x: ~x, FLAGS, {"dtypes": "bool"}),
    },
    "complex128": {
        "square without conj": (lambda x: ns(x).sum(x * x), lambda x: ns(x).sum(x * ns(x).conj(x)),
            COMPLEX, {"dtypes": "complex", "expected": lambda x: np.sum(x * np.conj(x))}),
        "transposed without conj": (lambda x: ns(x).matmul(x, ns(x).matrix_transpose(x)),
            lambda x: ns(x).matmul(x, ns(x).conj(ns(x).matrix_transpose(x))), COMPLEX,
            {"dtypes": "complex", "expected": lambda x: x @ x.conj().T}),
        "order": (lambda x: ns(x).max(x), lambda x: ns(x).max(ns(x).abs(x)), COMPLEX,
            {"dtypes": "complex"}),
    },
    "dask:chunks": {
        "mean of each chunk": (by_chunk(lambda x: x - ns(x).mean(x)), lambda x: x - ns(x).mean(x)),
        "running sum of each chunk": (by_chunk(lambda x: ns(x).cumulative_sum(x, axis=0)),
            lambda x: ns(x).cumulative_sum(x, axis=0)),
        "rows of the first chunk": (rows_of_first_chunk, lambda x: x / x.shape[0]),
    },
    "numpy:readonly": {
        "argument changed and restored": (double_and_restore, lambda x: 2.0 * x + 2.0),
    },
}
