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
    dtype_before_cast,
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
    assert array_namespace(x) is array_namespace(x, x) is xp_backend.xp
    assert device_of(x) == xp_backend.device
    assert library_of(x) == xp_backend.name.partition(":")[0].replace("-", "_")
    assert as_array(x) is as_floating(x)[0] is x
    assert is_array(x)
    with current_device(x) as device:
        assert (device is None) == (xp_backend.name != "cupy")


def test_numpy_is_its_own_namespace():
    assert array_namespace(np.zeros(2), np.float32(1)) is np


def test_two_libraries_or_devices_are_rejected_by_name():
    one, other = (strict.zeros(1, device=strict.Device(name)) for name in ("device1", "device2"))
    for arrays, error, text in (
        ((np.zeros(1), one), TypeError, "got numpy and array_api_strict"),
        ((one, np.zeros(1)), TypeError, "got array_api_strict and numpy"),
        ((one, other), ValueError, "device1.* and .*device2"),
    ):
        with pytest.raises(error, match=text):
            array_namespace(*arrays)


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


@pytest.mark.parametrize("x", ["1", None, {}, {1}, object()])
def test_other_objects_are_no_arrays(x):
    assert not is_array(x)
    for other in (x, np.ma.masked_array([1.0, 2.0], mask=[0, 1])):
        with pytest.raises(TypeError, match=rf"`images` must be an array.*{type(other).__name__}"):
            as_array(other, "images")


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_integers_become_the_default_floating_dtype(xp_backend, dtype):
    x, xp = as_floating(xp_backend.asarray([0, 1], dtype))
    default = xp.__array_namespace_info__().default_dtypes(device=xp_backend.device)
    assert xp is xp_backend.xp
    assert x.dtype == default["real floating"]
    assert device_of(x) == xp_backend.device


def test_other_dtypes_are_rejected():
    dtypes = ["complex128", "U3", "O", [("a", "f4"), ("b", "f4")]]
    dtypes += ["longdouble"] if np.finfo(np.longdouble).bits > 64 else []
    dtypes.append(np.dtype(pytest.importorskip("ml_dtypes").bfloat16))  # NumPy's is no number
    for dtype in dtypes:
        with pytest.raises(TypeError, match=r"`logits` must.* got dtype"):
            as_floating(np.zeros(2, dtype), "logits")
    assert not is_real(np.zeros(2, dtypes[-1]), np)


@pytest.mark.parametrize(
    ("given", "dtype", "expected"),
    [
        ("float32", "float32", "float32"),
        ("float64", "float32", "float64"),
        ("float32", "float64", "float64"),
        ("uint8", "float32", "float32"),
        ("int16", "float32", "float32"),
        ("bool", "float32", "float32"),
        ("int32", "float32", "float64"),  # digits of a mean would be lost
        ("uint64", "float32", "float64"),
        ("int64", "float64", "float64"),
        ("float64", "float16", "float64"),
        ("float32", "float16", "float32"),
        ("int16", "float16", "float16"),
        ("uint16", "float16", "float32"),
        ("int32", "float16", "float64"),
        ("float16", "bfloat16", "bfloat16"),
        ("bfloat16", "float16", "bfloat16"),
        ("float32", "bfloat16", "float32"),
        ("int64", "bfloat16", "float64"),
    ],
)
def test_inputs_are_preprocessed_in_the_wider_dtype(xp_backend, given, dtype, expected):
    xp = xp_backend.xp
    if not all(hasattr(xp, name) for name in (given, dtype, expected)):
        pytest.skip(f"{xp_backend.name} lacks one of these dtypes")
    found = dtype_before_cast(getattr(xp, given), getattr(xp, dtype), xp)
    assert found == getattr(xp, expected)


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


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_floating_dtype_by_its_name(xp_backend, dtype):
    xp = xp_backend.xp
    if not hasattr(xp, dtype):
        with pytest.raises(TypeError, match=dtype):
            floating_dtype(dtype, xp)
        return
    found = getattr(xp, dtype)
    for name in (dtype, found, f"numpy.{dtype}"):
        assert floating_dtype(name, xp) == found
    assert limits_of(found, xp).bits == int(dtype[-2:])


@pytest.mark.parametrize("name", ["int32", "bool", "complex64", "sum", "pi", "longdouble", "half"])
def test_other_names_are_no_floating_dtypes(xp_backend, name):
    with pytest.raises(TypeError, match=f"`dtype` must be one of.*{name}"):
        floating_dtype(name, xp_backend.xp)


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (2,), (2, 0)])
def test_booleans_as_numbers_and_bounds_keep_the_shape(xp_backend, dtype, shape):
    x, xp = xp_backend.asarray(np.full(shape, 3.0), dtype), xp_backend.xp
    for found, number in (
        (as_numbers(x > 2.0, x, xp), 1.0),
        (as_numbers(x < 2.0, x, xp), 0.0),
        (bounded(x, xp, 0.0, 2.0), 2.0),
    ):
        values = xp_backend.check(found, dtype=dtype, shape=shape)
        np.testing.assert_array_equal(values, np.full(shape, number))


def test_a_boolean_of_numpy_as_a_number():
    number = as_numbers(np.float32(3.0) > np.float32(2.0), np.float32(3.0), np)
    assert (number.dtype, float(number)) == (np.float32, 1.0)


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
