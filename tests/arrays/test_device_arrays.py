"""Arrays of a device: creation, transfers, dtypes."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.library import NARROW
from xpnet.arrays.namespace import device_of, dtype_name


def has(device, dtype):
    info = getattr(device.xp, "__array_namespace_info__", None)
    return info is None or dtype in info().dtypes(kind=None)


ARRAYS = [1.5, np.float32(1), [1.5], 2, 2.0j, np.arange(2, dtype=">f4")]
ARRAYS += [
    np.broadcast_to(np.float32(1), (2, 2)),
    np.ones((0, 3), "f4"),
    np.arange(6.0).reshape(2, 3)[::-1],
]


@pytest.mark.parametrize("x", ARRAYS, ids=range(len(ARRAYS)))
def test_numbers_lists_and_arrays_move(device, x):
    moved, wide = device.asarray(x), np.asarray(x).dtype.name
    assert dtype_name(moved.dtype) == (wide if has(device, wide) else NARROW[wide])
    assert device_of(moved) == device.handle
    assert device.asarray(moved) is device.asarray(moved, moved.dtype) is moved
    for there in (device.to_numpy(moved), xpnet.Device().asarray(moved)):
        assert isinstance(there, np.ndarray)
        np.testing.assert_array_equal(there, np.asarray(x))
    assert tuple(moved.shape) == np.shape(x)


DTYPES = [("float32", "float32"), (np.float32, "float32"), (np.dtype("float32"), "float32")]
DTYPES += [(float, "float64"), (int, "int64"), ("double", "float64"), (bool, "bool")]


@pytest.mark.parametrize(("dtype", "name"), DTYPES, ids=range(7))
@pytest.mark.parametrize("x", [1, [0.0, 1.0], np.asarray([1, 0]), np.float16(1)])
def test_an_array_is_made_in_a_dtype(device, dtype, name, x):
    if not has(device, name) and "64" in name:
        with pytest.raises(TypeError, match=f"{name}.* use {NARROW[name]}"):
            device.asarray(x, dtype)
        return
    moved = device.asarray(x, dtype)
    again = device.asarray(moved, "int32")  # of an array that is there
    for found, word in ((moved, name), (again, "int32")):
        assert dtype_name(found.dtype).strip("_") == word
        assert device_of(found) == device.handle
    np.testing.assert_array_equal(device.to_numpy(again), np.asarray(x).astype("int32"))
    with pytest.raises(TypeError):
        device.asarray(moved, "nonsense")


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        *((300, "int8"), ([300], "int8"), ([-1], "uint64"), ([-129.0], "int8"), ([1e20], "int64")),
        *(([np.nan], "int32"), ([-np.inf], "int32"), ([2.0**63], "int64"), ([2**70], "int64")),
    ],
    ids=str,
)
def test_integers_that_do_not_fit_are_refused(device, x, dtype):
    dtype = dtype if has(device, dtype) else dtype.replace("64", "32")
    givens = [x, np.asarray(x)]
    givens += [] if 2**70 in np.ravel(x) else [device.asarray(x)]  # of the device's own library
    for given in givens:
        with pytest.raises(ValueError, match=dtype):
            device.asarray(given, dtype)


def test_the_ends_of_a_dtype_fit(device, opened):
    ends = device.asarray([127.9, -128.9], "int8")
    assert device.to_numpy(ends).tolist() == [127, -128]
    assert device.to_numpy(device.asarray(np.ones(0), "int8")).shape == (0,)
    other = opened("dask" if device.library == "torch" else "torch")
    with pytest.raises(ValueError, match="int8"):
        device.asarray(other.asarray([300]), "int8")


def test_64_bits_that_a_device_lacks_are_refused(opened):
    device = opened("array-api-strict:no_float64")
    for dtype in ("complex128", "bfloat16"):
        with pytest.raises(TypeError, match=dtype):
            device.asarray([1.0], dtype)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        device.asarray([1e300])
    with np.errstate(over="ignore"):
        assert np.isinf(device.to_numpy(device.asarray([1e300])))
    assert device.to_numpy(device.asarray([np.inf, 1.5])).tolist() == [np.inf, 1.5]


@pytest.mark.parametrize("dtype", ["float64", "complex128", "int64"])
def test_jax_has_64_bits_as_it_is_set(opened, dtype):
    device, jax = opened("jax"), pytest.importorskip("jax")
    with jax.enable_x64(False):
        with pytest.raises(TypeError, match=rf"{dtype} \(set JAX_ENABLE_X64=1\)"):
            device.asarray([1], dtype)
        with pytest.raises(ValueError, match="int32"):  # integers are not wrapped
            device.asarray([2**40])
    with jax.enable_x64(True):
        assert dtype_name(device.asarray([1], dtype).dtype) == dtype


@pytest.mark.parametrize("library", ["torch", "jax", "mlx"])
def test_bfloat16(opened, library):
    device, cpu = opened(library), xpnet.Device("cpu")
    x = device.asarray([1.5, -2.0], "bfloat16")
    assert dtype_name(x.dtype) == "bfloat16"
    assert device.asarray(x) is device.asarray(x, "bfloat16") is x
    assert dtype_name(device.asarray(x, "float32").dtype) == "float32"
    np.testing.assert_array_equal(cpu.asarray(x), np.float32([1.5, -2.0]), strict=True)
    with pytest.raises(TypeError, match="bfloat16"):
        cpu.asarray(x, "bfloat16")
