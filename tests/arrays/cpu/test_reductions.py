"""Speed of NumPy's reductions along rows."""

import numpy as np
import pytest

from xpnet.arrays.cpu.reductions import has_slow_rows


@pytest.mark.parametrize(
    ("shape", "axis", "slow"),
    [
        ((5, 10), -1, True),
        ((5, 10), 1, True),
        ((2, 5, 63), 2, True),
        ((5, 64), -1, False),
        ((5, 10), 0, False),
        ((2, 5, 10), 1, False),
        ((10,), -1, False),
    ],
)
def test_numpys_short_rows_are_slow(shape, axis, slow):
    assert has_slow_rows(np.zeros(shape), np, axis) is slow


def test_rows_are_slow_in_numpy_alone(xp_backend):
    x = xp_backend.asarray(np.zeros((5, 10)))
    assert has_slow_rows(x, xp_backend.xp, -1) == (xp_backend.name == "numpy")
