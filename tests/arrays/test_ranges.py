"""Ranges of dtypes on every backend, and overflow in NumPy."""

import pickle

import numpy as np
import pytest

from xpnet.arrays.ranges import (
    RangeError,
    counting_from,
    dtype_before_cast,
    finite_cast,
    wider_dtypes,
    without_overflow,
)

F16, F32, F64 = np.float16, np.float32, np.float64


@pytest.mark.parametrize(
    ("given", "dtype", "expected"),
    [
        ("float32", "float32", "float32"),
        ("float64", "float32", "float64"),
        ("float32", "float64", "float64"),
        ("uint8", "float32", "float32"),
        ("int32", "float32", "float64"),  # digits of a mean would be lost
        ("uint64", "float32", "float64"),
        ("int64", "float64", "float64"),
        ("int16", "float32", "float32"),
        ("bool", "float32", "float32"),
        ("float64", "float16", "float64"),
        ("float32", "float16", "float32"),
        ("int8", "float16", "float16"),
        ("int16", "float16", "float16"),
        ("uint16", "float16", "float32"),
        ("int32", "float16", "float64"),
        ("float16", "bfloat16", "bfloat16"),
        ("bfloat16", "float16", "bfloat16"),
        ("float32", "bfloat16", "float32"),
        ("int64", "bfloat16", "float64"),
    ],
)
def test_inputs_are_preprocessed_in_the_dtype_of_the_wider_range(
    xp_backend, given, dtype, expected
):
    xp = xp_backend.xp
    if not all(hasattr(xp, name) for name in (given, dtype, expected)):
        pytest.skip(f"{xp_backend.name} lacks one of these dtypes")
    found = dtype_before_cast(getattr(xp, given), getattr(xp, dtype), xp)
    assert found == getattr(xp, expected)


def test_other_dtypes_are_ignored():
    for given in ("datetime64[s]", "object", "U1", "complex64"):
        assert dtype_before_cast(np.dtype(given), np.dtype(F16), np) == F16


@pytest.mark.parametrize(
    ("dtype", "wider"),
    [
        ("float16", ["float32", "float64"]),
        ("bfloat16", ["float64"]),
        ("float32", ["float64"]),
        ("float64", []),
    ],
)
def test_wider_dtypes(dtype, wider):
    assert list(wider_dtypes(dtype)) == wider


@pytest.mark.parametrize(
    ("value", "dtype", "remedy"),
    [
        (7e4, "float16", r": compute in network\.astype\('float32'\), or scale the inputs"),
        (1e39, "float16", r": compute in network\.astype\('float64'\), or scale the inputs"),
        (1e39, "float32", r": compute in network\.astype\('float64'\), or scale the inputs"),
        (1e300, "float64", ": scale the inputs"),
    ],
)
def test_the_error_names_value_place_dtype_and_remedy(value, dtype, remedy):
    error = RangeError(value, 3, 12, dtype)
    what = (
        f"each input must be a number that the preprocessing leaves finite in {dtype}; got {value}"
    )
    with pytest.raises(
        ValueError,
        match=rf"^{what} in row 3, column 12 \(counted from 0\){remedy}$".replace("+", r"\+"),
    ):
        raise error
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_rows_before_are_counted():
    with pytest.raises(RangeError) as caught, counting_from(100), counting_from(20):
        raise RangeError(1e39, 3, 12, "float32")
    assert (caught.value.row, caught.value.column) == (123, 12)


def test_an_overflow_is_found():
    x = np.asarray([[1.0, 2.0], [3.0, 7e4], [8e4, 5.0]])
    with pytest.raises(RangeError) as caught:
        without_overflow(lambda: x.astype(F16), x, np, F16)
    found = caught.value
    assert (found.value, found.row, found.column, found.dtype) == (7e4, 1, 1, "float16")


def test_the_error_names_the_largest_input_of_a_mixed_row():
    x = np.asarray([[1.0, -3e38, 2.0]], F32)
    matrix = np.full((3, 3), 4.0, F32)
    with pytest.raises(RangeError) as caught:
        without_overflow(lambda: x @ matrix, x, np, F32, is_mixed=True)
    assert (caught.value.value, caught.value.column) == (F32(-3e38), 1)


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_nonfinite_inputs_are_no_overflow(number):
    x = np.asarray([[number, 7e4], [1.0, 2.0]])
    found = without_overflow(lambda: x.astype(F16), x, np, F16)
    np.testing.assert_array_equal(found, [[number, np.inf], [1.0, 2.0]])


def test_a_flag_without_an_overflow_is_no_error():
    calls = []

    def compute():
        calls.append(np.geterr()["over"])
        if calls == ["raise"]:
            msg = "overflow encountered in matmul"
            raise FloatingPointError(msg)
        return np.ones((1, 1))

    assert without_overflow(compute, np.ones((1, 1)), np, F32) == 1.0
    assert calls == ["raise", "ignore"]


def test_the_callers_errstate_applies_to_other_errors():
    x = np.asarray([[1e-30]], F32)
    with np.errstate(under="raise"), pytest.raises(FloatingPointError, match="underflow"):
        without_overflow(lambda: x * x, x, np, F32)


def test_parameters_must_stay_finite():
    x = np.asarray([1.0, -7e4, np.inf])
    with pytest.raises(
        ValueError, match=r"^`mean` must be finite in float16; got numbers up to 70000\.0$"
    ):
        finite_cast(x, F16, np, "mean")
    assert finite_cast(x[2:], F16, np, "mean") == np.inf
    with np.errstate(all="raise"):  # underflow to 0 is accepted
        assert finite_cast(np.asarray([1e-30]), F16, np, "mean") == 0.0
