"""The namespace of the fixture `xp`: creation functions default to the device under test."""

import copy
import operator
import unittest

import array_api_compat
import numpy as np
import pytest

from xpnet.arrays.device_namespace import DeviceNamespace
from xpnet.arrays.namespace import device_of, is_array
from xpnet.testing.backends import open_backend

strict = pytest.importorskip("array_api_strict")
xpx = pytest.importorskip("array_api_extra")

CREATORS = {
    "arange": lambda xp: xp.arange(3),
    "asarray": lambda xp: xp.asarray([1.0, 2.0]),
    "asarray_numpy": lambda xp: xp.asarray(np.ones(2, "float32")),
    "empty": lambda xp: xp.empty(2),
    "eye": lambda xp: xp.eye(2),
    "fftfreq": lambda xp: xp.fft.fftfreq(4),
    "full": lambda xp: xp.full((2,), 3.0),
    "linspace": lambda xp: xp.linspace(0.0, 1.0, 3),
    "ones": lambda xp: xp.ones((2, 2), dtype=xp.float32),
    "ones_like": lambda xp: xp.ones_like(xp.ones(2)),
    "rfftfreq": lambda xp: xp.fft.rfftfreq(4),
    "zeros": lambda xp: xp.zeros(2, device=None),
}


@pytest.fixture
def device1():
    return open_backend("array-api-strict:device1").namespace


def test_arrays_are_created_on_the_device_under_test(xp, xp_device):
    for name, create in CREATORS.items():
        x = create(xp)
        assert array_api_compat.array_namespace(x) == xp, name
        assert device_of(x) == xp_device, name


def test_the_device_is_the_default_of_the_inspection(xp, xp_backend):
    info = xp.__array_namespace_info__()
    if xp_backend.library not in {"dask", "dpnp"}:  # whose inspection has devices of another kind
        assert info.default_device() in (xp_backend.device, None)
    assert ("float64" in info.dtypes()) == xp_backend.has_float64
    default = xp.zeros(1).dtype
    assert info.default_dtypes()["real floating"] == default
    assert info.default_dtypes(device=None)["real floating"] == default
    assert info.capabilities()["max dimensions"] is not False


def test_an_explicit_device_wins(device1):
    host = strict.Device("CPU_DEVICE")
    assert device1.zeros(2, device=host).device == host
    assert (
        device1.__array_namespace_info__().default_dtypes(device=strict.Device("no_float64"))[
            "real floating"
        ]
        == strict.float32
    )


def test_an_array_of_the_library_stays_where_it_is(device1):
    x = strict.zeros(2)
    assert device1.asarray(x).device == x.device


def test_from_dlpack_creates_on_the_device(device1):
    x = device1.from_dlpack(np.ones(2, "float32"))
    assert x.device == strict.Device("device1")


def test_it_equals_the_library_namespace(device1):
    assert device1 == strict
    assert device1 == open_backend("array-api-strict:no_float64").namespace
    assert device1 != np
    assert hash(device1) == hash(strict)
    assert device1.__name__ == "array_api_strict"
    assert device1.float32 is strict.float32
    assert device1.linalg is strict.linalg
    assert repr(device1) == "<namespace array_api_strict on array-api-strict:device1>"
    with pytest.raises(AttributeError, match="swish"):
        operator.attrgetter("swish")(device1)


@pytest.mark.parametrize(
    "create",
    [
        lambda xp: xp.asarray([1.0], dtype=xp.float64),
        lambda xp: xp.asarray(np.ones(2)),
        lambda xp: xp.zeros(2, dtype=xp.float64),
    ],
    ids=["dtype", "numpy", "zeros"],
)
def test_missing_float64_skips_the_test(create):
    xp = open_backend("array-api-strict:no_float64").namespace
    with pytest.raises(unittest.SkipTest, match=r"^array-api-strict:no_float64 has no float64$"):
        create(xp)


def test_a_default_device_has_the_plain_namespace():
    assert open_backend("array-api-strict").namespace is strict
    assert isinstance(open_backend("array-api-strict:device1").namespace, DeviceNamespace)


def test_functions_of_array_api_extra_take_it(xp, xp_device):
    padded = xpx.pad(xp.asarray([1.0, 2.0], dtype=xp.float32), 1, xp=xp)
    assert is_array(padded)
    assert device_of(padded) == xp_device
    diagonal = xpx.create_diagonal(xp.asarray([1.0], dtype=xp.float32), xp=xp)
    assert device_of(xpx.atleast_nd(diagonal, ndim=3, xp=xp)) == xp_device


@pytest.mark.skip_xp_backends("dpnp", reason="array-api-extra cannot compare arrays of dpnp")
def test_assertions_of_array_api_extra_take_it(xp):
    x = xp.asarray([1.0, 2.0], dtype=xp.float32)
    xpx.testing.assert_close(x, xp.asarray([1.0, 2.0], dtype=xp.float32), xp=xp)
    with pytest.raises(AssertionError):
        xpx.testing.assert_close(x, xp.zeros(2, dtype=xp.float32), xp=xp)


def test_it_can_be_copied(device1):
    assert copy.copy(device1) == device1
