"""Mistakes typical of array code.

Per backend, variant of the arguments or word of the message that finds them: the wrong function;
the right one (None: these options allow none); the array, by default `X`; options of `parity`.
Functions are expressions, see `function_of`. Those in `HIDDEN` are not revealed by one ordinary
array on each library.
"""

import itertools
import math

import array_api_compat
import array_api_extra
import numpy as np
from array_api_compat import array_namespace, is_dask_array

__all__ = ["HIDDEN", "MISTAKES", "function_of"]

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
BATCHED = {"shapes": "batched"}
FLOATS = {"dtypes": "float"}
SPECIALS = {"specials": True}
TO_FLOAT32 = {"dtype": "float32"}  # of integers
CACHE, CALLS = {}, itertools.count()


def function_of(expression):
    """Return a function of `x`; in the expression, `xp` is the namespace of `x`.

    Functions of array-api-compat and those of this module have no prefix.
    """
    names = {**vars(array_api_compat), **globals(), "math": math, "at": array_api_extra.at}
    return lambda x: eval(expression, {**names, "x": x, "xp": array_namespace(x)})


def checked(x, is_valid):
    if not is_valid:
        msg = "`x` is invalid"
        raise ValueError(msg)
    return x * 2.0


def clip_by_mask(x):
    y = array_namespace(x).asarray(x, copy=True)
    y[y < 0] = 0.0
    return y


def assign_to_item(x):
    y = array_namespace(x).asarray(x, copy=True)
    y[0, ...] = 0.0
    return y


def write_to_out(x):
    y = array_namespace(x).empty_like(x)
    array_namespace(x).exp(x, out=y)
    return y


def center_in_place(x):
    x -= array_namespace(x).mean(x)
    return x


def double_an_alias(x):
    y = array_namespace(x).asarray(x)
    y *= 2.0
    return y


def double_and_restore(x):
    x += 1.0
    y = 2.0 * x
    x -= 1.0
    return y


def halve_until_small(x):
    while array_namespace(x).max(x) > 1.0:
        x = x / 2.0
    return x


def positions(x):
    dtype, device = x.dtype, array_api_compat.device(x)
    return array_namespace(x).arange(x.shape[-1], dtype=dtype, device=device)


def positive_part(x):
    return array_namespace(x).where(x > 0.0, x, array_namespace(x).zeros_like(x))


def finite_max(x):
    largest = array_namespace(x).max(x)
    return array_namespace(x).where(array_namespace(x).isfinite(largest), largest, 0.0)


def shape_or_none(function):
    try:
        return function().shape
    except ValueError:
        return None


def by_chunk(function, x):
    """Apply a function of arrays, on Dask to each chunk."""
    return x.map_blocks(function, dtype=x.dtype) if is_dask_array(x) else function(x)


# Rows are as compact as they can be read.
# fmt: off
MISTAKES = {
    "numpy": {
        "modified argument": ("center_in_place(x)", "x - xp.mean(x)"),
        "modified alias of the argument": ("double_an_alias(x)", "x * 2.0"),
        "zeros of the default dtype": ("x + xp.zeros(x.shape, device=device(x))",
            "x + xp.zeros(x.shape, dtype=x.dtype, device=device(x))"),
        "constant of the default dtype": ("x * xp.asarray(0.5, device=device(x))",
            "x * xp.asarray(0.5, dtype=x.dtype, device=device(x))"),
        "constant of np.sqrt": ("x * np.sqrt(2.0)", "x * math.sqrt(2.0)"),
        "result in float64": ("xp.astype(x * 2.0, xp.float64)", "x * 2.0"),
        "floats times positions": ("x * xp.arange(x.shape[-1], device=device(x))",
            "x * positions(x)"),
    },
    "deterministic": {
        "random state": ("x + float(np.random.default_rng().normal())", "x + 0.5"),
        "state between calls": ("x * float(next(CALLS))", "x * 3.0"),
    },
    "array-api-strict": {
        "np.asarray": ("np.asarray(x) * 2.0", "x * 2.0"),
        "np.sum": ("np.sum(x, axis=0)", "xp.sum(x, axis=0)"),
        "np.exp": ("np.exp(x)", "xp.exp(x)"),
        "weights of NumPy": ("x * WEIGHTS", "x * xp.asarray(WEIGHTS, device=device(x))"),
        "np.finfo": ("x / (1.0 + float(np.finfo(x.dtype).smallest_normal))",
            "x / (1.0 + float(xp.finfo(x.dtype).smallest_normal))"),
        "isinstance of np.ndarray": ("checked(x, isinstance(x, np.ndarray))",
            "checked(x, is_array_api_obj(x))"),
        "iteration": ("xp.stack([row / xp.max(row) for row in x])",
            "x / xp.max(x, axis=-1, keepdims=True)", POSITIVE),
        "sum of Python": ("sum(x)", "xp.sum(x, axis=0)"),
        "sorted": ("xp.asarray(sorted(x))", "xp.sort(x)", V),
        "len": ("x / len(x)", "x / x.shape[0]"),
        "array of elements": ("xp.asarray([x[0], x[1]])", "xp.stack([x[0], x[1]])", V),
        "integers times a float": ("x * 0.5", "xp.astype(x, xp.float32) * 0.5",
            INTEGERS, TO_FLOAT32),
        "integers divided": ("x / 2", "xp.astype(x, xp.float32) / 2.0", INTEGERS, TO_FLOAT32),
        "mean of integers": ("xp.mean(x)", "xp.mean(xp.astype(x, xp.float32))",
            INTEGERS, TO_FLOAT32),
        "sum of booleans": ("xp.sum(x > 0.0)", "xp.sum(xp.astype(x > 0.0, xp.int32))"),
        "product with a mask": ("x * (x > 0.0)", "positive_part(x)"),
        "one minus a mask": ("1 - (x > 0.0)", "xp.astype(x <= 0.0, xp.int32)"),
        "truth of floats": ("xp.logical_and(x, x)", "x != 0.0"),
        "dtype as a string": ('xp.astype(x, "float32")', "xp.astype(x, xp.float32)",
            X, TO_FLOAT32),
        "kind of a dtype": ('x if x.dtype.kind == "f" else x + 0.5',
            'x if xp.isdtype(x.dtype, "real floating") else x + 0.5'),
        "method sum": ("x.sum(axis=0)", "xp.sum(x, axis=0)"),
        "method reshape": ("x.reshape(-1)", "xp.reshape(x, (-1,))"),
        "method copy": ("x.copy() * 2.0", "x * 2.0"),
        "method item": ("x[0, 0].item()", "float(x[0, 0])", X, {"lazy": False}),
        "positional axis": ("xp.sum(x, 0)", "xp.sum(x, axis=0)"),
        "keyword of NumPy": ("xp.max(x, initial=0.0)", "xp.max(x)"),
        "nanmax": ("xp.nanmax(x)", "xp.max(x)"),
        "concatenate": ("xp.concatenate([x, x])", "xp.concat([x, x])"),
        "swapaxes": ("xp.swapaxes(x, 0, 1)", "xp.permute_dims(x, (1, 0))"),
        "dot": ("xp.dot(x, x.T)", "x @ x.T"),
        "decimals of round": ("xp.round(x, 1)", "xp.round(x * 10.0) / 10.0"),
        "T of three axes": ("x.T", "xp.permute_dims(x, (2, 1, 0))", X.reshape(1, 5, 7)),
        "fewer indices than axes": ("x[0]", "x[0, ...]"),
        "array as an index": ("x[xp.asarray([0, 2], device=device(x)), :]",
            "xp.take(x, xp.asarray([0, 2], device=device(x)), axis=0)"),
        "slice beyond the end": ("x[:, :100]", "x[:, :]"),
        "cache for every library": (
            "x * CACHE.setdefault(7, xp.ones(7, dtype=x.dtype, device=device(x)))",
            "x * xp.ones(7, dtype=x.dtype, device=device(x))"),
    },
    "array-api-strict:device1": {
        "zeros on the default device": ("x + xp.zeros(x.shape, dtype=x.dtype)",
            "x + xp.zeros_like(x)"),
        "positions on the default device": ("x * xp.arange(x.shape[-1], dtype=x.dtype)",
            "x * positions(x)"),
        "list on the default device": ("x * xp.asarray(WEIGHTS.tolist(), dtype=x.dtype)",
            "x * xp.asarray(WEIGHTS.tolist(), dtype=x.dtype, device=device(x))"),
        "to NumPy and back": ("xp.asarray(np.cumsum(np.asarray(x), axis=0))",
            "xp.cumulative_sum(x, axis=0)"),
    },
    "array-api-strict:no_float64": {
        "sum in float64": ("xp.astype(xp.sum(xp.astype(x, xp.float64)), x.dtype)", "xp.sum(x)"),
        "weights in float64": ("xp.astype(x * positions(xp.astype(x, xp.float64)), x.dtype)",
            "x * positions(x)"),
    },
    "array-api-strict:strictest": {
        "max of Python": ("max(x)", "xp.max(x)", V),
        "in": ("2.0 * x if 100.0 in x else x", "x", V),
        "float": ("x / float(xp.max(x))", "x / xp.max(x)"),
        "math.sqrt": ("x / math.sqrt(xp.sum(x * x))", "x / xp.sqrt(xp.sum(x * x))"),
        "if": ("x if xp.sum(x) > 0 else -x", "xp.where(xp.sum(x) > 0, x, -x)"),
        "while": ("halve_until_small(x)", None, POSITIVE),
        "validation of values": ("checked(x, xp.all(xp.isfinite(x)))", "x * 2.0"),
        "loop that reads values": (
            "xp.stack([x[i, 0] * float(xp.max(x[i, :])) for i in range(x.shape[0])])",
            "x[:, 0] * xp.max(x, axis=-1)"),
        "shape from values": ("xp.zeros(int(xp.max(x)) + 1, device=device(x))", None, INTEGERS),
        "selection by a mask": ("xp.sum(x[x > 0])", "xp.sum(positive_part(x))"),
        "number of unique values": ("xp.unique_values(x).shape[0]",
            "1 + xp.sum(xp.astype(xp.sort(x)[1:] != xp.sort(x)[:-1], xp.int32))", INTEGERS),
    },
    "jax": {
        "assignment to an item": ("assign_to_item(x)", "at(x)[0, ...].set(0.0, copy=True)"),
        "assignment by a mask": ("clip_by_mask(x)", "positive_part(x)"),
        "out": ("write_to_out(x)", "xp.exp(x)"),
        "order of ties": ("xp.argsort(x, stable=False)", "xp.argsort(x, stable=True)",
            RNG.integers(0, 3, 1000).astype(np.float32)),
    },
    "jax:cpu": {
        "tracer that leaks": ("xp.where(CACHE.setdefault(type(x), xp.all(x < 1e30)), x, -x)", "x",
            X, {"dtypes": "float", "backends": "numpy,jax,jax:cpu"}),
    },
    "torch": {
        "negative step": ("x[::-1, ...]", "xp.flip(x, axis=0)"),
        "size is a method": ("x / x.size", "x / size(x)"),
        "shape of a branch": ("xp.mean(x) if is_torch_array(x) else xp.mean(x, axis=0)",
            "xp.mean(x, axis=0)"),
        "dtype of a branch": ("x.double() if is_torch_array(x) else x", "x * 1.0"),
        "another error": ("x * 2.0, shape_or_none(lambda: xp.reshape(x, (3, 3)))",
            "x * 2.0, shape_or_none(lambda: xp.reshape(checked(x, size(x) == 9), (3, 3)))"),
    },
}

HIDDEN = {
    "0d": {
        "length of the first axis": ("x / x.shape[0]", "x / size(x)", X, SHAPES),
        "concat": ("xp.concat([x, x])", "xp.stack([x, x])", X, SHAPES),
        "last axis": ("xp.sum(x, axis=-1)", "xp.sum(x, axis=tuple(range(x.ndim))[-1:])", X, SHAPES),
    },
    "empty": {
        "max": ("xp.where(x == xp.max(x), x, xp.zeros_like(x))",
            "xp.where(x == xp.max(x), x, xp.zeros_like(x)) if size(x) else x",
            X, {"shapes": "empty"}),
        "mean by division": ("xp.sum(x) * (1.0 / math.prod(x.shape))",
            "xp.sum(x) * (1.0 / max(1, math.prod(x.shape)))", X, SHAPES),
    },
    "batched": {
        "T": ("x @ x.T", "x @ xp.matrix_transpose(x)", X, BATCHED),
        "two axes": ("(lambda n, m: x - xp.sum(x) / (n * m))(*x.shape)",
            "x - xp.sum(x) / max(size(x), 1)", X, BATCHED),
        "axis counted from the front": ("x - xp.max(x, axis=1, keepdims=True)",
            "x - xp.max(x, axis=-1, keepdims=True)",
            X, {**BATCHED, "expected": lambda x: x - np.max(x, axis=-1, keepdims=True)}),
    },
    "nan jax": {
        "NaN to integers": ("xp.astype(x, xp.int32)",
            "xp.astype(xp.where(xp.isfinite(x), x, 0.0), xp.int32)", X, SPECIALS),
    },
    "nan": {
        "comparison that hides NaN": ("xp.where(x > 0.0, x, 0.0)",
            "xp.maximum(x, xp.zeros_like(x))",
            X, {**SPECIALS, "expected": lambda x: np.maximum(x, 0.0)}),
    },
    "inf": {
        "logistic function": ("xp.exp(x) / (1.0 + xp.exp(x))", "0.5 * (1.0 + xp.tanh(0.5 * x))",
            X, {**SPECIALS, "expected": lambda x: 0.5 * (1.0 + np.tanh(0.5 * x))}),
        "log of the sum of exp": ("xp.max(x) + xp.log(xp.sum(xp.exp(x - xp.max(x))))",
            "finite_max(x) + xp.log(xp.sum(xp.exp(x - finite_max(x))))",
            X, {**SPECIALS, "expected": lambda x: np.logaddexp.reduce(x, axis=None)}),
    },
    "-0.0": {
        "sign by comparison": ("xp.where(x < 0.0, -1.0, xp.ones_like(x))",
            "xp.copysign(xp.ones_like(x), x)",
            X, {**SPECIALS, "expected": lambda x: np.copysign(np.ones_like(x), x)}),
    },
    "float32": {
        "constant of 1e-300": ("x / (xp.sum(x * x) + 1e-300)", "x / (xp.sum(x * x) + 1e-30)",
            np.zeros((3, 4)), FLOATS),
        "constant of 1e-16": ("xp.log1p(-xp.clip(x, 0.0, 1.0 - 1e-16))",
            "xp.log1p(-xp.clip(x, 0.0, 1.0 - 2.0**-10))", np.asarray([0.25, 1.0]), FLOATS),
        "overflow of exp": ("xp.log(1.0 + xp.exp(x))",
            "xp.maximum(x, xp.zeros_like(x)) + xp.log1p(xp.exp(-xp.abs(x)))",
            np.asarray([1.0, 100.0]), FLOATS),
        "variance in one pass": ("xp.mean(x * x, axis=-1) - xp.mean(x, axis=-1) ** 2",
            "xp.var(x, axis=-1)", X.astype(float) + 1e4, FLOATS),
    },
    "numpy": {
        "sum of squares": ("xp.sqrt(xp.sum(x * x, axis=-1))",
            "xp.max(x) * xp.sqrt(xp.sum((x / xp.max(x)) ** 2, axis=-1))",
            (300.0 * POSITIVE).astype(np.float16)),
        "difference that wraps around": ("xp.abs(x - 100)",
            "xp.where(x > 100, x - 100, 100 - x)", INTS,
            {"dtypes": "int", "expected": lambda x: np.abs(x.astype(int) - 100).astype(x.dtype)}),
    },
    "array-api-strict": {
        "attribute real": ("x.real * 2.0", "xp.real(x) * 2.0", COMPLEX, {"dtypes": "complex"}),
        "true division": ("xp.sum(x) / 2", "xp.sum(x) // 2", INTS, {"dtypes": "int"}),
        "square root": ("x**0.5", "x**2", INTS, {"dtypes": "int"}),
        "product of booleans": ("x * x", "x & x", FLAGS, {"dtypes": "bool"}),
        "minus": ("1 - x", "~x", FLAGS, {"dtypes": "bool"}),
    },
    "complex128": {
        "square without conj": ("xp.sum(x * x)", "xp.sum(x * xp.conj(x))",
            COMPLEX, {"dtypes": "complex", "expected": lambda x: np.sum(x * np.conj(x))}),
        "transposed without conj": ("x @ xp.matrix_transpose(x)",
            "x @ xp.conj(xp.matrix_transpose(x))",
            COMPLEX, {"dtypes": "complex", "expected": lambda x: x @ x.conj().T}),
        "order": ("xp.max(x)", "xp.max(xp.abs(x))", COMPLEX, {"dtypes": "complex"}),
    },
    "dask:chunks": {
        "mean of each chunk": ("by_chunk(lambda y: y - array_namespace(y).mean(y), x)",
            "x - xp.mean(x)"),
        "running sum of each chunk": (
            "by_chunk(lambda y: array_namespace(y).cumulative_sum(y, axis=0), x)",
            "xp.cumulative_sum(x, axis=0)"),
        "rows of the first chunk": ("x / (x.chunks[0][0] if is_dask_array(x) else x.shape[0])",
            "x / x.shape[0]"),
    },
    "numpy:readonly": {
        "argument changed and restored": ("double_and_restore(x)", "2.0 * x + 2.0"),
    },
}
