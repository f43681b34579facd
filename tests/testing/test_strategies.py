"""Hypothesis strategies: available backends, their settings, dtypes and arrays."""

import unittest

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="hypothesis is not installed")
from hypothesis import HealthCheck, find, given, settings, strategies as st

from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer import to_numpy
from xpnet.testing.backends import open_backend
from xpnet.testing.registry import selected_backends, unavailable_reason, use_backends
from xpnet.testing.strategies import arrays, backends, dtypes

strict = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
NO_FLOAT64 = open_backend("array-api-strict:no_float64")


# The first test: others would hide settings that are never left.
def test_settings_apply_until_the_end_of_each_example():
    jax = pytest.importorskip("jax", reason="jax is not installed")
    before = jax.config.jax_enable_x64, strict.get_array_api_strict_flags()["boolean_indexing"]

    # Two of each, because settings must be left in the opposite order.
    @given(*[backends("jax"), backends("array-api-strict:strictest")] * 2)
    @settings(max_examples=5, database=None)
    def check(first, second, third, fourth):
        assert first.has_float64
        assert third.asarray([1.0], "float64").dtype == "float64"
        for backend in (second, fourth):
            x = backend.asarray([1.0])
            with pytest.raises(RuntimeError, match="boolean_indexing"):
                x[x > 0]

    check()
    after = jax.config.jax_enable_x64, strict.get_array_api_strict_flags()["boolean_indexing"]
    assert after == before


def test_every_available_backend_is_drawn():
    drawn = set()

    @given(backends())
    @settings(max_examples=200, database=None)
    def collect(backend):
        drawn.add(backend.name)

    collect()
    assert drawn == {name for name in selected_backends() if unavailable_reason(name) is None}


def test_backends_are_those_of_the_selection_and_the_names():
    with use_backends(("numpy", "array-api-strict")):
        assert find(backends("-numpy"), lambda _: True).name == "array-api-strict"
        assert find(backends(["numpy"]), lambda _: True).name == "numpy"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("nunpy", "`backends` must name backends; got 'nunpy', known are all, "),
        ("-all", r"`names` must name a backend that is available; got '-all' \(\{\}\)"),
    ],
)
def test_names_without_a_backend_are_rejected(names, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        find(backends(names), lambda _: True)


def test_the_reason_why_no_backend_is_available_is_in_the_message():
    reason = unavailable_reason("cupy")
    if reason is None:
        pytest.skip("CuPy is available")
    with pytest.raises(ValueError, match=r"available; got 'cupy' \(\{'cupy': ") as caught:
        find(backends("cupy"), lambda _: True)
    assert reason in str(caught.value)


@given(backend=backends(), data=st.data())
def test_arrays_are_on_the_backend(backend, data):
    kind = data.draw(st.sampled_from(["bool", "integral", "real floating", "complex floating"]))
    dtype = data.draw(dtypes(backend, kind))
    x = data.draw(arrays(backend, dtype, st.sampled_from([(), (0,), (2, 3)])))
    assert array_namespace(x) is backend.xp
    assert device_of(x) == backend.device
    backend.check(x, dtype=dtype, shape=x.shape)


@given(data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arrays_of_the_fixture_have_the_elements(xp_backend, data):
    x = data.draw(arrays(xp_backend, np.float32, 3, st.sampled_from([1.0, 2.0])))
    assert set(to_numpy(x).tolist()) <= {1.0, 2.0}
    y = data.draw(arrays(xp_backend, "float32", 3, {"min_value": 0, "allow_nan": False}))
    assert (to_numpy(y) >= 0).all()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("real floating", ["float32"]),
        (("bool", "complex floating"), ["bool", "complex64"]),
        ("unsigned integer", ["uint8", "uint16", "uint32", "uint64"]),
    ],
)
def test_dtypes_are_those_of_the_device(kind, expected):
    drawn = set()

    @given(dtypes(NO_FLOAT64, kind))
    @settings(database=None)
    def collect(dtype):
        drawn.add(dtype)

    collect()
    assert drawn == set(expected)


def test_unknown_kinds_are_rejected():
    with pytest.raises(ValueError, match="'float'"):
        dtypes(NO_FLOAT64, "float")


def test_a_dtype_that_the_device_lacks_skips_the_test():
    @given(arrays(NO_FLOAT64, strict.float64, 2))
    @settings(database=None)
    def check(_):
        pytest.fail("an array was drawn")

    with pytest.raises(unittest.SkipTest, match=r"^array-api-strict:no_float64 has no float64"):
        check()
