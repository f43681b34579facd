"""Transfers of arrays between libraries and devices."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer import (
    beside,
    is_in_host_memory,
    is_traced,
    is_usual,
    move,
    read_only,
    to_numpy,
    without_graph,
)


class Subclass(np.ndarray):
    """An array that NumPy may treat in another way."""


X = np.arange(6.0).reshape(2, 3)
COPIED = [X, X.T, X[:, ::2], X.astype(">f2"), X.view(Subclass)]


def test_an_array_of_each_backend(xp_backend, monkeypatch):
    x, is_numpy = xp_backend.asarray([1.0]), xp_backend.library == "numpy"
    assert is_usual(x) is is_numpy
    assert (read_only(x) is x) is not is_numpy
    assert not is_traced(x)
    others = {"array-api-strict:device1", "array-api-strict:no_float64"}
    others |= {"cupy", "dpnp", "torch:cuda"}
    assert is_in_host_memory(x) is (xp_backend.name not in others)
    assert move(x, xp_backend.xp, xp_backend.device) is x
    assert move(x, xp_backend.xp, None) is x  # an unknown device, as that of a tracer
    monkeypatch.setattr("xpnet.arrays.transfer.device_of", lambda _: None)
    assert move(x, xp_backend.xp, xp_backend.device) is x


def test_usual_arrays_are_those_of_numpy_itself():
    assert is_usual(X.astype("f4"))
    others = [X.astype("f2"), X.astype(">f8"), X.astype(int), X.view(Subclass), X[0, 0], 1.0]
    assert not any(map(is_usual, others))


@pytest.mark.parametrize("given", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_array_beside_another_one(xp_backend, given, dtype):
    if not xp_backend.has([dtype]):
        pytest.skip("the backend has no float64")
    like = xp_backend.asarray([0.0], dtype)
    for x in (np.asarray([1, 2], given), xp_backend.asarray([1, 2], "float32")):
        found = beside(x, like)
        assert array_namespace(found, like) is xp_backend.xp
        np.testing.assert_array_equal(xp_backend.check(found, dtype=dtype, shape=(2,)), [1, 2])
    assert beside(like, like) is like
    assert xp_backend.has(["float64"]) or to_numpy(beside(np.asarray([1e39]), like)) == [np.inf]


def test_an_array_beside_a_tracer():
    jax = pytest.importorskip("jax")
    step = xpnet.Standardize(np.asarray([1.0, 2.0]), 0.5)
    found = jax.jit(step)(jax.numpy.asarray([3.0, 3.0], "float32"))
    assert (device_of(found), found.tolist()) == (jax.devices()[0], [4.0, 2.0])


@pytest.mark.parametrize("x", COPIED, ids=range(5))
def test_a_copy_that_is_read_only(x):
    view = x[:]
    view.flags.writeable = False  # its owner may still write
    for found in (read_only(x), read_only(view)):
        assert (type(found), found.flags.writeable) == (type(x), False)
        assert found.flags.c_contiguous
        assert not np.may_share_memory(found, x)
        np.testing.assert_array_equal(found, x, strict=True)


def test_a_memory_map_is_read(tmp_path):
    np.save(tmp_path / "x.npy", X)
    found = read_only(np.load(tmp_path / "x.npy", mmap_mode="r"))
    np.load(tmp_path / "x.npy", mmap_mode="r+")[...] = 9
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, X)


def test_an_array_with_a_graph():
    there = pytest.importorskip("torch").ones(2, requires_grad=True)
    np.testing.assert_array_equal(to_numpy(there), [1, 1])
    assert not without_graph(there).requires_grad


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace")
@pytest.mark.parametrize("library", ["jax", "torch"])
def test_arrays_are_traced_inside_of_a_transformed_function(library):
    module, found, x = pytest.importorskip(library), [], xpnet.Device(library).asarray([1.0])

    def function(x):
        found.append(is_traced(x))
        return x + 1

    if library == "jax":
        module.jit(function)(x)
    else:
        module.jit.trace(function, x, check_trace=False)
    function(x)
    assert found == [True, False]
