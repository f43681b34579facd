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


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", "bool"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_there_and_back(xp_backend, dtype, shape):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    x = xp_backend.asarray(values, dtype)
    np.testing.assert_array_equal(xp_backend.check(x, dtype=dtype, shape=shape), values)
    assert to_numpy(x).dtype == values.dtype


def test_an_array_on_its_device_is_not_copied(xp_backend, monkeypatch):
    x = xp_backend.asarray([1.0])
    assert move(x, xp_backend.xp, xp_backend.device) is x
    assert move(x, xp_backend.xp, None) is x  # an unknown device, as that of a tracer
    monkeypatch.setattr("xpnet.arrays.transfer.device_of", lambda _: None)
    assert move(x, xp_backend.xp, xp_backend.device) is x


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


class Subclass(np.ndarray):
    """An array that NumPy may treat in another way."""


def test_usual_arrays_are_those_of_numpy_itself(xp_backend):
    x = np.ones(2)
    assert is_usual(x)
    assert is_usual(x.astype("f4"))
    others = [x.astype("f2"), x.astype(">f8"), x.astype(int), x.view(Subclass), np.float64(1), 1.0]
    assert not any(map(is_usual, others))
    assert is_usual(xp_backend.asarray([1.0])) == (xp_backend.library == "numpy")


X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize("x", [X, X.T, X[:, ::2], X.astype(">f2"), X.view(Subclass)], ids=range(5))
def test_a_copy_that_is_read_only(x):
    kept, view = x.copy(), x[:]
    view.flags.writeable = False  # its owner may still write
    for given in (x, view):
        found = read_only(given)
        assert (type(found), found.dtype) == (type(x), x.dtype)
        assert found.flags.c_contiguous
        assert not np.may_share_memory(found, x)
        np.testing.assert_array_equal(found, kept)
        with pytest.raises(ValueError, match="read-only"):
            found[0, 0] = 9


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_a_memory_map_is_read(tmp_path, mode):
    np.save(tmp_path / "x.npy", X)
    found = read_only(np.load(tmp_path / "x.npy", mmap_mode=mode))
    np.load(tmp_path / "x.npy", mmap_mode="r+")[...] = 9
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, X)


def test_arrays_of_other_libraries_are_left_alone(xp_backend):
    x = xp_backend.asarray([1.0])
    assert (read_only(x) is x) == (xp_backend.library != "numpy")


def test_arrays_in_host_memory(xp_backend):
    devices = {"array-api-strict:device1", "array-api-strict:no_float64"}
    devices |= {"cupy", "dpnp", "torch:cuda"}
    assert is_in_host_memory(xp_backend.asarray([1.0])) is (xp_backend.name not in devices)


def test_numpy_arrays_are_numpy_arrays():
    x = np.zeros(3)
    assert to_numpy(x) is x
    assert isinstance(to_numpy(np.float32(1)), np.ndarray)


def test_read_only_memory_moves_without_a_warning(xp_backend):
    x = np.frombuffer(b"\1\2\3", np.uint8)
    moved = move(x, xp_backend.xp, xp_backend.device)
    np.testing.assert_array_equal(xp_backend.check(moved, dtype="uint8", shape=(3,)), [1, 2, 3])


def test_arrays_of_torch_and_jax_that_numpy_cannot_read():
    torch = pytest.importorskip("torch")
    there = torch.ones(2, requires_grad=True)
    np.testing.assert_array_equal(to_numpy(there), [1, 1])
    assert not without_graph(there).requires_grad
    jax = pytest.importorskip("jax")
    for x in (
        torch.asarray([1.5, -2.0], dtype=torch.bfloat16),
        jax.numpy.asarray([1.5, -2.0], dtype="bfloat16"),
    ):
        np.testing.assert_array_equal(to_numpy(x), np.float32([1.5, -2.0]), strict=True)


def test_usual_arrays_have_no_graph_and_no_tracer(xp_backend):
    x = xp_backend.asarray([1.0])
    np.testing.assert_array_equal(to_numpy(without_graph(x)), [1.0])
    assert not is_traced(x)


def test_tracers_of_jax():
    jax = pytest.importorskip("jax")
    found = []
    for transform in (jax.jit, jax.vmap):
        transform(lambda x: (found.append(is_traced(x)), x)[1])(jax.numpy.zeros(2))
    assert found == [True, True]


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace")
def test_traces_of_torch():
    torch = pytest.importorskip("torch")
    found = []

    def function(x):
        found.append(is_traced(x))
        return x + 1

    torch.jit.trace(function, torch.zeros(2), check_trace=False)
    function(torch.zeros(2))
    assert found == [True, False]
