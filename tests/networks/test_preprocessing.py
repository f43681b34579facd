"""What is done to inputs, on every backend."""

import math

import numpy as np
import pytest

import xpnet


def test_scale_multiplies(xp_backend):
    result = xpnet.Scale(1 / 255)(xp_backend.asarray([0.0, 51.0, 255.0]))
    values = xp_backend.check(result, dtype="float32", shape=(3,))
    np.testing.assert_allclose(values, [0, 0.2, 1], rtol=1e-6)


def test_scale_takes_bytes_to_floats():
    np.testing.assert_array_equal(xpnet.Scale(2)(np.uint8([200])), [400.0])


@pytest.mark.parametrize("factor", [0, math.inf, math.nan])
def test_a_factor_that_destroys_everything_is_refused(factor):
    with pytest.raises(ValueError, match=f"finite and not zero; got {float(factor)}"):
        xpnet.Scale(factor)


def test_steps_are_values():
    assert xpnet.Scale(2) == xpnet.Scale(2.0)
    assert repr(xpnet.Scale(2)) == "Scale(factor=2.0)"
