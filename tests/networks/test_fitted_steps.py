"""Steps fitted to data, against NumPy's statistics."""

import math

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace
from xpnet.arrays.transfer import to_numpy
from xpnet.networks import column_statistics

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


def assert_same(found, expected, rtol, **options):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol, **options)


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
    at_once = list(fitted(fit(TABLE), 5))
    for n_numbers in (1, 5, 35):
        monkeypatch.setattr(column_statistics, "_CHUNK", n_numbers)
        assert_same(fitted(fit(TABLE), 5), at_once, 0.0, atol=1e-10)


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
    pixels, columns = fit(PIXELS), fit(PIXELS.reshape(40, 6).astype(float))
    assert_same(fitted(pixels, 6), fitted(columns, 6), 0.0)


@pytest.mark.parametrize("x", [np.full((1000, 3), [0.1, 1e30, -7.0]), np.uint8([[3, 4]])], ids=len)
def test_columns_of_one_number_become_0(x):
    step = xpnet.Standardize.fit(x)
    assert set(step.scale) == {1}
    assert not np.any(step(x))


@FITS
def test_sizes(fit):
    for size in (1e-300, 1e160, 1e300):  # whose square vanishes or overflows
        with pytest.raises(ValueError, match="`"):
            fit(size * TABLE)
    mean, other = fitted(fit(TABLE), 5)
    for size in (1e-150, 1e150):
        power = size if other.ndim == 1 else 1 / size
        assert_same(fitted(fit(size * TABLE), 5), (size * mean, power * other), 1e-9)


def test_deviations_that_are_small_against_the_mean():
    x = 1e9 + np.arange(8.0)[:, None]  # the mean of squares less the square of the mean is 0
    np.testing.assert_allclose(xpnet.Standardize.fit(x).scale, np.std(np.arange(8)), rtol=1e-15)


def test_pixels_that_are_always_black_stay_0():
    x = np.concatenate((TABLE, np.zeros((40, 2))), axis=1)
    step = xpnet.Whiten.fit(x)
    assert np.isfinite(step.matrix).all()
    np.testing.assert_allclose(step(x)[:, 5:], 0, atol=1e-12)
    with pytest.raises(ValueError, match="`epsilon`"):
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
        (np.zeros((0, 3)), ValueError, r"\(0, 3\)"),
        (np.zeros((3, 0)), ValueError, r"\(3, 0\)"),
        (np.zeros(3), ValueError, r"\(3,\)"),
        (np.zeros((3, 2), complex), TypeError, "complex128"),
        ("abc", TypeError, "`x`"),
        ([[1.0, 3.0], [-math.inf, math.nan]], ValueError, "2 columns"),
        ([[1.0, math.nan], [2.0, 3.0]], ValueError, "1 columns"),
        ([[1e308, 3.0], [-1e308, 4.0]], ValueError, "finite"),
    ],
    ids=map(str, range(8)),
)
def test_invalid_training_data(fit, x, error, text):
    with pytest.raises(error, match=text):
        fit(x)


@FITS
def test_dask_arrays_are_rejected(fit):
    array = pytest.importorskip("dask.array", reason="dask is not installed")
    with pytest.raises(TypeError, match="dask"):
        fit(array.from_array(TABLE))


@pytest.mark.parametrize(
    ("x", "options", "text"),
    [
        (np.ones((3, 2)), {}, "3 equal"),
        (np.ones((1, 2)), {}, "1 equal"),
        (TABLE, {"method": "ica"}, "ica"),
        (TABLE, {"epsilon": -0.1}, "`epsilon`"),
        (TABLE, {"epsilon": math.nan}, "`epsilon`"),
        (TABLE[:4], {"epsilon": 0.0}, "`epsilon`"),
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
