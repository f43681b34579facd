"""Bounds of the results, and functions that overwrite: the same bits as the public ones."""

import itertools

import numpy as np
import pytest

from xpnet.functions.activation import finite, not_negative, positive, share
from xpnet.functions.activations import ACTIVATIONS

DTYPES = ["float32", "float64"]
NAMES = sorted(name for name, row in ACTIVATIONS.items() if name == row.name)
OVERWRITING = [name for name in NAMES if ACTIVATIONS[name].overwriting is not None]
EXTREMES = {
    finite: [-1e30, -3.0, 0.0, 1e30],
    not_negative: [0.0, 1e30],
    positive: [1e-6, 1e6],
    share: [0.0, 1e-30, 1.0],
    "approximate": ["none", "tanh"],
}
SIZES = 10.0 ** np.arange(-3, 31, 3)


def all_options(row):
    """Yield the defaults, and all combinations of extreme values."""
    yield {}
    values = [EXTREMES.get(check, EXTREMES.get(name)) for name, check in row.options.items()]
    for chosen in itertools.product(*values):
        yield dict(zip(row.options, chosen, strict=True))


def numbers_up_to(size, dtype):
    """Return a grid of numbers up to a size, near 0 and near the ends."""
    even, near = np.linspace(-1.0, 1.0, 2001), np.geomspace(1e-30, 1.0, 500)
    grid = np.concatenate([even, near, -near]) * size
    usual = np.linspace(-20.0, 20.0, 1001)  # where the functions have their minima
    return np.concatenate([grid, usual[np.abs(usual) <= size]]).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_no_result_is_larger_than_its_bound(name, dtype):
    row, most = ACTIVATIONS[name], np.finfo(dtype).max
    for options, size in itertools.product(all_options(row), SIZES):
        with np.errstate(all="ignore"):
            x = numbers_up_to(size, dtype)
            bound = row.largest(size, np, **options)
            y = np.abs(row(x if row.is_elementwise else x.reshape(-1, 1), np, **options))
        if bound < most:
            assert np.max(y) <= bound, (options, size)
        assert not np.isnan(bound)


@pytest.mark.parametrize("name", NAMES)
def test_only_some_functions_along_an_axis_are_bounded(name):
    if not ACTIVATIONS[name].is_elementwise:
        expected = 1.0 if name == "softmax" else np.inf
        assert ACTIVATIONS[name].largest(7.0, np) == expected


def all_numbers(dtype):
    """Return numbers of all sizes and signs, most of them where functions turn."""
    infinity = np.asarray(np.inf, dtype)
    bits = int(infinity.view(f"i{infinity.itemsize}"))
    sizes = np.arange(0, bits, bits // 100_000, f"i{infinity.itemsize}").view(dtype)
    x = np.concatenate([sizes, np.linspace(0.0, 800.0, 400_001).astype(dtype), [infinity]])
    return np.concatenate([-x, x])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OVERWRITING)
def test_a_function_that_overwrites_gives_the_same_bits(name, dtype):
    row, x = ACTIVATIONS[name], all_numbers(dtype)
    with np.errstate(all="ignore"):
        expected, given = row(x, np), -x if row.is_opposite else x.copy()
        found = row.overwriting(np, np.dtype(dtype))(given)
    assert found is given
    is_normal = np.abs(expected) >= np.finfo(dtype).smallest_normal
    np.testing.assert_array_equal(found[is_normal], expected[is_normal])
    # Below the normal numbers, one of the two may be 0.
    assert np.all(np.abs(found[~is_normal]) < np.finfo(dtype).smallest_normal)
    assert np.isnan(row.overwriting(np, np.dtype(dtype))(np.full(3, np.nan, dtype))).all()


def test_some_functions_overwrite():
    assert {"sigmoid", "tanh", "relu"} <= set(OVERWRITING)
