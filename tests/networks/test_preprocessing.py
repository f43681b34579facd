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


MEANS, SCALES = [1.0, -2.0, 0.5], [2.0, 0.5, -4.0]


@pytest.mark.parametrize("mean", [0.25, MEANS], ids=str)
@pytest.mark.parametrize("scale", [4.0, SCALES], ids=str)
def test_standardize_subtracts_and_divides(xp_backend, mean, scale):
    x = [[3.0, -1.0, 0.0], [0.0, 1.0, 2.0]]
    step = xpnet.Standardize(
        *(xp_backend.asarray(v) if isinstance(v, list) else v for v in (mean, scale))
    )
    values = xp_backend.check(step(xp_backend.asarray(x)), dtype="float32", shape=(2, 3))
    np.testing.assert_array_equal(values, (np.asarray(x) - mean) / np.asarray(scale))


def test_standardize_shows_no_arrays():
    step = xpnet.Standardize(np.zeros(784), 2)
    assert repr(step) == "Standardize(784 means, scale=2.0)"
    assert repr(xpnet.Standardize()) == "Standardize(mean=0.0, scale=1.0)"


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((0.0, 0.0), ValueError, "`scale` must be finite and not zero; got 0.0"),
        ((math.nan,), ValueError, "`mean` must be finite; got nan"),
        ((np.zeros((2, 2)),), ValueError, r"`mean` must have the shape \(n_in,\); got \(2, 2\)"),
        ((0.0, np.asarray(2.0)), ValueError, r"`scale` must have the shape \(n_in,\); got \(\)"),
        (("1",), TypeError, "`mean` must be an array, a number or a list"),
        ((1j,), TypeError, "`mean` must hold real numbers"),
    ],
    ids=str,
)
def test_numbers_that_nothing_can_be_standardized_by(arguments, error, text):
    with pytest.raises(error, match=text):
        xpnet.Standardize(*arguments)


def test_a_network_keeps_the_arrays_of_its_steps_with_its_own(xp_backend):
    layer = xpnet.Dense(xp_backend.asarray([[1.0], [2.0], [3.0]]), xp_backend.asarray([0.5]))
    step = xpnet.Standardize(xp_backend.asarray(MEANS), xp_backend.asarray(SCALES))
    network = xpnet.Network([layer], preprocessing=step)
    result = network(xp_backend.asarray([[3.0, -1.0, 0.0]]))
    values = xp_backend.check(result, dtype="float32", shape=(1, 1))
    np.testing.assert_array_equal(values, [[1.0 + 2.0 * 2.0 + 3.0 * 0.125 + 0.5]])
    there = network.to("cpu").preprocessing[0]
    assert [type(x) for x in (there.mean, there.scale)] == [np.ndarray, np.ndarray]


def test_the_arrays_of_steps_get_the_dtype_of_the_layers():
    layer = xpnet.Dense(np.ones((3, 1), np.float32), np.zeros(1, np.float32))
    network = xpnet.Network([layer], preprocessing=xpnet.Standardize(np.asarray(MEANS), 2.0))
    assert network.preprocessing[0].mean.dtype == np.float32
    assert network.preprocessing[0].scale == 2.0


@pytest.mark.parametrize(
    ("step", "error", "text"),
    [
        (
            xpnet.Standardize(np.zeros(4)),
            ValueError,
            r"one mean for each of 3 inputs; got .*\(4,\)",
        ),
        ("scale", TypeError, "must be steps such as Scale; got str"),
    ],
    ids=str,
)
def test_steps_that_do_not_fit_the_network(step, error, text):
    layer = xpnet.Dense(np.ones((3, 1)), np.zeros(1))
    with pytest.raises(error, match=text):
        xpnet.Network([layer], preprocessing=[step])
