"""Activations that overwrite their argument: the same bits, and the same derivatives."""

import numpy as np
import pytest

from xpnet.functions.activations import ACTIVATIONS

IN_PLACE = {row.name: row for row in ACTIVATIONS.values() if row.in_place is not None}


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [100, None])  # relu has a form for few numbers
def test_bits_and_derivatives_are_those_of_the_function(name, dtype, size):
    infinity = np.asarray(np.inf, dtype)
    bits = int(infinity.view(f"i{infinity.itemsize}"))
    # Numbers of all sizes and signs, most of them where functions bend; or some of these.
    x = np.arange(0, bits, bits // 100_000, f"i{infinity.itemsize}").view(dtype)
    x = np.concatenate([x, np.linspace(0.0, 800.0, 400_001).astype(dtype), [infinity]])
    x = np.concatenate([-x, x, np.asarray([np.nan, -np.nan], dtype)])
    x = x if size is None else np.random.default_rng(0).choice(x, size)
    row, given = IN_PLACE[name], x.copy()
    with np.errstate(all="ignore"):
        expected = row(x, np)
        found = row.in_place(np, given.dtype)(given, np)
        slope, own_slope = (row.gradient(np.ones_like(x), z, expected, np) for z in (x, expected))
    assert found is given
    # Below the slack, one of the two may be 0.
    slack = 2.0 ** (-120 if dtype == "float32" else -1000)
    is_small = np.abs(expected) < slack
    np.testing.assert_array_equal(found[~is_small], expected[~is_small])
    assert np.all(np.abs(found[is_small]) < slack)
    # The argument is lost, so the derivative needs the result alone.
    np.testing.assert_array_equal(own_slope, slope)
    assert not row.options


def test_some_functions_overwrite():
    assert {"sigmoid", "tanh", "relu"} <= set(IN_PLACE)
