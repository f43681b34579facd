"""Tests of learning-rate schedules."""

import numpy as np
import pytest

from xpnet.training.schedules import SCHEDULES


@pytest.mark.parametrize("n_steps", [1, 2, 7, 100, 100_000])
def test_the_factor_of_each_step(n_steps):
    constant, cosine = (
        [SCHEDULES[name](i, n_steps) for i in range(n_steps)] for name in ("constant", "cosine")
    )
    assert set(constant) == {1.0}
    expected = (1 + np.cos(np.pi * np.arange(n_steps) / n_steps)) / 2
    np.testing.assert_allclose(cosine, expected, rtol=1e-12, atol=1e-14)
    assert cosine[-1] > 0.0
