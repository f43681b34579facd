"""Backends: creation of arrays, validation of results, and settings."""

import subprocess
import sys
import unittest

import numpy as np
import pytest

from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.testing.backends import Backend, dtype_name, open_backend

strict = pytest.importorskip("array_api_strict")
DEVICE1 = open_backend("array-api-strict:device1")


def test_arrays_are_made_on_the_backend(xp_backend):
    x = xp_backend.asarray([[1, 2]])
    assert array_namespace(x) is xp_backend.xp
    assert device_of(x) == xp_backend.device
    np.testing.assert_array_equal(xp_backend.check(x, dtype="float32", shape=(1, 2)), [[1, 2]])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (3.0, "must be an array of array-api-strict; got float"),
        (np.zeros(2, "float32"), "must be an array of array-api-strict; got one of numpy"),
        (
            strict.zeros(2, dtype=strict.float32),
            r"must be on device .*'device1'\); got .*'CPU_DEVICE'\)",
        ),
        (DEVICE1.asarray([1, 2], "float64"), "must be of dtype float32; got float64"),
        (DEVICE1.asarray([1, 2, 3]), r"must have shape \(2,\); got \(3,\)"),
    ],
)
def test_a_result_of_another_backend_fails(result, message):
    with pytest.raises(AssertionError, match=f"on array-api-strict:device1, the result {message}$"):
        DEVICE1.check(result, dtype="float32", shape=(2,))


def test_a_result_that_is_right_has_no_faults():
    x = DEVICE1.asarray([1, 2], "int32")
    assert list(DEVICE1.faults(x, dtypes=("int64", "int32"), shape=(2,))) == []


def test_missing_dtypes_skip_the_test():
    backend = open_backend("array-api-strict:no_float64")
    assert not backend.has_float64
    with pytest.raises(unittest.SkipTest, match=r"^array-api-strict:no_float64 has no float64$"):
        backend.asarray([1.0], "float64")
    with pytest.raises(unittest.SkipTest, match=r"^array-api-strict:no_float64 has no float16$"):
        backend.asarray([1.0], "float16")


def test_jax_has_64_bits_while_it_is_in_use():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    backend = open_backend("jax")
    with backend.flags:
        with backend.flags:
            assert backend.has_float64
        assert backend.asarray([1.0], "float64").dtype == "float64"
    assert jax.config.jax_enable_x64 == before


@pytest.mark.parametrize(
    "dtype",
    [np.float32, np.dtype("float32"), np.dtype(">f4"), strict.float32, "float32"],
    ids=["class", "dtype", "big-endian", "strict", "name"],
)
def test_dtypes_may_be_of_any_library(dtype):
    x = DEVICE1.asarray([1.0], dtype)
    assert x.dtype == strict.float32
    assert DEVICE1.check(x, dtype=strict.float32, shape=(1,)).dtype == np.float32
    assert dtype_name(dtype) == "float32"


def test_the_strictest_backend_refuses_masks_while_it_is_in_use():
    backend = open_backend("array-api-strict:strictest")
    x = backend.asarray([1.0])
    with backend.flags, pytest.raises(RuntimeError, match="boolean_indexing"):
        x[x > 0]
    assert x[x > 0].shape == (1,)


def test_the_namespace_of_numpy_is_that_of_array_api_compat():
    import array_api_compat

    backend = Backend("numpy", np, "cpu")
    assert backend.namespace is array_api_compat.array_namespace(np.zeros(1))


def test_testing_imports_arrays_only():
    code = "import xpnet.testing.plugin, xpnet.testing.comparison, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("xpnet.")}
    assert rooms == {"arrays", "testing"}
    assert not {"torch", "jax", "dask", "cupy", "array_api_strict"} & set(loaded)


def test_the_comparison_needs_no_pytest():
    code = "import xpnet.testing.comparison, sys; print('pytest' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"
