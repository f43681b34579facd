"""Mistakes typical of array code: one call finds each of them, and passes for the right function.

Functions are expressions of `x`, in which `xp` is its namespace; functions of array-api-compat and
of this module have no prefix.
"""

import itertools
import math
import re

import numpy as np
import pytest

from xpnet.arrays.libraries import libraries
from xpnet.testing import parity
from xpnet.testing.words import unavailable_reason

compat, xpx = map(pytest.importorskip, ("array_api_compat", "array_api_extra"))
pytest.importorskip("array_api_strict")

X = np.random.default_rng(23).normal(size=(5, 7)).astype(np.float32)
POSITIVE = np.abs(X) + 1.0
WEIGHTS = np.linspace(0.5, 2.0, 7, dtype=np.float32)
INTEGERS = np.arange(8, dtype=np.int64)
INTS = np.asarray([250, 3, 7, 200], np.uint8)
COMPLEX = (X + 1j * X[::-1]).astype(np.complex64)
FLAGS = np.asarray([True, False, True])
CACHE, CALLS = {}, itertools.count()


def checked(x, is_valid):
    if not is_valid:
        msg = "`x` is invalid"
        raise ValueError(msg)
    return x * 2.0


def assign_to_item(x):
    y = compat.array_namespace(x).asarray(x, copy=True)
    y[0, ...] = 0.0
    return y


def center_in_place(x):
    x -= compat.array_namespace(x).mean(x)
    return x


def double_an_alias(x):
    y = compat.array_namespace(x).asarray(x)
    y *= 2.0
    return y


def double_and_restore(x):
    x += 1.0
    y = 2.0 * x
    x -= 1.0
    return y


def halve_until_small(x):
    while compat.array_namespace(x).max(x) > 1.0:
        x = x / 2.0
    return x


def positions(x):
    dtype, device = x.dtype, compat.device(x)
    return compat.array_namespace(x).arange(x.shape[-1], dtype=dtype, device=device)


def positive_part(x):
    return compat.array_namespace(x).where(x > 0.0, x, compat.array_namespace(x).zeros_like(x))


def shape_or_none(function):
    try:
        return function().shape
    except ValueError:
        return None


def by_chunk(function, x):
    """Apply a function of arrays, on Dask to each chunk."""
    return x.map_blocks(function, dtype=x.dtype) if compat.is_dask_array(x) else function(x)


# What finds it: backends, variants of the arguments or words of the message; its name; the wrong
# function; the right one, or none under these options; the array; options of `parity`. Those with
# options are not revealed by one ordinary array on each library.
MISTAKES = """
numpy | modified argument | center_in_place(x) | x - xp.mean(x)
numpy | modified alias of the argument | double_an_alias(x) | x * 2.0
numpy | constant of the default dtype | x * xp.asarray(0.5, device=device(x))
    | x * xp.asarray(0.5, dtype=x.dtype, device=device(x))
numpy | result in float64 | xp.astype(x * 2.0, xp.float64) | x * 2.0
deterministic | random state | x + float(np.random.default_rng().normal()) | x + 0.5
deterministic | state between calls | x * float(next(CALLS)) | x * 3.0
array-api-strict | np.asarray | np.asarray(x) * 2.0 | x * 2.0
array-api-strict | weights of NumPy | x * WEIGHTS | x * xp.asarray(WEIGHTS, device=device(x))
array-api-strict | isinstance | checked(x, isinstance(x, np.ndarray))
    | checked(x, is_array_api_obj(x))
array-api-strict | integers times a float | x * 0.5 | xp.astype(x, xp.float32) * 0.5
    | INTEGERS | dict(dtype='float32')
array-api-strict | method item | x[0, 0].item() | float(x[0, 0]) | X | dict(lazy=False)
array-api-strict | cache | x * CACHE.setdefault(7, xp.ones(7, dtype=x.dtype, device=device(x)))
    | x * xp.ones(7, dtype=x.dtype, device=device(x))
array-api-strict:device1 | zeros on the default device | x + xp.zeros(x.shape, dtype=x.dtype)
    | x + xp.zeros_like(x)
array-api-strict:device1 | to NumPy and back | xp.asarray(np.cumsum(np.asarray(x), axis=0))
    | xp.cumulative_sum(x, axis=0)
array-api-strict:no_float64 | sum in float64
    | xp.astype(xp.sum(xp.astype(x, xp.float64)), x.dtype) | xp.sum(x)
array-api-strict:strictest | float | x / float(xp.max(x)) | x / xp.max(x)
array-api-strict:strictest | if | x if xp.sum(x) > 0 else -x | xp.where(xp.sum(x) > 0, x, -x)
array-api-strict:strictest | while | halve_until_small(x) | None | POSITIVE
array-api-strict:strictest | shape from values | xp.zeros(int(xp.max(x)) + 1, device=device(x))
    | None | INTEGERS
array-api-strict:strictest | selection by a mask | xp.sum(x[x > 0]) | xp.sum(positive_part(x))
array-api-strict:strictest | number of unique values | xp.unique_values(x).shape[0]
    | 1 + xp.sum(xp.astype(xp.sort(x)[1:] != xp.sort(x)[:-1], xp.int32)) | INTEGERS
jax | assignment to an item | assign_to_item(x) | at(x)[0, ...].set(0.0, copy=True)
jax:cpu | tracer that leaks | xp.where(CACHE.setdefault(type(x), xp.all(x < 1e30)), x, -x) | x
    | X | dict(dtypes='float', backends='numpy,jax,jax:cpu')
torch | shape of a branch | xp.mean(x) if is_torch_array(x) else xp.mean(x, axis=0)
    | xp.mean(x, axis=0)
torch | dtype of a branch | x.double() if is_torch_array(x) else x | x * 1.0
torch | another error | x * 2.0, shape_or_none(lambda: xp.reshape(x, (3, 3)))
    | x * 2.0, shape_or_none(lambda: xp.reshape(checked(x, size(x) == 9), (3, 3)))
0d | length of the first axis | x / x.shape[0] | x / size(x)
    | X | dict(shapes='0d,empty,batched')
empty | max | xp.where(x == xp.max(x), x, xp.zeros_like(x))
    | xp.where(x == xp.max(x), x, xp.zeros_like(x)) if size(x) else x | X | dict(shapes='empty')
batched | T | x @ x.T | x @ xp.matrix_transpose(x) | X | dict(shapes='batched')
batched | axis counted from the front | x - xp.max(x, axis=1, keepdims=True)
    | x - xp.max(x, axis=-1, keepdims=True) | X
    | dict(shapes='batched', expected=lambda x: x - np.max(x, axis=-1, keepdims=True))
nan jax | NaN to integers | xp.astype(x, xp.int32)
    | xp.astype(xp.where(xp.isfinite(x), x, 0.0), xp.int32) | X | dict(specials=True)
nan | comparison that hides NaN | xp.where(x > 0.0, x, 0.0) | xp.maximum(x, xp.zeros_like(x))
    | X | dict(specials=True, expected=lambda x: np.maximum(x, 0.0))
inf | logistic function | xp.exp(x) / (1.0 + xp.exp(x)) | 0.5 * (1.0 + xp.tanh(0.5 * x))
    | X | dict(specials=True, expected=lambda x: 0.5 * (1.0 + np.tanh(0.5 * x)))
-0.0 | sign by comparison | xp.where(x < 0.0, -1.0, xp.ones_like(x))
    | xp.copysign(xp.ones_like(x), x)
    | X | dict(specials=True, expected=lambda x: np.copysign(np.ones_like(x), x))
float32 | overflow of exp | xp.log(1.0 + xp.exp(x))
    | xp.maximum(x, xp.zeros_like(x)) + xp.log1p(xp.exp(-xp.abs(x)))
    | np.asarray([1.0, 100.0]) | dict(dtypes='float')
float32 | variance in one pass | xp.mean(x * x, axis=-1) - xp.mean(x, axis=-1) ** 2
    | xp.var(x, axis=-1) | X.astype(float) + 1e4 | dict(dtypes='float')
numpy | difference that wraps around | xp.abs(x - 100) | xp.where(x > 100, x - 100, 100 - x) | INTS
    | dict(dtypes='int', expected=lambda x: np.abs(x.astype(int) - 100).astype(x.dtype))
array-api-strict | minus | 1 - x | ~x | FLAGS | dict(dtypes='bool')
complex128 | square without conj | xp.sum(x * x) | xp.sum(x * xp.conj(x)) | COMPLEX
    | dict(dtypes='complex', expected=lambda x: np.sum(x * np.conj(x)))
complex128 | order | xp.max(x) | xp.max(xp.abs(x)) | COMPLEX | dict(dtypes='complex')
dask:chunks | mean of each chunk | by_chunk(lambda y: y - array_namespace(y).mean(y), x)
    | x - xp.mean(x)
dask:chunks | rows of the first chunk | x / (x.chunks[0][0] if is_dask_array(x) else x.shape[0])
    | x / x.shape[0]
numpy:readonly | argument changed and restored | double_and_restore(x) | 2.0 * x + 2.0
"""
ROWS = [re.split(r"\s+\|\s+", row) for row in re.split(r"\n(?! )", MISTAKES.strip())]
NAMES = {**vars(compat), **globals(), "at": xpx.at, "math": math}


def function_of(expression):
    return lambda x: eval(expression, {**NAMES, "x": x, "xp": compat.array_namespace(x)})


def found_by(message):
    """Return the backends and variants before each fault, or all words if there are none."""
    heads = [x.partition(": ")[0] for x in message.splitlines() if x.startswith("  ")]
    return set(re.split(r"[ ,()]+", " ".join(heads))) if heads else set(re.findall(r"\w+", message))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the sweeps change nothing")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy, at infinities and NaN
@pytest.mark.parametrize("row", ROWS, ids=[f"{words}: {name}" for words, name, *_ in ROWS])
def test_a_mistake_is_found_and_the_right_function_passes(row):
    words, _, wrong, right, *rest = row
    x, options = (eval(text, NAMES) for text in [*rest, *["X", "{}"][len(rest) :]])
    wanted = set(words.split())
    of_libraries = {word for word in wanted if word.partition(":")[0] in libraries()}
    for name in of_libraries:
        if reason := unavailable_reason(name.partition(":")[0]):
            pytest.skip(reason)
    check = parity(**{"backends": "all", **options})
    with pytest.raises(AssertionError) as caught:
        check(function_of(wrong), x)
    message = str(caught.value)
    # "All variants" stands for the name of each.
    wanted = of_libraries if "(all variants)" in message else wanted
    assert wanted <= found_by(message), message
    if right != "None":
        check(function_of(right), x)
