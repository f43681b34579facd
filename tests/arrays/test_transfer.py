"""Arrays between libraries and devices."""

import numpy as np
import pytest

from xpnet.arrays.transfer import move, to_numpy


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", "bool"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_there_and_back(backend, dtype, shape):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    x = backend.asarray(values, dtype)
    np.testing.assert_array_equal(backend.check(x, dtype=dtype, shape=shape), values)
    assert to_numpy(x).dtype == values.dtype


def test_what_is_there_already_is_not_moved(backend):
    x = backend.asarray([1.0])
    assert move(x, backend.xp, backend.device) is x


def test_numpy_arrays_are_numpy_arrays():
    x = np.zeros(3)
    assert to_numpy(x) is x
    assert isinstance(to_numpy(np.float32(1)), np.ndarray)


def test_read_only_memory_moves_without_a_warning(backend):
    x = np.frombuffer(b"\1\2\3", np.uint8)
    moved = move(x, backend.xp, backend.device)
    np.testing.assert_array_equal(backend.check(moved, dtype="uint8", shape=(3,)), [1, 2, 3])


def test_from_one_device_to_another():
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")
    moved = move(strict.zeros(2), strict, device)
    assert moved.device == device


def test_gradients_do_not_hinder():
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(to_numpy(torch.ones(2, requires_grad=True)), [1, 1])
