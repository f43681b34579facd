"""Backends: creation of arrays, validation of results, namespaces on a device, and settings."""

import copy
import subprocess
import sys
import unittest
from dataclasses import replace
from itertools import product
from unittest.mock import MagicMock

import array_api_compat
import numpy as np
import pytest

import xpnet
from xpnet.arrays.libraries import KNOWN
from xpnet.testing.backends import STRICTEST, Backend, open_backend
from xpnet.testing.words import backends_named, unavailable_reason

strict = pytest.importorskip("array_api_strict")
DEVICE1 = open_backend("array-api-strict:device1")
NO_FLOAT64 = open_backend("array-api-strict:no_float64")
DEVICES = ["array-api-strict:device2", "torch:cpu", "jax:cpu", "jax:cpu:0", "dpnp:cpu"]


def opened(name):
    """Return a backend, or skip the test."""
    if unavailable_reason(name):
        pytest.skip(unavailable_reason(name))
    return open_backend(name)


@pytest.mark.parametrize("name", [*backends_named("all"), *DEVICES])
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
                np.testing.assert_array_equal(backend.values(x), host)


@pytest.mark.parametrize("name", ["numpy", "numpy:readonly", "torch", "jax", "array-api-strict"])
def test_arrays_share_no_memory_with_their_values(name):
    backend, values = opened(name), np.ones(3)
    with backend.flags:
        x = backend.make(values)
        values[0] = 7.0
        assert list(backend.values(x)) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (3.0, "an array of array-api-strict; got float"),
        (np.zeros(2, "float32"), "an array of array-api-strict; got one of numpy"),
        (strict.zeros(2, dtype=strict.float32), "device1.*CPU_DEVICE"),
        (DEVICE1.asarray([1, 2], np.dtype(">f8")), "dtype float32; got float64"),
        (DEVICE1.asarray([1, 2, 3], strict.float32), r"shape \(2,\); got \(3,\)"),
    ],
)
def test_a_result_of_another_backend_fails(result, words):
    with pytest.raises(AssertionError, match=f"array-api-strict:device1.*{words}"):
        DEVICE1.check(result, dtype="float32", shape=(2,))
    assert list(DEVICE1.faults(DEVICE1.asarray([1]), dtypes=("int8", "float32"), shape=(1,))) == []


@pytest.mark.parametrize(
    "create",
    [
        lambda xp: xp.asarray([1.0], dtype=xp.float64),
        lambda xp: xp.asarray(np.ones(2)),
        lambda xp: xp.zeros(2, dtype=xp.float64),
        lambda xp: xp.fft.fftfreq(2, dtype=xp.float64),
        lambda _: NO_FLOAT64.asarray([1.0], "float64"),
    ],
    ids=["dtype", "numpy", "zeros", "fft", "backend"],
)
def test_a_missing_dtype_skips_the_test(create):
    assert not NO_FLOAT64.has_float64
    with pytest.raises(unittest.SkipTest, match="no_float64 has no float64"):
        create(NO_FLOAT64.namespace)
    host = strict.Device("CPU_DEVICE")
    assert NO_FLOAT64.namespace.zeros(2, dtype=strict.float64, device=host).device == host


def test_variants_hold_arrays_as_they_say():
    values = np.ones(3)
    assert not open_backend("numpy:readonly").make(values).flags.writeable
    assert values.flags.writeable
    x = opened("dask:chunks").make(np.zeros((5, 1, 0, 2)))
    assert x.chunks == ((3, 2), (1,), (0,), (1, 1))


@pytest.mark.parametrize(
    ("name", "is_cpu", "is_lazy"),
    [
        ("numpy:readonly", True, False),
        ("array-api-strict", True, False),
        ("array-api-strict:device1", False, False),
        (STRICTEST, True, True),
        ("dask:chunks", True, True),
        ("torch", True, False),
        ("jax:cpu", True, True),
        ("dpnp", False, False),
    ],
)
def test_backends_are_on_the_cpu_or_lazy(name, is_cpu, is_lazy):
    backend = opened(name)
    assert (backend.is_cpu, backend.is_lazy) == (is_cpu, is_lazy)


def test_settings_hold_while_a_backend_is_in_use():
    x = open_backend(STRICTEST).asarray([1.0])
    with open_backend(STRICTEST).flags, pytest.raises(RuntimeError, match="boolean_indexing"):
        x[x > 0]
    assert x[x > 0].shape == (1,)
    config, jax = pytest.importorskip("jax").config, open_backend("jax")
    before = config.jax_enable_x64, config.jax_default_matmul_precision
    with jax.flags:
        with pytest.raises(ZeroDivisionError), jax.flags:
            _ = 1 / 0
        assert jax.has(["float64", "int64"])
        assert jax.asarray([1.0], "float64").dtype == "float64"
        assert config.jax_default_matmul_precision == "highest"
    assert (config.jax_enable_x64, config.jax_default_matmul_precision) == before


def test_the_gpu_of_cupy_is_current_while_it_is_in_use():
    backend = Backend("cupy:1", KNOWN["cupy"])
    device = vars(backend)["device"] = MagicMock()  # instead of opening it
    with backend.flags:
        device.__enter__.assert_called_once()
        device.__exit__.assert_not_called()
    device.__exit__.assert_called_once()


class Foreign:
    """An array of a library that array-api-compat does not support."""

    def __init__(self, values, device=None):
        self.values, self.device = values, device
        self.shape, self.dtype = values.shape, values.dtype


@pytest.mark.parametrize("asarray", [None, lambda x, _: Foreign(x)], ids=["module", "own"])
def test_arrays_of_an_unknown_library_are_recognized_by_their_class(mine, asarray):
    mine.float32 = np.float32
    mine.asarray = lambda values, device=None: Foreign(np.asarray(values), device)
    xpnet.register_library("mine", "mine", asarray=asarray, to_numpy=lambda x: x.values)
    backend = open_backend("mine")
    x = backend.asarray([1.0, 2.0])
    assert backend.check(x, dtype="float32", shape=(2,)).tolist() == [1.0, 2.0]
    assert backend.namespace is mine
    assert "array of mine; got one of numpy" in next(
        backend.faults(np.ones(2), dtypes=(), shape=())
    )
    with pytest.raises(unittest.SkipTest, match="mine has no float64"):
        backend.asarray([1.0], "float64")


def test_the_device_is_the_default_of_the_inspection(xp, xp_backend):
    info = xp.__array_namespace_info__()
    if xp_backend.library not in {"dask", "dpnp"}:  # whose inspection has devices of another kind
        assert info.default_device() in (xp_backend.device, None)
    assert ("float64" in info.dtypes()) == xp_backend.has_float64
    default = xp.zeros(1).dtype
    assert info.default_dtypes()["real floating"] == default
    assert info.default_dtypes(device=None)["real floating"] == default
    assert info.capabilities()["max dimensions"] is not False


def test_the_namespace_of_a_device():
    xp, host = DEVICE1.namespace, strict.Device("CPU_DEVICE")
    assert xp == strict == NO_FLOAT64.namespace == copy.copy(xp)
    assert xp != np
    assert hash(xp) == hash(strict)
    assert xp.zeros(2, device=host).device == host
    assert xp.asarray(strict.zeros(2)).device == host
    assert xp.from_dlpack(np.ones(2, "float32")).device == DEVICE1.device
    assert (xp.float32, xp.linalg) == (strict.float32, strict.linalg)
    assert "array-api-strict:device1" in repr(xp)
    assert not hasattr(xp, "swish")
    assert open_backend("array-api-strict").namespace is strict
    assert open_backend("numpy").namespace is array_api_compat.array_namespace(np.zeros(1))


def test_the_reason_of_an_unavailable_backend_is_the_librarys(no_torch, mine):
    del no_torch, mine
    for name in ("torch", "torch:cuda", "torch:cpu"):
        assert "torch is not installed" in unavailable_reason(name)

    def open_(part):
        msg = f"{part} is asleep"
        raise OSError(msg)

    xpnet.register_library("mine", "mine", open=open_)
    assert "d3 is asleep" in unavailable_reason("mine:d3")
    options = {"asarray": lambda x, _: Foreign(x), "to_numpy": lambda x: x.values}
    xpnet.register_library("mine", "mine", **options)  # replaces the first
    assert unavailable_reason("mine") is None
    assert "no devices" in unavailable_reason("mine:d3")
    broken = Backend("torch", replace(KNOWN["torch"], module="numpy", open=lambda _: 1 / 0))
    assert "division by zero" in broken.unavailable


CODE = """
import importlib.util, sys
find_spec = importlib.util.find_spec
others = {"cupy", "dask", "dpnp", "jax", "mlx", "torch"}
importlib.util.find_spec = lambda name: None if name in others else find_spec(name)
from xpnet.testing import assert_parity
assert_parity(abs, [-1.0])
assert "pytest" not in sys.modules
import xpnet.testing.plugin
print(*sys.modules)
"""


def test_the_kit_needs_arrays_and_no_diagnosis_of_gpus():
    loaded = set(subprocess.check_output([sys.executable, "-c", CODE], text=True).split())
    assert {name.split(".")[1] for name in loaded if "xpnet." in name} == {"arrays", "testing"}
    assert not [x for x in loaded if x.startswith(("xpnet.arrays.gpu", "xpnet.arrays.cpu"))]
    assert not {"safetensors", "tqdm", "threadpoolctl"} & loaded
