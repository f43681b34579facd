"""Preprocessing steps on every backend."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace
from xpnet.arrays.transfer import to_numpy


def test_a_step_is_shown_to_the_last_bit_and_without_arrays():
    assert repr(xpnet.Scale(1 / 93)) == "Scale(1 / 93)"  # 1 / (1 / 93) is below 93
    assert repr(xpnet.Scale(np.nextafter(1 / 255, 1))) == "Scale(0.003921568627450981)"
    assert repr(xpnet.Scale(1e-320)) == "Scale(1e-320)"  # its reciprocal is infinite
    assert repr(xpnet.Standardize(np.zeros(784), 2)) == "Standardize(784 means, scale=2.0)"
    assert repr(xpnet.Whiten(np.zeros(784), np.eye(784))) == "Whiten(784 means, 784 x 784)"


MEANS, SCALES = np.asarray([1.0, -2.0, 0.5]), np.asarray([2.0, 0.5, -4.0])
MATRIX = np.asarray([[1.0, 0.5, 0.0], [0.0, 2.0, -1.0], [0.25, 0.0, 4.0]])
ROWS = np.asarray([[3.0, 1.0, 0.0], [200.0, 1.0, 2.0]])
STEPS = {
    "scale": (xpnet.Scale(-0.5), -0.5 * ROWS),
    "numbers": (xpnet.Standardize(0.25, 4.0), (ROWS - 0.25) / 4.0),
    "mean": (xpnet.Standardize(MEANS, 4.0), (ROWS - MEANS) / 4.0),
    "both": (xpnet.Standardize(MEANS, SCALES), (ROWS - MEANS) / SCALES),
    "whiten": (xpnet.Whiten(MEANS, MATRIX), (ROWS - MEANS) @ MATRIX),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "float64"])
def test_a_step_takes_rows_of_any_library_and_dtype(xp_backend, name, dtype):
    """With arrays of NumPy, and in a network with those of the library."""
    step, expected = STEPS[name]
    is_half = dtype == "float16" and hasattr(xp_backend.xp, dtype)
    rows = xp_backend.asarray(ROWS, "float32" if dtype == "float16" else dtype)
    rows = xp_backend.xp.astype(rows, xp_backend.xp.float16) if is_half else rows
    network = xpnet.Network([xpnet.Dense(np.eye(3), np.zeros(3))], step)
    there = network.map_arrays(lambda x: xp_backend.asarray(x, "float32"))
    for found in (step(rows), there(rows)):
        assert array_namespace(found) is xp_backend.xp
        unit = 2.0**-11 if is_half else 2.0**-24  # of sums of up to 800
        np.testing.assert_allclose(to_numpy(found), expected, 2 * unit, 800 * unit)
    there = there.to("cpu").preprocessing[0]
    assert {type(x) for x in vars(there).values()} <= {float, np.ndarray}


# Each is scaled in the wider dtype of rows and network, and cast once.
WIDE = [
    ("float64", "float32", 1e-39),
    ("float64", "float16", 1 / 65535),
    ("float32", "float16", 1 / 65535),
    ("uint16", "float16", 1 / 65535),
    ("int32", "float16", 1 / 65535),
    ("float64", "bfloat16", 1e-39),
]


@pytest.mark.parametrize(("given", "dtype", "factor"), WIDE)
@pytest.mark.parametrize("other", [None, "columns", "whiten"])
def test_the_preprocessing_comes_before_the_cast(xp_backend, given, dtype, factor, other):
    if not xp_backend.has([given, dtype]):
        pytest.skip(f"{xp_backend.name} lacks one of these dtypes")
    if xp_backend.library == "dpnp" and dtype == "float16":
        pytest.skip("dpnp's products in float16 are wrong for subnormal numbers")
    steps = [xpnet.Scale(factor)]
    if other == "columns":
        steps.append(xpnet.Standardize(np.asarray([5.0, 6.0]), np.asarray([0.5, 2.0])))
    elif other == "whiten":
        matrix = np.asarray([[1.0, 0.5], [0.0, 2.0]])
        steps.append(xpnet.Whiten(np.asarray([0.25, 0.5]), matrix))
    layer = xpnet.Dense(np.eye(2, dtype="f4"), np.zeros(2, "f4"))
    network = xpnet.Network([layer], steps).map_arrays(xp_backend.asarray).astype(dtype)
    expected = np.asarray([[1.0, 0.25], [0.0, 0.5]]) / factor
    expected = np.floor(expected) if given in {"uint16", "int32"} else expected
    y = network(xp_backend.asarray(expected, given))
    for step in steps:
        expected = step(expected)
    found = xp_backend.check(y, dtype=dtype, shape=(2, 2))
    np.testing.assert_allclose(found, expected, rtol=2.0**-7 if dtype == "bfloat16" else 2.0**-10)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64", "float64"])
@pytest.mark.parametrize("n_rows", [50, 3000])
def test_large_numbers_keep_their_digits(xp_backend, dtype, n_rows):
    # In float32 they would be multiples of 64. Without float64 on the device, the host has it.
    layer = xpnet.Dense(np.eye(4, dtype="f4"), np.zeros(4, "f4"))
    network = xpnet.Network([layer], xpnet.Standardize(1e9, 2.0), "values")
    if xp_backend.name == "dask":
        pytest.skip("Dask images meet a NumPy network")
    rows = 10**9 + np.random.default_rng(0).integers(-5, 6, (n_rows, 4))
    there, expected = network.map_arrays(xp_backend.asarray), (rows - 1e9) / 2.0
    np.testing.assert_array_equal(xpnet.predict(there, rows.astype(dtype)), expected)
    if xp_backend.has([dtype]):
        y = there(xp_backend.asarray(rows, dtype))
        found = xp_backend.check(y, dtype="float32", shape=rows.shape)
        np.testing.assert_allclose(found, expected, atol=0 if xp_backend.has_float64 else 32)
