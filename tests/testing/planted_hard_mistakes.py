"""Mistakes that one ordinary array hides: sweeps and further backends reveal them.

As in `planted_mistakes.py`, per variant of the arguments or backend that finds them, or both.
"""

import math

import numpy as np
from array_api_compat import (
    array_namespace as ns,
    is_dask_array,
    size,
)

__all__ = ["MISTAKES"]

X = np.random.default_rng(5).normal(size=(5, 7)).astype(np.float32)
POSITIVE = np.abs(X) + 1.0
INTEGERS = np.asarray([250, 3, 7, 200], np.uint8)
COMPLEX = (X + 1j * X[::-1]).astype(np.complex64)
FLAGS = np.asarray([True, False, True])
SHAPES = {"shapes": "0d,empty,batched"}
FLOATS = {"dtypes": "float"}


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


MISTAKES = {
    "0d": {
        "length of the first axis": (lambda x: x / x.shape[0], lambda x: x / size(x), X, SHAPES),
        "concat": (
            lambda x: ns(x).concat([x, x]),
            lambda x: ns(x).stack([x, x]),
            X,
            SHAPES,
        ),
        "last axis": (
            lambda x: ns(x).sum(x, axis=-1),
            lambda x: ns(x).sum(x, axis=tuple(range(x.ndim))[-1:]),
            X,
            SHAPES,
        ),
    },
    "empty": {
        "max": (one_hot_largest, one_hot_largest_of_any, X, {"shapes": "empty"}),
        "mean by division": (
            lambda x: ns(x).sum(x) * (1.0 / math.prod(x.shape)),
            lambda x: ns(x).sum(x) * (1.0 / max(1, math.prod(x.shape))),
            X,
            SHAPES,
        ),
    },
    "batched": {
        "T": (lambda x: x @ x.T, lambda x: x @ ns(x).matrix_transpose(x), X, {"shapes": "batched"}),
        "two axes": (centered_by_shape, centered, X, {"shapes": "batched"}),
        "axis counted from the front": (
            lambda x: x - ns(x).max(x, axis=1, keepdims=True),
            lambda x: x - ns(x).max(x, axis=-1, keepdims=True),
            X,
            {"shapes": "batched", "expected": lambda x: x - np.max(x, axis=-1, keepdims=True)},
        ),
    },
    "nan jax": {
        "NaN to integers": (
            lambda x: ns(x).astype(x, ns(x).int32),
            lambda x: ns(x).astype(
                ns(x).where(ns(x).isfinite(x), x, ns(x).zeros_like(x)), ns(x).int32
            ),
            X,
            {"specials": True},
        ),
    },
    "nan": {
        "comparison that hides NaN": (
            lambda x: ns(x).where(x > 0.0, x, 0.0),
            lambda x: ns(x).maximum(x, ns(x).zeros_like(x)),
            X,
            {"specials": True, "expected": lambda x: np.maximum(x, 0.0)},
        ),
    },
    "inf": {
        "logistic function": (
            logistic,
            safe_logistic,
            X,
            {"specials": True, "expected": lambda x: 0.5 * (1.0 + np.tanh(0.5 * x))},
        ),
        "log of the sum of exp": (
            log_sum_exp,
            safe_log_sum_exp,
            X,
            {"specials": True, "expected": true_log_sum_exp},
        ),
    },
    "-0.0": {
        "sign by comparison": (
            lambda x: ns(x).where(x < 0.0, -1.0, ns(x).ones_like(x)),
            lambda x: ns(x).copysign(ns(x).ones_like(x), x),
            X,
            {"specials": True, "expected": lambda x: np.copysign(np.ones_like(x), x)},
        ),
    },
    "float32": {
        "constant of 1e-300": (
            lambda x: x / (ns(x).sum(x * x) + 1e-300),
            lambda x: x / (ns(x).sum(x * x) + 1e-30),
            np.zeros((3, 4)),
            FLOATS,
        ),
        "constant of 1e-16": (
            lambda x: ns(x).log1p(-ns(x).clip(x, 0.0, 1.0 - 1e-16)),
            lambda x: ns(x).log1p(-ns(x).clip(x, 0.0, 1.0 - 2.0**-10)),
            np.asarray([0.25, 1.0]),
            FLOATS,
        ),
        "overflow of exp": (softplus, safe_softplus, np.asarray([1.0, 100.0]), FLOATS),
        "variance in one pass": (
            variance,
            lambda x: ns(x).var(x, axis=-1),
            X.astype(float) + 1e4,
            FLOATS,
        ),
    },
    "numpy": {
        "sum of squares": (norm, scaled_norm, (300.0 * POSITIVE).astype(np.float16)),
        "difference that wraps around": (
            absolute_difference,
            distance_from_100,
            INTEGERS,
            {"dtypes": "int", "expected": true_distance},
        ),
    },
    "array-api-strict": {
        "attribute real": (
            lambda x: x.real * 2.0,
            lambda x: ns(x).real(x) * 2.0,
            COMPLEX,
            {"dtypes": "complex"},
        ),
        "true division": (
            lambda x: ns(x).sum(x) / 2,
            lambda x: ns(x).sum(x) // 2,
            INTEGERS,
            {"dtypes": "int"},
        ),
        "square root": (lambda x: x**0.5, lambda x: x**2, INTEGERS, {"dtypes": "int"}),
        "product of booleans": (lambda x: x * x, lambda x: x & x, FLAGS, {"dtypes": "bool"}),
        "minus": (lambda x: 1 - x, lambda x: ~x, FLAGS, {"dtypes": "bool"}),
    },
    "complex128": {
        "square without conj": (
            lambda x: ns(x).sum(x * x),
            lambda x: ns(x).sum(x * ns(x).conj(x)),
            COMPLEX,
            {"dtypes": "complex", "expected": lambda x: np.sum(x * np.conj(x))},
        ),
        "transposed without conj": (
            lambda x: ns(x).matmul(x, ns(x).matrix_transpose(x)),
            lambda x: ns(x).matmul(x, ns(x).conj(ns(x).matrix_transpose(x))),
            COMPLEX,
            {"dtypes": "complex", "expected": lambda x: x @ x.conj().T},
        ),
        "order": (
            lambda x: ns(x).max(x),
            lambda x: ns(x).max(ns(x).abs(x)),
            COMPLEX,
            {"dtypes": "complex"},
        ),
    },
    "dask:chunks": {
        "mean of each chunk": (by_chunk(lambda x: x - ns(x).mean(x)), lambda x: x - ns(x).mean(x)),
        "running sum of each chunk": (
            by_chunk(lambda x: ns(x).cumulative_sum(x, axis=0)),
            lambda x: ns(x).cumulative_sum(x, axis=0),
        ),
        "rows of the first chunk": (rows_of_first_chunk, lambda x: x / x.shape[0]),
    },
    "numpy:readonly": {
        "argument changed and restored": (double_and_restore, lambda x: 2.0 * x + 2.0),
    },
}
