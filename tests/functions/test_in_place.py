"""Activations that overwrite their argument: the same bits, and the same derivatives."""

import numpy as np
import pytest

from xpnet.functions.activations import ACTIVATIONS

ROWS = {row.name: row for row in ACTIVATIONS.values() if row.in_place is not None}
# Two ways of relu: for few numbers, and for many.
SIZES = pytest.mark.parametrize("size", [100, None])
NAMES = pytest.mark.parametrize("name", ROWS)
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def all_numbers(dtype, size):
    """Return numbers of all sizes and signs, most of them where functions turn; or some."""
    infinity = np.asarray(np.inf, dtype)
    bits = int(infinity.view(f"i{infinity.itemsize}"))
    sizes = np.arange(0, bits, bits // 100_000, f"i{infinity.itemsize}").view(dtype)
    x = np.concatenate([sizes, np.linspace(0.0, 800.0, 400_001).astype(dtype), [infinity]])
    x = np.concatenate([-x, x, np.asarray([np.nan, -np.nan], dtype)])
    return x if size is None else np.random.default_rng(0).choice(x, size)


@NAMES
@DTYPES
@SIZES
def test_the_bits_are_those_of_the_function(name, dtype, size):
    row, x = ROWS[name], all_numbers(dtype, size)
    with np.errstate(all="ignore"):
        expected, given = row(x, np), x.copy()
        found = row.in_place(np, given.dtype)(given, np)
    assert found is given
    tiny = np.finfo(dtype).smallest_normal
    is_normal = np.isnan(expected) | (np.abs(expected) >= tiny)
    np.testing.assert_array_equal(found[is_normal], expected[is_normal])
    # Below the normal numbers, one of the two may be 0.
    assert np.all(np.abs(found[~is_normal]) < tiny)


@NAMES
@DTYPES
@SIZES
def test_the_derivative_needs_the_result_alone(name, dtype, size):
    row, x = ROWS[name], all_numbers(dtype, size)
    with np.errstate(all="ignore"):
        y = row(x, np)
        expected, found = (row.gradient(np.ones_like(y), z, y, np) for z in (x, y))
    np.testing.assert_array_equal(found, expected)


@NAMES
def test_there_are_no_options(name):
    assert not ROWS[name].options


def test_some_functions_overwrite():
    assert {"sigmoid", "tanh", "relu"} <= set(ROWS)
