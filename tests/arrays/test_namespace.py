"""Array namespaces and dtypes."""

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from xpnet.arrays.namespace import (
    apply,
    array_namespace,
    as_array,
    as_floating,
    as_numbers,
    bounded,
    compute,
    current_device,
    device_of,
    floating_dtype,
    is_array,
    is_real,
    library_of,
    limits_of,
)
from xpnet.arrays.transfer import to_numpy

strict = pytest.importorskip("array_api_strict")


def test_the_namespace_of_each_backend(xp_backend):
    x = xp_backend.asarray([1.0])
    assert array_namespace(x) is xp_backend.xp
    assert array_namespace(x, x) is xp_backend.xp
    assert device_of(x) == xp_backend.device


def test_numpy_is_its_own_namespace():
    assert array_namespace(np.zeros(2), np.float32(1)) is np


def test_the_library_is_named(xp_backend):
    expected = xp_backend.name.partition(":")[0].replace("-", "_")
    assert library_of(xp_backend.asarray([1.0])) == expected


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros(1), strict.zeros(1)), "got numpy and array_api_strict"),
        ((strict.zeros(1), np.zeros(1)), "got array_api_strict and numpy"),
    ],
)
def test_two_libraries_are_rejected_by_name(arrays, message):
    with pytest.raises(TypeError, match=f"must belong to one library; {message}"):
        array_namespace(*arrays)


def test_two_devices_are_rejected_by_name():
    x, y = (strict.zeros(1, device=strict.Device(name)) for name in ("device1", "device2"))
    with pytest.raises(ValueError, match=r"must be on one device; got .*device1.* and .*device2"):
        array_namespace(x, y)


def test_an_unknown_device_matches_any(monkeypatch):
    import array_api_compat

    x, y = (strict.zeros(1, device=strict.Device(name)) for name in ("device1", "device2"))
    devices = {id(x): None, id(y): "device2"}
    monkeypatch.setattr(array_api_compat, "device", lambda array: devices[id(array)])
    assert array_namespace(x, y) is strict
    assert array_namespace(y, x) is strict


@pytest.mark.parametrize("x", [1, 1.5, True, [1, 2], (1, 2), [[1.0]]])
def test_numbers_and_lists_become_numpy_arrays(x):
    result = as_array(x)
    assert isinstance(result, np.ndarray)
    np.testing.assert_array_equal(result, np.asarray(x))


def test_arrays_are_returned_as_they_are(xp_backend):
    x = xp_backend.asarray([1.0])
    assert as_array(x) is x
    assert is_array(x)
    assert as_floating(x)[0] is x


@pytest.mark.parametrize("x", ["1", None, {}, {1}, object()])
def test_other_objects_are_no_arrays(x):
    assert not is_array(x)
    with pytest.raises(TypeError, match=rf"`images` must be an array.*got {type(x).__name__}"):
        as_array(x, "images")


def test_masked_arrays_are_rejected():
    with pytest.raises(TypeError, match=r"must be an array.*got MaskedArray"):
        as_array(np.ma.masked_array([1.0, 2.0], mask=[0, 1]))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_integers_become_the_default_floating_dtype(xp_backend, dtype):
    x, xp = as_floating(xp_backend.asarray([0, 1], dtype))
    default = xp.__array_namespace_info__().default_dtypes(device=xp_backend.device)
    assert xp is xp_backend.xp
    assert x.dtype == default["real floating"]
    assert device_of(x) == xp_backend.device


@pytest.mark.parametrize("dtype", ["complex128", "U3", "O"])
def test_other_dtypes_are_rejected(dtype):
    with pytest.raises(TypeError, match="`logits` must hold real numbers; got dtype"):
        as_floating(np.zeros(2, dtype), "logits")


def test_dtypes_wider_than_float64_are_rejected():
    match = "`x` must have at most 64 bits per number; got dtype"
    if np.finfo(np.longdouble).bits == 64:
        pytest.skip("long double is float64 here")
    with pytest.raises(TypeError, match=match):
        as_floating(np.ones(2, np.longdouble))


def test_structured_dtypes_are_rejected():
    with pytest.raises(TypeError, match="`x` must hold real numbers; got dtype"):
        as_floating(np.zeros(2, [("a", "f4"), ("b", "f4")]))


def test_apply_gives_the_function_its_namespace_and_options():
    result = apply(lambda x, xp, a, b: (xp.sum(x), a, b), [1, 2], a="a", b="b")
    assert result == (3.0, "a", "b")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_dtypes_are_computed_as_they_are(xp_backend, dtype):
    x = xp_backend.asarray([1.0], dtype)
    seen = compute(lambda x, xp, scale: (x, xp, scale), x, xp=xp_backend.xp, scale=3.0)
    assert seen[0] is x
    assert seen[1:] == (xp_backend.xp, 3.0)


SHORT = [("numpy", "float16"), ("torch", "float16"), ("torch", "bfloat16")]
SHORT += [("jax", "float16"), ("jax", "bfloat16"), ("dask", "float16")]


@pytest.mark.parametrize(("xp_backend", "dtype"), SHORT, indirect=["xp_backend"])
def test_short_dtypes_are_computed_in_float32(xp_backend, dtype):
    x = short(xp_backend, [1.0, 3.0], dtype)
    seen = []

    def third(x, xp):
        seen.append((x.dtype, xp))
        return x / 3.0

    y = compute(third, x, xp=xp_backend.xp)
    assert seen == [(xp_backend.xp.float32, xp_backend.xp)]
    assert y.dtype == x.dtype
    digits = {"float16": 2.0**-12, "bfloat16": 2.0**-9}[dtype]  # half an ULP of a third
    assert np.max(np.abs(to_numpy(y).astype(float) - [1 / 3, 1.0])) <= digits


@pytest.mark.parametrize(("xp_backend", "dtype"), SHORT, indirect=["xp_backend"])
def test_short_results_round_to_infinity_from_half_a_unit_beyond_the_range(xp_backend, dtype):
    unit, limit = {"float16": (32.0, 65504.0), "bfloat16": (2.0**120, 2.0**128 - 2.0**120)}[dtype]
    x = short(xp_backend, [1.0], dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sign in (1.0, -1.0):
            inside = compute(lambda x, _: x * (sign * (limit + 0.49 * unit)), x, xp=xp_backend.xp)  # noqa: B023
            beyond = compute(lambda x, _: x * (sign * (limit + 0.51 * unit)), x, xp=xp_backend.xp)  # noqa: B023
            assert to_numpy(inside).astype(float)[0] == sign * limit
            assert to_numpy(beyond).astype(float)[0] == sign * math.inf


@pytest.mark.parametrize(("dtype", "bits", "eps"), [("float32", 32, -23), ("float64", 64, -52)])
def test_limits(xp_backend, dtype, bits, eps):
    limits = limits_of(xp_backend.asarray([1.0], dtype).dtype, xp_backend.xp)
    assert (limits.bits, float(limits.eps)) == (bits, 2.0**eps)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_floating_dtype_by_its_name(xp_backend, dtype):
    if hasattr(xp_backend.xp, dtype):
        assert floating_dtype(dtype, xp_backend.xp) == getattr(xp_backend.xp, dtype)
        return
    with pytest.raises(TypeError, match=f"has no floating-point dtype {dtype}"):
        floating_dtype(dtype, xp_backend.xp)


def test_a_floating_dtype_by_a_dtype():
    for dtype in ("float32", np.float32, np.dtype("float32"), "numpy.float32"):
        assert floating_dtype(dtype, np) == np.float32


@pytest.mark.parametrize("name", ["int32", "bool", "complex64", "sum", "pi", "longdouble", "half"])
def test_other_names_are_no_floating_dtypes(xp_backend, name):
    match = f"^`dtype` must be one of float16, bfloat16, float32, float64; got '{name}'$"
    with pytest.raises(TypeError, match=match):
        floating_dtype(name, xp_backend.xp)


def test_numpy_does_not_compute_in_bfloat16():
    bfloat16 = np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    assert not is_real(np.zeros(2, bfloat16), np)
    with pytest.raises(TypeError, match="`x` must hold real numbers; got dtype bfloat16"):
        as_floating(np.zeros(2, bfloat16))


def short(xp_backend, values, dtype):
    """Return an array of a dtype that NumPy may lack."""
    x = xp_backend.asarray(values)
    if xp_backend.name == "dask":  # float16 is missing from its namespace only
        return x.astype(dtype)
    return xp_backend.xp.astype(x, getattr(xp_backend.xp, dtype))


NUMBERS = [-math.inf, -2.0, -0.5, 0.0, 0.5, 2.0, math.inf, math.nan]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((), NUMBERS),
        ((-1.0,), [-1.0, -1.0, *NUMBERS[2:]]),
        ((-math.inf, 1.0), [*NUMBERS[:5], 1.0, 1.0, math.nan]),
        ((-1.0, 0.25), [-1.0, -1.0, -0.5, 0.0, 0.25, 0.25, 0.25, math.nan]),
    ],
)
def test_bounded(xp_backend, limits, expected, dtype):
    x = xp_backend.asarray(NUMBERS, dtype)
    values = xp_backend.check(bounded(x, xp_backend.xp, *limits), dtype=dtype, shape=(8,))
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("shape", [(), (3,), (0, 2)])
def test_bounded_keeps_the_shape(xp_backend, shape):
    x = xp_backend.asarray(np.full(shape, 5.0))
    values = xp_backend.check(bounded(x, xp_backend.xp, 0.0, 2.0), dtype="float32", shape=shape)
    assert np.all(values == 2.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (2,), (2, 0)])
def test_booleans_as_numbers(xp_backend, dtype, shape):
    x = xp_backend.asarray(np.full(shape, 3.0), dtype)
    for condition, number in ((x > 2.0, 1.0), (x < 2.0, 0.0)):
        values = xp_backend.check(as_numbers(condition, x, xp_backend.xp), dtype=dtype, shape=shape)
        assert np.all(values == number)


def test_a_boolean_of_numpy_as_a_number():
    number = as_numbers(np.float32(3.0) > np.float32(2.0), np.float32(3.0), np)
    assert (number.dtype, float(number)) == (np.float32, 1.0)


def test_only_cupy_has_a_current_device(xp_backend):
    with current_device(xp_backend.asarray([1.0])) as device:
        assert (device is None) == (xp_backend.name != "cupy")


def test_cupys_device_becomes_the_current_one():
    entered = []

    class Device:
        def __enter__(self):
            entered.append(self)

        def __exit__(self, *_):
            entered.append(None)

    array = type("ndarray", (), {"__module__": "cupy", "device": Device()})()
    with current_device(array):
        assert entered == [array.device]
    assert entered == [array.device, None]


class TestDataFrames:
    """Data frames of pandas become arrays; of polars, they have the same methods."""

    @pytest.fixture
    def pandas(self):
        return pytest.importorskip("pandas", reason="needs pandas")

    def test_columns_of_numbers(self, pandas):
        frame = pandas.DataFrame({"a": [1.5, 2.5], "b": [1, 2], "c": [True, False]})
        assert as_array(frame).tolist() == [[1.5, 1.0, 1.0], [2.5, 2.0, 0.0]]
        assert as_array(frame[["b"]]).dtype == np.int64
        assert as_array(frame["a"]).tolist() == [1.5, 2.5]

    def test_columns_of_other_types_are_named(self, pandas):
        frame = pandas.DataFrame({"a": [1.5], "sex": ["male"], 3: [pandas.Timestamp(0)]})
        message = "`images` must have columns of numbers; got others in sex, 3"
        with pytest.raises(TypeError, match=message):
            as_array(frame, "images")

    @pytest.mark.parametrize("dtype", ["str", "object", "category"])
    def test_labels(self, pandas, dtype):
        labels = pandas.Series(["setosa", "Äsop", "setosa"], dtype=dtype)
        for found in (as_array(labels), as_array(labels.to_numpy().astype(object))):
            assert found.dtype.kind == "U"
            assert found.tolist() == ["setosa", "Äsop", "setosa"]

    def test_an_object_that_is_no_string_remains(self):
        x = np.array(["a", None], object)
        assert as_array(x) is x

    def test_a_lazy_frame_becomes_a_lazy_array(self):
        frame = SimpleNamespace(to_dask_array=lambda *, lengths: ("array", lengths))
        assert as_array(frame) == ("array", True)
