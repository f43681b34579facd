"""Backends: creation of arrays, validation of results, and settings."""

import subprocess
import sys
import unittest
from contextlib import contextmanager
from dataclasses import replace
from importlib.machinery import ModuleSpec
from itertools import product
from types import ModuleType

import numpy as np
import pytest

import xpnet
from xpnet.arrays import libraries as libraries_module
from xpnet.arrays.device_namespace import DeviceNamespace
from xpnet.arrays.known_libraries import KNOWN
from xpnet.arrays.namespace import array_namespace, device_of, dtype_name
from xpnet.testing.backends import Backend, open_backend
from xpnet.testing.registry import backend_names, unavailable_reason

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
            assert backend.has(["float64", "int64"])
        assert backend.asarray([1.0], "float64").dtype == "float64"
    assert backend.has(["float64", "int64"]) == jax.config.jax_enable_x64 == before


def opened(name):
    """Return a backend, or skip the test."""
    if unavailable_reason(name):
        pytest.skip(unavailable_reason(name))
    return open_backend(name)


@pytest.mark.parametrize("name", backend_names())
def test_every_backend_holds_every_array(name):
    backend = opened(name)
    narrow = {"float64": "float32", "int64": "int32", "complex128": "complex64"}
    dtypes = ["float64", "float32", "int64", "bool", "complex128"]
    with backend.flags:
        for dtype, index in product(dtypes, [..., slice(0, 0), (0, 1)]):
            values = np.asarray([[0, 1, 2], [3, 4, 5]], dtype)[index]
            for host in (values, values.T):
                x = backend.make(host)
                assert backend.owns(x)
                wanted = dtype if backend.has([dtype]) else narrow[dtype]
                assert list(backend.faults(x, dtypes=(wanted,), shape=host.shape)) == []
                if backend.has_values:
                    np.testing.assert_array_equal(backend.values(x), host)


@pytest.mark.parametrize("name", ["numpy", "numpy:readonly", "torch", "jax", "array-api-strict"])
def test_arrays_share_no_memory_with_their_values(name):
    backend = opened(name)
    values = np.ones(3)
    with backend.flags:
        x = backend.make(values)
        values[0] = 7.0
        assert list(backend.values(x)) == [1.0, 1.0, 1.0]


def test_variants_hold_arrays_as_they_say():
    values = np.arange(12.0).reshape(2, 1, 6)
    x = open_backend("numpy:readonly").make(values)
    assert not x.flags.writeable
    assert values.flags.writeable


def test_dask_arrays_have_two_chunks_along_each_axis():
    x = opened("dask:chunks").make(np.zeros((5, 1, 0, 2)))
    assert x.chunks == ((3, 2), (1,), (0,), (1, 1))


def test_values_of_conjugate_views_are_read():
    backend = opened("torch")
    x = backend.make(np.asarray([1.0 + 2.0j]))
    assert backend.values(x.conj()).tolist() == [1.0 - 2.0j]
    assert backend.values(x.conj().imag).tolist() == [-2.0]


@pytest.mark.parametrize(
    ("name", "is_cpu", "is_lazy"),
    [
        ("numpy:readonly", True, False),
        ("array-api-strict:device1", False, False),
        ("array-api-strict:strictest", True, True),
        ("dask:chunks", True, True),
        ("jax:cpu", True, True),
    ],
)
def test_backends_are_on_the_cpu_or_lazy(name, is_cpu, is_lazy):
    backend = opened(name)
    assert (backend.is_cpu, backend.is_lazy) == (is_cpu, is_lazy)


class Foreign:
    """An array of a library that array-api-compat does not support."""

    def __init__(self, values):
        self.values = values
        self.shape, self.dtype = values.shape, values.dtype


@pytest.fixture
def library(monkeypatch):
    """Return the importable namespace of this library; remove libraries that a test adds."""

    def zeros(shape, device=None):
        x = Foreign(np.zeros(shape))
        x.device = device
        return x

    module = ModuleType("mine")
    module.__spec__ = ModuleSpec("mine", None)
    module.float32, module.zeros = np.float32, zeros
    module.asarray = lambda values, device=None: Foreign(np.asarray(values))  # noqa: ARG005
    monkeypatch.setitem(sys.modules, "mine", module)
    monkeypatch.setattr(libraries_module, "_registered", {})
    return module


@pytest.mark.parametrize("asarray", [None, lambda x, _: Foreign(x)], ids=["module", "own"])
def test_arrays_of_an_unknown_library_are_recognized_by_their_class(library, asarray):
    xpnet.register_library("mine", "mine", asarray=asarray, to_numpy=lambda x: x.values)
    backend = open_backend("mine")
    x = backend.asarray([1.0, 2.0])
    assert backend.check(x, dtype="float32", shape=(2,)).tolist() == [1.0, 2.0]
    assert backend.namespace is library
    faults = backend.faults(np.zeros(2), dtypes=("float64",), shape=(2,))
    assert list(faults) == ["must be an array of mine; got one of numpy"]
    with pytest.raises(unittest.SkipTest, match=r"^mine has no float64$"):
        backend.asarray([1.0], "float64")


@pytest.mark.usefixtures("library")
def test_the_namespace_of_an_unknown_library_creates_on_the_device():
    def asarray(x, device):
        made = Foreign(x)
        made.device = device
        return made

    xpnet.register_library("mine", "mine", open=str.upper, asarray=asarray)
    backend = open_backend("mine:gpu")
    assert backend.device == "GPU"
    assert backend.namespace.zeros(2).device == "GPU"
    assert repr(backend.namespace) == "<namespace mine on mine:gpu>"


@pytest.mark.parametrize("name", ["array-api-strict:device2", "torch:cpu", "jax:cpu:0", "dpnp:cpu"])
def test_any_device_of_a_known_library_is_a_backend(name):
    backend = opened(name)
    with backend.flags:
        x = backend.asarray([1.0, 2.0])
        assert list(backend.faults(x, dtypes=("float32",), shape=(2,))) == []
        assert isinstance(backend.namespace, DeviceNamespace)
        assert device_of(backend.namespace.zeros(2)) == backend.device
        assert backend.values(x).tolist() == [1.0, 2.0]
        assert backend.has_float64  # with JAX's setting


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


def test_the_gpu_of_cupy_is_current_while_it_is_in_use():
    current = []

    @contextmanager
    def make_current(device):
        current.append(device)
        yield
        current.remove(device)

    backend = Backend("cupy:1", replace(KNOWN["cupy"], current=make_current), "1")
    vars(backend)["device"] = "GPU 1"  # instead of opening it
    with backend.flags:
        assert current == ["GPU 1"]
    assert current == []


def test_the_strictest_backend_refuses_masks_while_it_is_in_use():
    backend = open_backend("array-api-strict:strictest")
    x = backend.asarray([1.0])
    with backend.flags, pytest.raises(RuntimeError, match="boolean_indexing"):
        x[x > 0]
    assert x[x > 0].shape == (1,)


def test_the_namespace_of_numpy_is_that_of_array_api_compat():
    import array_api_compat

    assert open_backend("numpy").namespace is array_api_compat.array_namespace(np.zeros(1))


IMPORTS = """
import importlib.util, sys
find_spec = importlib.util.find_spec
others = {"cupy", "dask", "dpnp", "jax", "mlx", "torch"}
importlib.util.find_spec = lambda name: None if name in others else find_spec(name)
from xpnet.testing import assert_parity
assert_parity(abs, [-1.0])
print(*sys.modules)
import xpnet.testing.plugin
print(*sys.modules)
"""


def test_the_kit_needs_arrays_and_no_diagnosis_of_gpus():
    result = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
    )
    comparison, loaded = (set(line.split()) for line in result.stdout.splitlines())
    assert "pytest" not in comparison
    rooms = {name.split(".")[1] for name in loaded if name.startswith("xpnet.")}
    assert rooms == {"arrays", "testing"}
    assert not {
        name for name in loaded if name.startswith(("xpnet.arrays.gpu", "xpnet.arrays.cpu"))
    }
    assert not {"safetensors", "tqdm", "threadpoolctl"} & loaded
