"""Validation of parameters: counts of nonfinite values, rejected dtypes, conversions."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from xpnet.formats.checked_parameters import (
    as_parameters,
    check_finite,
    check_floating,
    n_nonfinite,
)

BLOCK = 1 << 16
DTYPES = ["float16", "float32", "float64", ">f2", ">f4", ">f8"]
repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=100)


@repeatable
@given(
    x=st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
        lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6))
    )
)
def test_the_count_is_the_one_of_numpy(x):
    assert n_nonfinite(x) == np.count_nonzero(~np.isfinite(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 1])
def test_numbers_at_the_ends_of_blocks(dtype, size):
    x = np.ones(size, dtype)
    assert n_nonfinite(x) == 0
    places = sorted({0, size - 1, *(i for i in (BLOCK - 1, BLOCK, 2 * BLOCK) if i < size)})
    for number in (np.nan, np.inf, -np.inf):
        x[places] = number
        assert n_nonfinite(x) == len(places), number


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[::2],
        lambda x: x[:, ::-1],
        lambda x: x.T,
        np.asfortranarray,
        lambda x: np.broadcast_to(x[0], x.shape),
        lambda x: x[1:-1, 1:-1],
    ],
    ids=["rows", "backwards", "transposed", "columns", "broadcast", "inner"],
)
def test_other_orders_of_memory(view):
    for dtype in DTYPES:
        x = np.ones((7, 9), dtype)
        x[0, 3] = x[2, 8] = x[5, 5] = np.nan
        assert n_nonfinite(view(x)) == np.count_nonzero(np.isnan(view(x))), dtype


def test_the_error_names_the_array():
    with pytest.raises(ValueError, match="W2 must be finite; got 3 values that are infinite or"):
        check_finite({"W1": np.ones(4), "W2": np.asarray([np.nan, 1, np.inf, -np.inf])})


@pytest.mark.parametrize("dtype", ["i4", "?", "U2", "S2", "M8[s]", "O"])
def test_what_is_not_floating_has_nothing_infinite(dtype):
    x = np.zeros(3, dtype)
    check_finite({"x": x})
    with pytest.raises(TypeError, match="x must be float16, float32 or float64; got "):
        check_floating({"x": x})


@pytest.mark.parametrize("dtype", [*DTYPES, "g"])
def test_floating_dtypes(dtype):
    x = {"x": np.zeros(3, dtype)}
    if np.dtype(dtype).itemsize > 8:
        with pytest.raises(TypeError, match=f"got {np.dtype(dtype)}"):
            check_floating(x)
    else:
        assert as_parameters(x)["x"].dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["float16", "float32"], "float32"),
        (["float16", ">f8"], "float64"),
        (["float16", "float16"], "float16"),
        (["int64", "float16"], "float16"),
        (["int8", "uint64"], "float32"),
    ],
    ids=str,
)
def test_the_widest_dtype(dtypes, expected):
    made = as_parameters({str(i): np.asarray([1, 2], dtype) for i, dtype in enumerate(dtypes)})
    assert [x.dtype for x in made.values()] == [np.dtype(expected)] * 2
    assert [x.tolist() for x in made.values()] == [[1.0, 2.0]] * 2


def test_arrays_that_fit_are_not_copied():
    x = np.ones((3, 4), np.float32)
    assert as_parameters({"x": x})["x"] is x


def test_the_order_of_memory_is_that_of_c():
    made = as_parameters({"x": np.asfortranarray(np.arange(6.0).reshape(2, 3))})["x"]
    assert made.flags.c_contiguous
    assert made.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("number", "dtype", "floating"),
    [
        (2**11, "i4", "f2"),
        (-(2**11), "i4", "f2"),
        (2**11 + 2, "i4", "f2"),
        (65504, "u2", "f2"),
        (2**24, "i4", "f4"),
        (2**24 + 2, "i4", "f4"),
        (2**62, "i8", "f4"),
        (-(2**63), "i8", "f4"),
        (2**63, "u8", "f8"),
        (2**53, "i8", "f8"),
        (-128, "i1", "f2"),
    ],
)
def test_whole_numbers_that_the_dtype_has(number, dtype, floating):
    x = np.asarray([0, number], dtype)
    made = as_parameters({"W": x, "b": np.ones(1, floating)})["W"]
    assert made.dtype == np.dtype(floating)
    assert int(made[1]) == number


@pytest.mark.parametrize(
    ("number", "dtype", "floating"),
    [
        (2**11 + 1, "i4", "f2"),
        (65520, "u2", "f2"),
        (10**6, "i4", "f2"),
        (2**24 + 1, "i4", "f4"),
        (-(2**24) - 1, "i4", "f4"),
        (2**53 + 1, "i8", "f8"),
        (2**63 - 1, "i8", "f8"),
        (2**64 - 1, "u8", "f8"),
        (2**64 - 1, "u8", "f4"),
        (2**63 - 1, "i8", "f4"),
    ],
)
def test_whole_numbers_that_the_dtype_has_not(number, dtype, floating):
    x = np.asarray([0, number], dtype)
    name = np.dtype(floating).name
    with pytest.raises(
        TypeError, match=f"W must hold integers that are exact in {name}; got larger"
    ):
        as_parameters({"W": x, "b": np.ones(1, floating)})
