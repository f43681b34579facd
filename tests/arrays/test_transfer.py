"""Transfers of arrays between libraries and devices."""

import numpy as np
import pytest

from xpnet.arrays.transfer import is_in_host_memory, is_traced, move, to_numpy, without_graph


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", "bool"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_there_and_back(xp_backend, dtype, shape):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    x = xp_backend.asarray(values, dtype)
    np.testing.assert_array_equal(xp_backend.check(x, dtype=dtype, shape=shape), values)
    assert to_numpy(x).dtype == values.dtype


def test_an_array_on_its_device_is_not_copied(xp_backend):
    x = xp_backend.asarray([1.0])
    assert move(x, xp_backend.xp, xp_backend.device) is x


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


def test_from_one_device_to_another():
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")
    moved = move(strict.zeros(2), strict, device)
    assert moved.device == device


def test_torch_arrays_with_gradients():
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(to_numpy(torch.ones(2, requires_grad=True)), [1, 1])


def test_bfloat16_is_widened():
    torch = pytest.importorskip("torch")
    values = to_numpy(torch.asarray([1.5, -2.0], dtype=torch.bfloat16))
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, [1.5, -2.0])


def test_bfloat16_of_jax_is_widened():
    jax = pytest.importorskip("jax")
    values = to_numpy(jax.numpy.asarray([1.5, -2.0], dtype="bfloat16"))
    assert values.dtype == np.float32


def test_without_graph(xp_backend):
    x = xp_backend.asarray([1.0])
    np.testing.assert_array_equal(to_numpy(without_graph(x)), [1.0])


def test_without_graph_detaches_torch_arrays():
    torch = pytest.importorskip("torch")
    assert not without_graph(torch.ones(2, requires_grad=True)).requires_grad


def test_arrays_are_not_traced(xp_backend):
    assert not is_traced(xp_backend.asarray(np.zeros(2)))


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
