"""Mistakes typical of array code that one ordinary array reveals.

Per backend that finds them, or word of the message: the wrong function; the right one (None: these
options allow none); the array, by default `X`; options of `assert_parity`.
"""

import itertools
import math

import numpy as np
from array_api_compat import array_namespace as ns, device, is_array_api_obj, is_torch_array, size
from array_api_extra import at

__all__ = ["MISTAKES"]

RNG = np.random.default_rng(23)
X = RNG.normal(size=(5, 7)).astype(np.float32)
V = X[0].copy()
POSITIVE = np.abs(X) + 1.0
WEIGHTS = np.linspace(0.5, 2.0, 7, dtype=np.float32)
INTEGERS = np.arange(8, dtype=np.int64)


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


MISTAKES = {
    "numpy": {
        "modified argument": (center_in_place, lambda x: x - ns(x).mean(x)),
        "modified alias of the argument": (double_an_alias, lambda x: x * 2.0),
        "zeros of the default dtype": (
            lambda x: x + ns(x).zeros(x.shape, device=device(x)),
            lambda x: x + ns(x).zeros(x.shape, dtype=x.dtype, device=device(x)),
        ),
        "constant of the default dtype": (
            lambda x: x * ns(x).asarray(0.5, device=device(x)),
            lambda x: x * ns(x).asarray(0.5, dtype=x.dtype, device=device(x)),
        ),
        "constant of np.sqrt": (lambda x: x * np.sqrt(2.0), lambda x: x * math.sqrt(2.0)),
        "result in float64": (lambda x: ns(x).astype(x * 2.0, ns(x).float64), lambda x: x * 2.0),
        "floats times positions": (
            lambda x: x * ns(x).arange(x.shape[-1], device=device(x)),
            lambda x: x * positions(x),
        ),
    },
    "deterministic": {
        "random state": (lambda x: x + float(np.random.default_rng().normal()), lambda x: x + 0.5),
        "state between calls": (lambda x: x * float(next(CALLS)), lambda x: x * 3.0),
    },
    "array-api-strict": {
        "np.asarray": (lambda x: np.asarray(x) * 2.0, lambda x: x * 2.0),
        "np.sum": (lambda x: np.sum(x, axis=0), lambda x: ns(x).sum(x, axis=0)),
        "np.exp": (np.exp, lambda x: ns(x).exp(x)),
        "weights of NumPy": (
            lambda x: x * WEIGHTS,
            lambda x: x * ns(x).asarray(WEIGHTS, device=device(x)),
        ),
        "np.finfo": (
            lambda x: x / (1.0 + float(np.finfo(x.dtype).smallest_normal)),
            lambda x: x / (1.0 + float(ns(x).finfo(x.dtype).smallest_normal)),
        ),
        "isinstance of np.ndarray": (only_for_numpy, only_for_arrays),
        "iteration": (
            lambda x: ns(x).stack([row / ns(x).max(row) for row in x]),
            lambda x: x / ns(x).max(x, axis=-1, keepdims=True),
            POSITIVE,
        ),
        "sum of Python": (sum, lambda x: ns(x).sum(x, axis=0)),
        "sorted": (lambda x: ns(x).asarray(sorted(x)), lambda x: ns(x).sort(x), V),
        "len": (lambda x: x / len(x), lambda x: x / x.shape[0]),
        "array of elements": (
            lambda x: ns(x).asarray([x[0], x[1]]),
            lambda x: ns(x).stack([x[0], x[1]]),
            V,
        ),
        "integers times a float": (
            lambda x: x * 0.5,
            lambda x: ns(x).astype(x, ns(x).float32) * 0.5,
            INTEGERS,
            {"dtype": "float32"},
        ),
        "integers divided": (
            lambda x: x / 2,
            lambda x: ns(x).astype(x, ns(x).float32) / 2.0,
            INTEGERS,
            {"dtype": "float32"},
        ),
        "mean of integers": (
            lambda x: ns(x).mean(x),
            lambda x: ns(x).mean(ns(x).astype(x, ns(x).float32)),
            INTEGERS,
            {"dtype": "float32"},
        ),
        "sum of booleans": (
            lambda x: ns(x).sum(x > 0.0),
            lambda x: ns(x).sum(ns(x).astype(x > 0.0, ns(x).int32)),
        ),
        "product with a mask": (lambda x: x * (x > 0.0), positive_part),
        "one minus a mask": (
            lambda x: 1 - (x > 0.0),
            lambda x: ns(x).astype(x <= 0.0, ns(x).int32),
        ),
        "truth of floats": (lambda x: ns(x).logical_and(x, x), lambda x: x != 0.0),
        "dtype as a string": (
            lambda x: ns(x).astype(x, "float32"),
            lambda x: ns(x).astype(x, ns(x).float32),
            X,
            {"dtype": "float32"},
        ),
        "kind of a dtype": (
            lambda x: x if x.dtype.kind == "f" else x + 0.5,
            lambda x: x if ns(x).isdtype(x.dtype, "real floating") else x + 0.5,
        ),
        "method sum": (lambda x: x.sum(axis=0), lambda x: ns(x).sum(x, axis=0)),
        "method reshape": (lambda x: x.reshape(-1), lambda x: ns(x).reshape(x, (-1,))),
        "method copy": (lambda x: x.copy() * 2.0, lambda x: x * 2.0),
        "method item": (
            lambda x: x[0, 0].item(),
            lambda x: float(x[0, 0]),
            X,
            {"lazy": False},
        ),
        "positional axis": (lambda x: ns(x).sum(x, 0), lambda x: ns(x).sum(x, axis=0)),
        "keyword of NumPy": (lambda x: ns(x).max(x, initial=0.0), lambda x: ns(x).max(x)),
        "nanmax": (lambda x: ns(x).nanmax(x), lambda x: ns(x).max(x)),
        "concatenate": (lambda x: ns(x).concatenate([x, x]), lambda x: ns(x).concat([x, x])),
        "swapaxes": (lambda x: ns(x).swapaxes(x, 0, 1), lambda x: ns(x).permute_dims(x, (1, 0))),
        "dot": (lambda x: ns(x).dot(x, x.T), lambda x: x @ x.T),
        "decimals of round": (lambda x: ns(x).round(x, 1), lambda x: ns(x).round(x * 10.0) / 10.0),
        "T of three axes": (
            lambda x: x.T,
            lambda x: ns(x).permute_dims(x, (2, 1, 0)),
            X.reshape(1, 5, 7),
        ),
        "fewer indices than axes": (lambda x: x[0], lambda x: x[0, ...]),
        "array as an index": (
            lambda x: x[ns(x).asarray([0, 2], device=device(x)), :],
            lambda x: ns(x).take(x, ns(x).asarray([0, 2], device=device(x)), axis=0),
        ),
        "slice beyond the end": (lambda x: x[:, :100], lambda x: x[:, :]),
        "cache for every library": (
            cached_weights,
            lambda x: x * ns(x).ones(7, dtype=x.dtype, device=device(x)),
        ),
    },
    "array-api-strict:device1": {
        "zeros on the default device": (
            lambda x: x + ns(x).zeros(x.shape, dtype=x.dtype),
            lambda x: x + ns(x).zeros_like(x),
        ),
        "positions on the default device": (
            lambda x: x * ns(x).arange(x.shape[-1], dtype=x.dtype),
            lambda x: x * positions(x),
        ),
        "list on the default device": (
            lambda x: x * ns(x).asarray(WEIGHTS.tolist(), dtype=x.dtype),
            lambda x: x * ns(x).asarray(WEIGHTS.tolist(), dtype=x.dtype, device=device(x)),
        ),
        "to NumPy and back": (
            lambda x: ns(x).asarray(np.cumsum(np.asarray(x), axis=0)),
            lambda x: ns(x).cumulative_sum(x, axis=0),
        ),
    },
    "array-api-strict:no_float64": {
        "sum in float64": (
            lambda x: ns(x).astype(ns(x).sum(ns(x).astype(x, ns(x).float64)), x.dtype),
            lambda x: ns(x).sum(x),
        ),
        "weights in float64": (
            lambda x: ns(x).astype(x * positions(ns(x).astype(x, ns(x).float64)), x.dtype),
            lambda x: x * positions(x),
        ),
    },
    "array-api-strict:strictest": {
        "max of Python": (max, lambda x: ns(x).max(x), V),
        "in": (lambda x: 2.0 * x if 100.0 in x else x, lambda x: x, V),
        "float": (lambda x: x / float(ns(x).max(x)), lambda x: x / ns(x).max(x)),
        "math.sqrt": (
            lambda x: x / math.sqrt(ns(x).sum(x * x)),
            lambda x: x / ns(x).sqrt(ns(x).sum(x * x)),
        ),
        "if": (
            lambda x: x if ns(x).sum(x) > 0 else -x,
            lambda x: ns(x).where(ns(x).sum(x) > 0, x, -x),
        ),
        "while": (steps_by_value, None, POSITIVE),
        "validation of values": (raise_if_not_finite, lambda x: x * 2.0),
        "loop that reads values": (append_values, lambda x: ns(x).max(x, axis=-1)),
        "shape from values": (
            lambda x: ns(x).zeros(int(ns(x).max(x)) + 1, device=device(x)),
            None,
            INTEGERS,
        ),
        "selection by a mask": (
            lambda x: ns(x).sum(x[x > 0]),
            lambda x: ns(x).sum(positive_part(x)),
        ),
        "number of unique values": (
            lambda x: ns(x).unique_values(x).shape[0],
            number_of_steps,
            INTEGERS,
        ),
    },
    "jax": {
        "assignment to an item": (assign_to_item, lambda x: at(x)[0, ...].set(0.0, copy=True)),
        "assignment by a mask": (clip_by_mask, positive_part),
        "out": (write_to_out, lambda x: ns(x).exp(x)),
        "order of ties": (
            lambda x: ns(x).argsort(x, stable=False),
            lambda x: ns(x).argsort(x, stable=True),
            RNG.integers(0, 3, 1000).astype(np.float32),
        ),
    },
    "jax:cpu": {
        "tracer that leaks": (
            leaks_a_tracer,
            lambda x: x,
            X,
            {"dtypes": "float", "backends": "numpy,jax,jax:cpu"},
        ),
    },
    "torch": {
        "negative step": (lambda x: x[::-1, ...], lambda x: ns(x).flip(x, axis=0)),
        "size is a method": (lambda x: x / x.size, lambda x: x / size(x)),
        "shape of a branch": (
            lambda x: ns(x).mean(x) if is_torch_array(x) else ns(x).mean(x, axis=0),
            lambda x: ns(x).mean(x, axis=0),
        ),
        "dtype of a branch": (lambda x: x.double() if is_torch_array(x) else x, lambda x: x * 1.0),
        "another error": (
            lambda x: shape_or_none(x, lambda x: ns(x).reshape(x, (3, 3))),
            lambda x: shape_or_none(x, reshaped_to_3_by_3),
        ),
    },
}
