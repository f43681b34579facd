"""The rig itself: typical mistakes in array code, and a backend that catches each."""

import numpy as np
import pytest

from xpnet.arrays.namespace import array_namespace


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


MISTAKES = [
    (converts_to_numpy, "array-api-strict:device1", RuntimeError),
    (calls_numpy, "array-api-strict", (AssertionError, TypeError)),
    (uses_a_method_of_numpy, "array-api-strict", AttributeError),
    (forgets_the_device, "array-api-strict:device1", ValueError),
    (computes_in_float64, "array-api-strict:no_float64", ValueError),
    (promotes_to_float64, "array-api-strict", TypeError),
    (mixes_kinds, "array-api-strict", TypeError),
    (selects_by_a_mask, "array-api-strict:strictest", RuntimeError),
    (writes_in_place, "numpy", AssertionError),
    (writes_in_place, "jax", TypeError),
    (branches_on_values, "jax", TypeError),
    (looks_at_a_value, "jax", TypeError),
]


def judge(xp_backend, function):
    """Run a function as the tests of xpnet's own functions do."""
    x = xp_backend.asarray([-1.0, 2.0])
    if xp_backend.name == "jax":
        import jax

        jax.eval_shape(function, x)
    before = xp_backend.check(x, dtype="float32", shape=(2,)).copy()
    xp_backend.check(function(x), dtype="float32", shape=(2,))
    np.testing.assert_array_equal(xp_backend.check(x, dtype="float32", shape=(2,)), before)


@pytest.mark.parametrize(("mistake", "xp_backend", "error"), MISTAKES, indirect=["xp_backend"])
def test_a_mistake_is_caught(mistake, xp_backend, error):
    with pytest.raises(error):
        judge(xp_backend, mistake)


def test_code_without_a_mistake_passes(xp_backend):
    judge(xp_backend, lambda x: array_namespace(x).maximum(x, 0.0))
