"""Preprocessing steps on every backend."""

import math

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace
from xpnet.arrays.transfer import to_numpy
from xpnet.networks import column_statistics


def test_scale_multiplies(xp_backend):
    result = xpnet.Scale(1 / 255)(xp_backend.asarray([0.0, 51.0, 255.0]))
    values = xp_backend.check(result, dtype="float32", shape=(3,))
    np.testing.assert_allclose(values, [0, 0.2, 1], rtol=1e-6)


def test_scale_takes_bytes_to_floats():
    np.testing.assert_array_equal(xpnet.Scale(2)(np.uint8([200])), [400.0])


def test_steps_are_values():
    assert xpnet.Scale(2) == xpnet.Scale(2.0)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (xpnet.Scale(1 / 255), "Scale(1 / 255)"),
        (xpnet.Scale(1 / 49), "Scale(1 / 49)"),  # 1 / (1 / 49) is not 49
        (xpnet.Scale(-1 / 255), "Scale(1 / -255)"),
        (xpnet.Scale(np.nextafter(1 / 255, 1)), "Scale(0.003921568627450981)"),
        (xpnet.Scale(2), "Scale(2.0)"),
        (xpnet.Scale(1e-16), "Scale(1e-16)"),
        (xpnet.Scale(1e-320), "Scale(1e-320)"),  # its reciprocal is infinite
        (xpnet.Standardize(np.zeros(784), 2), "Standardize(784 means, scale=2.0)"),
        (xpnet.Standardize(), "Standardize(mean=0.0, scale=1.0)"),
        (xpnet.Whiten(np.zeros(784), np.eye(784)), "Whiten(784 means, 784 x 784)"),
    ],
    ids=range(10),
)
def test_a_step_is_shown_to_the_last_bit_and_without_arrays(step, expected):
    assert repr(step) == expected


EYE = np.eye(3)


def with_steps(*steps):
    return xpnet.Network([xpnet.Dense(np.ones((3, 1)), np.zeros(1))], steps)


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


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: xpnet.Scale(0), ValueError, "finite and not zero; got 0.0"),
        (lambda: xpnet.Scale(math.inf), ValueError, "finite and not zero; got inf"),
        (lambda: xpnet.Scale(math.nan), ValueError, "finite and not zero; got nan"),
        (lambda: xpnet.Standardize(0.0, 0.0), ValueError, "`scale` must be finite and not zero"),
        (lambda: xpnet.Standardize(math.nan), ValueError, "`mean` must be finite; got nan"),
        (lambda: xpnet.Standardize(EYE), ValueError, r"`mean` .*\(n_in,\); got \(3, 3\)"),
        (lambda: xpnet.Standardize(0.0, EYE[0]), ValueError, "`scale` must not be zero.*input 1"),
        (lambda: xpnet.Standardize(EYE[0] / 0), ValueError, "`mean` must be finite"),
        (lambda: xpnet.Standardize(0.0, np.asarray(2.0)), ValueError, r"`scale` .*got \(\)"),
        (lambda: xpnet.Standardize("1"), TypeError, "`mean` must be an array"),
        (lambda: xpnet.Standardize(1j), TypeError, "`mean` must hold real numbers"),
        (lambda: xpnet.Whiten(0.0, EYE), ValueError, r"`mean` .*got \(\)"),
        (lambda: xpnet.Whiten(EYE, EYE), ValueError, r"`mean` .*got \(3, 3\)"),
        (lambda: xpnet.Whiten(EYE[0], EYE[:2]), ValueError, r"`matrix` .*\(3, 3\); got \(2, 3\)"),
        (lambda: xpnet.Whiten(EYE[0], EYE[0]), ValueError, r"`matrix` .*\(3, 3\); got \(3,\)"),
        (lambda: xpnet.Whiten(EYE[0], EYE / 0), ValueError, "`matrix` must be finite"),
        (lambda: xpnet.Whiten(EYE[0], 1j * EYE), TypeError, "`matrix` must hold real numbers"),
        (lambda: xpnet.Whiten(EYE[0], "eye"), TypeError, "`matrix` must be an array"),
        (lambda: with_steps(xpnet.Standardize(np.zeros(4))), ValueError, r"of 3 .*got .*\(4,\)"),
        (lambda: with_steps(xpnet.Whiten(np.zeros(4), np.eye(4))), ValueError, r"got .*\(4,\)"),
        (lambda: with_steps("scale"), TypeError, "steps such as Scale; got str"),
    ],
    ids=range(21),
)
def test_invalid_steps(make, error, text):
    with np.errstate(all="ignore"), pytest.raises(error, match=text):
        make()


def test_a_network_keeps_the_arrays_of_its_steps_with_its_own(xp_backend):
    layer = xpnet.Dense(xp_backend.asarray([[1.0], [2.0], [3.0]]), xp_backend.asarray([0.5]))
    step = xpnet.Standardize(xp_backend.asarray(MEANS), xp_backend.asarray(SCALES))
    network = xpnet.Network([layer], preprocessing=step)
    result = network(xp_backend.asarray([[3.0, -1.0, 0.0]]))
    values = xp_backend.check(result, dtype="float32", shape=(1, 1))
    np.testing.assert_array_equal(values, [[1.0 + 2.0 * 2.0 + 3.0 * 0.125 + 0.5]])
    there = network.to("cpu").preprocessing[0]
    assert [type(x) for x in (there.mean, there.scale)] == [np.ndarray, np.ndarray]


def test_a_network_keeps_copies_in_the_dtype_of_its_layers():
    mean = np.asarray(MEANS)
    layer = xpnet.Dense(np.ones((3, 1), np.float32), np.zeros(1, np.float32))
    network = xpnet.Network([layer], preprocessing=xpnet.Standardize(mean, 2.0))
    step, x = network.preprocessing[0], np.ones((2, 3))
    before = network(x)
    mean[:] = 99.0
    np.testing.assert_array_equal(network(x), before)
    assert (step.mean.dtype, step.scale) == (np.float32, 2.0)
    with pytest.raises(ValueError, match="read-only"):
        step.mean[0] = 0.0


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(
    "step",
    [
        xpnet.Standardize(np.asarray([1e39, 0.0])),
        xpnet.Standardize(0.0, np.asarray([1e39, 1.0])),
        xpnet.Standardize(0.0, np.asarray([1e-50, 1.0])),
        xpnet.Whiten(np.asarray([1e39, 0.0]), np.eye(2)),
        xpnet.Whiten(np.zeros(2), 1e39 * np.eye(2)),
    ],
    ids=range(5),
)
def test_numbers_beyond_the_dtype_of_a_network(step, dtype):
    network = xpnet.Network([xpnet.Dense(np.eye(2), np.zeros(2))], step)  # in float64
    for make in (
        lambda: network.astype(dtype),
        lambda: xpnet.Network([xpnet.Dense(np.eye(2, dtype=dtype), np.zeros(2, dtype))], step),
    ):
        with pytest.raises(ValueError, match=r"finite|zero"):
            make()


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
    values = np.asarray([[1.0, 0.25], [0.0, 0.5]]) / factor
    values = np.floor(values) if given in {"uint16", "int32"} else values
    found = xp_backend.check(network(xp_backend.asarray(values, given)), dtype=dtype, shape=(2, 2))
    expected = values
    for step in steps:
        expected = step(expected)
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


RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(40, 5)) @ RANDOM.normal(size=(5, 5)) + RANDOM.normal(size=5)
PIXELS = RANDOM.integers(0, 256, (40, 3, 2), np.uint8)
METHODS = pytest.mark.parametrize("method", ["zca", "pca"])
FITS = pytest.mark.parametrize(
    "fit", [xpnet.Standardize.fit, xpnet.Whiten.fit], ids=["standardize", "whiten"]
)


@pytest.fixture
def backend(xp_backend):
    """Return a backend whose arrays are in memory."""
    if xp_backend.library == "dask":
        pytest.skip("Dask arrays are refused, which another test shows")
    return xp_backend


def fitted(step, n_in):
    """Return the arrays of a step, after checking that they are NumPy's, of float64."""
    shapes = {"mean": (n_in,), "scale": (n_in,), "matrix": (n_in, n_in)}
    arrays = {name: getattr(step, name) for name in shapes if hasattr(step, name)}
    for name, x in arrays.items():
        assert (type(x), x.dtype, x.shape) == (np.ndarray, np.float64, shapes[name])
    return arrays.values()


def whitening(x, method, epsilon):
    """Return the whitening matrix by NumPy's covariance and singular values."""
    components, variances, _ = np.linalg.svd(np.cov(x.T, bias=True))
    gains = (variances + epsilon * variances.mean()) ** -0.5
    if method == "zca":
        return components * gains @ components.T
    largest = np.argmax(np.abs(components), axis=0)
    return components * gains * np.sign(components[largest, range(len(gains))])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int16", "bool"])
def test_standardize_is_fitted_as_numpy_does(backend, dtype):
    x = np.abs(40 * TABLE).astype(dtype)
    x[:, 3] = 1  # a column of equal numbers has the scale 1
    given = x if dtype == "float16" else backend.asarray(x, dtype)
    x = to_numpy(given).astype(float)  # without float64 on a device, float32
    mean, scale = fitted(xpnet.Standardize.fit(given), 5)
    np.testing.assert_allclose(mean, np.mean(x, axis=0), rtol=1e-12)
    deviations = np.std(x, axis=0)
    np.testing.assert_allclose(scale, np.where(deviations > 0, deviations, 1), rtol=1e-12)
    assert (mean[3], scale[3]) == (1, 1)


@METHODS
@pytest.mark.parametrize("epsilon", [0.0, 1e-3, 0.5])
def test_whiten_is_fitted_as_numpy_would(backend, method, epsilon):
    x = TABLE.astype("float32")
    step = xpnet.Whiten.fit(backend.asarray(x), method=method, epsilon=epsilon)
    mean, matrix = fitted(step, 5)
    x = x.astype(float)
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12)
    expected = whitening(x, method, epsilon)
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-10 * np.abs(expected).max())
    white = (x - mean) @ matrix
    variances = np.linalg.eigvalsh(np.cov(x.T, bias=True))
    shares = variances / (variances + epsilon * variances.mean())
    covariance = np.cov(white.T, bias=True)
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance), shares, atol=1e-8)
    if epsilon == 0.0:
        np.testing.assert_allclose(covariance, np.eye(5), atol=1e-8)
    elif method == "pca":  # the largest first
        np.testing.assert_allclose(np.diag(covariance), shares[::-1], atol=1e-8)


ROWS = np.asarray([[1.0, 2.0, 4.0, 0.0, 3.0], [255.0, 7.0, 0.0, 9.0, 100.0]])


@FITS
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "float64"])
def test_a_fitted_step_takes_rows_of_any_library_and_dtype(xp_backend, fit, dtype):
    step, xp = fit(TABLE), xp_backend.xp
    rows = xp_backend.asarray(ROWS, dtype if dtype != "float16" else "float32")
    is_half = dtype == "float16" and hasattr(xp, dtype)
    found = step(xp.astype(rows, xp.float16) if is_half else rows)
    assert xp_backend.xp is array_namespace(found)
    expected = ROWS - step.mean
    expected = expected / step.scale if hasattr(step, "scale") else expected @ step.matrix
    unit = 2.0**-11 if is_half else 2.0**-24  # of numbers up to 255, five of them in a sum
    np.testing.assert_allclose(to_numpy(found), expected, rtol=4 * unit, atol=2000 * unit)


@FITS
def test_the_number_of_chunks_makes_no_difference(fit, monkeypatch):
    at_once = fitted(fit(TABLE), 5)
    for n_numbers in (1, 5, 35):
        monkeypatch.setattr(column_statistics, "_CHUNK", n_numbers)
        for one, other in zip(fitted(fit(TABLE), 5), at_once, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)


@FITS
def test_pixels_are_columns(fit):
    one, other = fit(PIXELS), fit(PIXELS.reshape(40, 6).astype(float))
    for name in ("mean", "scale", "matrix"):
        if hasattr(one, name):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@FITS
def test_fitting_leaves_the_data_unchanged(fit, tmp_path):
    x = TABLE.copy()
    x.flags.writeable = False
    np.save(tmp_path / "x.npy", x)
    for given in (x, np.load(tmp_path / "x.npy", mmap_mode="r"), np.asfortranarray(x)):
        step = fit(given)
        assert type(step.mean) is np.ndarray
        assert step.mean.flags.writeable
        np.testing.assert_allclose(step.mean, TABLE.mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(x, TABLE)


@pytest.mark.parametrize("x", [np.full((1000, 3), [0.1, 1e30, -7.0]), np.uint8([[3, 4]])], ids=len)
def test_columns_of_one_number_become_0(x):
    step = xpnet.Standardize.fit(x)
    assert set(step.scale) == {1}
    assert not np.any(step(x))


@FITS
@pytest.mark.parametrize("size", [1e-300, 1e160, 1e300])
def test_a_square_that_overflows_or_vanishes_is_an_error(fit, size):
    with pytest.raises(ValueError, match="`"):
        fit(size * TABLE)


@FITS
@pytest.mark.parametrize("size", [1e-150, 1e150])
def test_no_other_size_matters(fit, size):
    for one, other in zip(fitted(fit(size * TABLE), 5), fitted(fit(TABLE), 5), strict=True):
        power = size if one.ndim == 1 else 1 / size
        np.testing.assert_allclose(one / power, other, rtol=1e-9)


def test_deviations_that_are_small_against_the_mean():
    x = 1e9 + np.arange(8.0)[:, None]  # the mean of squares less the square of the mean is 0
    np.testing.assert_allclose(xpnet.Standardize.fit(x).scale, np.std(np.arange(8)), rtol=1e-15)


def test_pixels_that_are_always_black_stay_0():
    x = np.concatenate((TABLE, np.zeros((40, 2))), axis=1)
    step = xpnet.Whiten.fit(x)
    assert np.isfinite(step.matrix).all()
    np.testing.assert_allclose(step(x)[:, 5:], 0, atol=1e-12)
    message = "`epsilon` must be larger where not all components vary; got 0.0"
    with pytest.raises(ValueError, match=message):
        xpnet.Whiten.fit(x, epsilon=0.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_first_of_equal_numbers_of_a_component_is_positive(sign):
    x = sign * np.asarray([[3.0, -3.0], [-3.0, 3.0], [1.0, 1.0], [-1.0, -1.0]])
    _, matrix = fitted(xpnet.Whiten.fit(x, method="pca", epsilon=0.0), 2)
    np.testing.assert_allclose(matrix, [[1 / 3, 1], [-1 / 3, 1]] / np.sqrt(2), atol=1e-12)


@FITS
@pytest.mark.parametrize(
    ("x", "error", "text"),
    [
        (np.zeros((0, 3)), ValueError, r"with rows and columns; got \(0, 3\)"),
        (np.zeros((3, 0)), ValueError, r"with rows and columns; got \(3, 0\)"),
        (np.zeros(3), ValueError, r"with rows and columns; got \(3,\)"),
        (np.zeros((3, 2), complex), TypeError, "`x` must hold real numbers; got dtype complex128"),
        (np.zeros((3, 2), "U1"), TypeError, "`x` must hold real numbers; got dtype <U1"),
        ("abc", TypeError, "`x` must be an array"),
        ([[1.0, math.nan], [2.0, 3.0]], ValueError, "got others in 1 columns"),
        ([[1.0, math.inf], [2.0, 3.0]], ValueError, "got others in 1 columns"),
        ([[1.0, 3.0], [-math.inf, math.nan]], ValueError, "got others in 2 columns"),
        ([[1e308, 3.0], [-1e308, 4.0]], ValueError, "finite numbers with a finite sum; got others"),
    ],
    ids=map(str, range(10)),
)
def test_invalid_training_data(fit, x, error, text):
    with pytest.raises(error, match=text):
        fit(x)


@FITS
def test_dask_arrays_are_rejected(fit):
    array = pytest.importorskip("dask.array", reason="dask is not installed")
    with pytest.raises(TypeError, match="`x` must be in memory; got a dask array"):
        fit(array.from_array(TABLE))


@pytest.mark.parametrize(
    ("x", "options", "text"),
    [
        (np.ones((3, 2)), {}, "`x` must have rows that differ; got 3 equal ones"),
        (np.ones((1, 2)), {}, "`x` must have rows that differ; got 1 equal ones"),
        (TABLE, {"method": "ica"}, "`method` must be zca or pca; got 'ica'"),
        (TABLE, {"epsilon": -0.1}, "`epsilon` must be finite and not negative; got -0.1"),
        (TABLE, {"epsilon": math.nan}, "`epsilon` must be finite and not negative; got nan"),
        (TABLE[:4], {"epsilon": 0.0}, "`epsilon` must be larger where not all components vary"),
    ],
    ids=map(str, range(6)),
)
def test_invalid_options_of_whitening(x, options, text):
    with pytest.raises(ValueError, match=text):
        xpnet.Whiten.fit(x, **options)


def test_a_network_whitens(xp_backend):
    host = xpnet.Network(
        [xpnet.Dense(np.eye(5, 2, dtype="f4"), np.zeros(2, "f4"))], xpnet.Whiten.fit(TABLE)
    )
    step = host.preprocessing[0]
    assert step.mean.dtype == step.matrix.dtype == np.float32
    network = host.map_arrays(xp_backend.asarray)
    values = xp_backend.check(network(xp_backend.asarray(TABLE)), dtype="float32", shape=(40, 2))
    np.testing.assert_allclose(values, ((TABLE - step.mean) @ step.matrix)[:, :2], atol=1e-4)
    assert host.multiplications == 25 + 10
