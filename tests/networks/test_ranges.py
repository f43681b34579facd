"""Inputs beyond the range of the network's dtype: scaled before the cast, or rejected."""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import xpnet
from xpnet.arrays.ranges import PrecisionWarning

F16, F32, F64 = np.float16, np.float32, np.float64
RNG = np.random.default_rng(0)


def network_of(dtype, *steps, n_in=2):
    """Return a network whose outputs are its preprocessed inputs."""
    return xpnet.Network([xpnet.Dense(np.eye(n_in, dtype=dtype), np.zeros(n_in, dtype))], steps)


def on(xp_backend, network, dtype):
    return network.map_arrays(lambda x: xp_backend.asarray(x, dtype))


MEANS = xpnet.Standardize(np.asarray([5.0, 6.0]), np.asarray([0.5, 2.0]))
MATRIX = xpnet.Whiten(np.asarray([0.25, 0.5]), np.asarray([[1.0, 0.5], [0.0, 2.0]]))


@pytest.mark.parametrize(
    ("given", "dtype", "factor"),
    [
        ("float64", "float32", 1e-39),
        ("float64", "float16", 1 / 65535),
        ("float32", "float16", 1 / 65535),
        ("uint16", "float16", 1 / 65535),
        ("int32", "float16", 1 / 65535),
        ("float64", "bfloat16", 1e-39),
    ],
)
@pytest.mark.parametrize(
    "others", [(), (xpnet.Standardize(0.25, 2.0),), (MEANS,), (MATRIX,)], ids=str
)
def test_the_preprocessing_comes_before_the_cast(xp_backend, given, dtype, factor, others):
    if not xp_backend.has([given, dtype]):
        pytest.skip(f"{xp_backend.name} lacks one of these dtypes")
    if xp_backend.library == "dpnp" and dtype == "float16":
        pytest.skip("dpnp's products in float16 are wrong for subnormal numbers")
    steps = (xpnet.Scale(factor), *others)
    network = on(xp_backend, network_of("float32", *steps), "float32").astype(dtype)
    values = np.asarray([[1.0 / factor, 0.25 / factor], [0.0, 0.5 / factor]])
    if given in {"uint16", "int32"}:
        values = np.floor(values)
    rows = xp_backend.asarray(values, given)
    found = xp_backend.check(network(rows), dtype=dtype, shape=(2, 2))
    expected = values * factor
    for step in others:
        expected = step(expected)
    np.testing.assert_allclose(found, expected, rtol=2.0**-7 if dtype == "bfloat16" else 2.0**-10)


def test_the_cast_is_the_only_rounding():
    rows = RNG.normal(1e6, 1.0, (50, 4))
    step = xpnet.Standardize(1e6, 3.0)
    np.testing.assert_array_equal(network_of(F32, step, n_in=4)(rows), step(rows).astype(F32))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float16"])
def test_inputs_of_no_wider_range_are_cast_first(dtype):
    rows = RNG.integers(0, 256, (50, 4)).astype(dtype)
    step = xpnet.Standardize(33.3, 78.7)
    np.testing.assert_array_equal(network_of(F32, step, n_in=4)(rows), step(rows.astype(F32)))


@pytest.mark.parametrize(
    ("dtype", "steps", "value"),
    [
        (F32, (), F64(1e39)),
        (F16, (), F32(70000.1)),
        (F16, (), np.uint16(65535)),
        (F16, (), np.int64(-70000)),
        (F32, (xpnet.Scale(1 / 255),), F64(1e300)),
        (F32, (xpnet.Scale(255.0),), F64(1e308)),  # overflows float64 in between
        (F32, (xpnet.Scale(255.0),), F32(3e38)),
        (F16, (xpnet.Standardize(0.0, 1e-3),), np.uint8(255)),
        (F32, (xpnet.Scale(1e3), MATRIX), F64(1e36)),
        (F64, (xpnet.Scale(255.0),), F64(1e308)),
    ],
    ids=str,
)
def test_overflow_is_an_error(dtype, steps, value):
    rows = np.zeros((3, 2), value.dtype)
    rows[1, 1] = value
    name = np.dtype(dtype).name
    what = rf"leaves finite in {name}; got {value} in row 1, column 1 \(counted"
    with pytest.raises(ValueError, match=what.replace("+", r"\+")):
        network_of(dtype, *steps)(rows)


def test_one_row_and_images_of_rows():
    network = network_of(F32)
    with pytest.raises(ValueError, match=r"1e\+39 in row 0, column 1"):
        network(np.asarray([0.0, 1e39]))
    images = np.zeros((4, 5, 2))
    images[2, 3, 0] = 1e39
    with pytest.raises(ValueError, match=r"1e\+39 in row 13, column 0"):
        network(images)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_go_through(number):
    rows = np.asarray([[number, 1.0], [2.0, 3.0]])
    with np.errstate(invalid="ignore"):
        found = network_of(F32, xpnet.Scale(0.5))(rows)
    np.testing.assert_array_equal(found[1], [1.0, 1.5])
    assert not np.isfinite(found[0]).all()


def test_other_libraries_compute_with_infinity(xp_backend):
    if xp_backend.library in {"numpy", "array-api-strict", "dask"}:
        pytest.skip("these are, or compute by, NumPy")
    network = on(xp_backend, network_of("float32"), "float32")
    values = xp_backend.check(
        network(xp_backend.asarray([[1e39, 0.0]], "float64")), dtype="float32", shape=(1, 2)
    )
    assert not np.isfinite(values).all()


def test_parameters_beyond_the_dtype():
    network = network_of(F32, xpnet.Standardize(np.asarray([7e4, 0.0])))
    with pytest.raises(
        ValueError, match=r"^`preprocessing` must be finite in float16; got numbers up to 7"
    ):
        network.astype("float16")
    with pytest.raises(
        ValueError, match=r"^`parameters` must be finite in float16; got numbers up to 7"
    ):
        xpnet.Network([xpnet.Dense([[7e4]], [0.0])]).astype("float16")
    layers = network_of(F16).layers
    with pytest.raises(
        ValueError, match=r"^`preprocessing` must be finite in float16; got numbers up to 7"
    ):
        xpnet.Network(layers, xpnet.Standardize(np.asarray([7e4, 0.0])))
    wide = xpnet.Network([xpnet.Dense([[np.inf]], [1.0])])
    assert wide.astype("float16").layers[0].weight == np.inf


INTEGERS = 10**9 + RNG.integers(-5, 6, (50, 4))
NEAR = xpnet.Standardize(1e9, 2.0)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("n_rows", [50, 3000])
def test_large_integers_keep_their_digits(xp_backend, dtype, n_rows):
    # In float32 they would be multiples of 64. Without float64 on the device, the host has it.
    network = on(xp_backend, network_of(F32, NEAR, n_in=4), "float32")
    if xp_backend.name == "dask":
        pytest.skip("Dask images meet a NumPy network")
    rows = np.resize(INTEGERS, (n_rows, 4)).astype(dtype)
    found = xpnet.predict(replace(network, output="values"), rows)
    np.testing.assert_array_equal(found, (rows.astype(F64) - 1e9) / 2.0)


def test_float64_rows_keep_their_digits_on_a_device_without_it(xp_backend):
    if xp_backend.name == "dask":
        pytest.skip("Dask images meet a NumPy network")
    network = replace(on(xp_backend, network_of(F32, NEAR, n_in=4), "float32"), output="values")
    found = xpnet.predict(network, INTEGERS + 0.5)
    np.testing.assert_array_equal(found, (INTEGERS + 0.5 - 1e9) / 2.0)


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1])
def test_integers_that_float64_rounds_are_rejected(xp_backend, value):
    if xp_backend.name == "dask":
        pytest.skip("Dask images meet a NumPy network")
    rows = np.zeros((5000, 2), np.int64)
    rows[4321, 1] = value
    network = replace(on(xp_backend, network_of(F32, NEAR), "float32"), output="values")
    what = rf"at most 2\^53 in size, .*; got {value} in row 4321, column 1"
    with pytest.raises(ValueError, match=what):
        xpnet.predict(network, rows)
    rows[4321, 1] = 2**53
    assert np.isfinite(xpnet.predict(network, rows)).all()
    scaled = replace(network, preprocessing=xpnet.Scale(1e-9))  # loses no digits that count
    assert np.isfinite(xpnet.predict(scaled, rows + 2)).all()


def test_a_rounded_mean_gives_a_warning():
    mean = np.asarray([1.7e9 + 12345.678, 0.0])
    message = "means of the preprocessing are rounded to float32, which shifts its results by up to"
    for step in (xpnet.Standardize(mean, 20.0), xpnet.Whiten(mean, np.eye(2))):
        with pytest.warns(PrecisionWarning, match=message) as caught:
            network_of(F32, step)
        assert caught[0].filename == __file__
        wide = network_of(F64, step)
        with pytest.warns(PrecisionWarning, match=message):
            wide.astype("float32")
    network_of(F32, xpnet.Standardize(mean, 1e9))
    network_of(F32, xpnet.Standardize(np.asarray([33.3, 0.1]), np.asarray([78.7, 0.3])))


def test_whitening_that_overflows_in_another_thread_of_blas():
    n_in = 256
    network = network_of(F32, xpnet.Whiten(np.zeros(n_in), np.eye(n_in) * 1e30), n_in=n_in)
    rows = np.ones((2000, n_in), F32)
    rows[-1] = 1e9  # of the second half, computed by another thread
    with threadpool_limits(2), pytest.raises(ValueError, match="in row 1999, column"):
        network(rows)
