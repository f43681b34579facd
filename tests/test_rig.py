"""Typical mistakes in array code, and a backend that catches each."""

import re

import numpy as np
import pytest

from xpnet.arrays.namespace import array_namespace
from xpnet.testing import parity


def converts_to_numpy(x):
    return np.maximum(np.asarray(x), 0)


def calls_numpy(x):
    return np.exp(x)


def uses_a_method_of_numpy(x):
    return x.clip(0)


def forgets_the_device(x):
    xp = array_namespace(x)
    return xp.maximum(x, xp.asarray(0.0, dtype=x.dtype))


def computes_in_float64(x):
    xp = array_namespace(x)
    return xp.astype(xp.exp(xp.astype(x, xp.float64)), x.dtype)


def promotes_to_float64(x):
    return x * np.float64(2)


def mixes_kinds(x):
    xp = array_namespace(x)
    return x + xp.arange(x.shape[0])


def writes_in_place(x):
    x[0] = 0.0
    return x


def selects_by_a_mask(x):
    return x[x > 0]


def branches_on_values(x):
    xp = array_namespace(x)
    return x if bool(xp.all(x > 0)) else x + 1


def looks_at_a_value(x):
    return x * float(x[0])


def adds_a_dimension_on_dask(x):
    return x[None] if "dask" in array_namespace(x).__name__ else x


def is_inexact_on_torch(x):
    return x * (1.00001 if "torch" in array_namespace(x).__name__ else 1.0)


MISTAKES = [
    (converts_to_numpy, "array-api-strict:device1", "RuntimeError: Can"),
    (converts_to_numpy, "torch", "the result must be an array of torch; got one of numpy"),
    (converts_to_numpy, "dask", "RuntimeError: a Dask array was computed inside the function"),
    (calls_numpy, "array-api-strict", "the result must be an array of array-api-strict; got one"),
    (uses_a_method_of_numpy, "array-api-strict", "AttributeError: 'Array' object has no attribute"),
    (forgets_the_device, "array-api-strict:device1", "ValueError: Arrays from two different"),
    (computes_in_float64, "array-api-strict:no_float64", "ValueError: Device .* does not support"),
    (promotes_to_float64, "numpy", "the result must be of dtype float32; got float64"),
    (promotes_to_float64, "array-api-strict", "TypeError: "),
    (mixes_kinds, "array-api-strict", "TypeError: .* cannot be type promoted together"),
    (selects_by_a_mask, "array-api-strict:strictest", "RuntimeError: The boolean_indexing flag"),
    (selects_by_a_mask, "jax", "under jax.jit: NonConcreteBooleanIndexError"),
    (writes_in_place, "numpy", "argument 1 must not change; the function has modified it"),
    (writes_in_place, "torch", "argument 1 must not change; the function has modified it"),
    (writes_in_place, "jax", "TypeError: JAX arrays are immutable"),
    (branches_on_values, "jax", "under jax.jit: TracerBoolConversionError: "),
    (branches_on_values, "dask", "RuntimeError: a Dask array was computed inside the function"),
    (looks_at_a_value, "jax", "under jax.jit: ConcretizationTypeError: "),
    (adds_a_dimension_on_dask, "dask", r"the result must have shape \(2,\); got \(1, 2\)"),
    (is_inexact_on_torch, "torch", r"the result is wrong: 2 of 2 values out of bound, the worst"),
]


@pytest.mark.parametrize(("mistake", "xp_backend", "words"), MISTAKES, indirect=["xp_backend"])
def test_a_mistake_is_caught(mistake, xp_backend, words):
    # Backends with the same fault share a line.
    line = rf"\n  {re.escape(xp_backend.name)}(, [\w:-]+)*: {words}"
    with pytest.raises(AssertionError, match=line):
        parity(backends=[xp_backend.name])(mistake, np.asarray([-1.0, 2.0], "float32"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_code_without_a_mistake_passes(xp_backend, dtype):
    def relu(x):
        return array_namespace(x).maximum(x, 0.0)

    parity(backends=[xp_backend.name])(relu, np.asarray([-1.0, 2.0], dtype))
