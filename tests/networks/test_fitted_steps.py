"""Steps fitted to data, against NumPy's statistics."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.transfer import to_numpy

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(40, 5)) @ RANDOM.normal(size=(5, 5)) + RANDOM.normal(size=5)
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
    for name, x in vars(step).items():
        assert (type(x), x.dtype, x.shape) == (np.ndarray, np.float64, shapes[name])
    return vars(step).values()


def assert_same(found, expected, rtol):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol)


def whitening(x, epsilon):
    """Return the whitening matrix by NumPy's covariance and singular values."""
    components, variances, _ = np.linalg.svd(np.cov(x.T, bias=True))
    gains = (variances + epsilon * variances.mean()) ** -0.5
    return components * gains @ components.T


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int16", "bool"])
def test_standardize_is_fitted_as_numpy_does(backend, dtype):
    x = np.abs(40 * TABLE).astype(dtype)
    x[:, 3] = 1  # a column of equal numbers has the scale 1
    given = x if dtype == "float16" else backend.asarray(x, dtype)
    x = to_numpy(given).astype(float)  # without float64 on a device, float32
    deviations = np.std(x, axis=0)
    expected = np.mean(x, axis=0), np.where(deviations > 0, deviations, 1)
    assert_same(fitted(xpnet.Standardize.fit(given), 5), expected, 1e-12)


@pytest.mark.parametrize("epsilon", [0.0, 1e-3, 0.5])
def test_whiten_is_fitted_as_numpy_would(backend, epsilon):
    x = TABLE.astype("float32")
    step = xpnet.Whiten.fit(backend.asarray(x), epsilon=epsilon)
    mean, matrix = fitted(step, 5)
    x = x.astype(float)
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12)
    expected = whitening(x, epsilon)
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-10 * np.abs(expected).max())
    covariance = np.cov(((x - mean) @ matrix).T, bias=True)
    if epsilon == 0.0:
        np.testing.assert_allclose(covariance, np.eye(5), atol=1e-8)


@pytest.mark.parametrize("shape", [(250_000, 5), (2, 600_000)], ids=str)
def test_more_numbers_than_are_converted_at_once(shape):
    x = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    x[1] = 255 - x[0]  # no column is constant
    expected = x.mean(axis=0), x.std(axis=0)
    assert_same(fitted(xpnet.Standardize.fit(x), shape[1]), expected, 1e-12)
    if shape[1] == 5:
        np.testing.assert_allclose(xpnet.Whiten.fit(x).matrix, whitening(x, 0.1), 1e-9, 1e-9)


@FITS
def test_fitting_leaves_the_data_unchanged(fit, tmp_path):
    x = TABLE.copy()
    x.flags.writeable = False
    np.save(tmp_path / "x.npy", x)
    images = x.reshape(40, 5, 1)
    for given in (x, np.load(tmp_path / "x.npy", mmap_mode="r"), np.asfortranarray(x), images):
        assert_same(fitted(fit(given), 5), fitted(fit(TABLE), 5), 1e-9)
    np.testing.assert_array_equal(x, TABLE)


@FITS
def test_sizes(fit):
    mean, other = fitted(fit(TABLE), 5)
    for size in (1e-150, 1e150):
        power = size if other.ndim == 1 else 1 / size
        assert_same(fitted(fit(size * TABLE), 5), (size * mean, power * other), 1e-9)


def test_columns_of_one_number_become_0():
    for x in (np.full((1000, 3), [0.1, 1e30, -7.0]), np.uint8([[3, 4]])):
        step = xpnet.Standardize.fit(x)
        assert set(step.scale) == {1}
        assert not np.any(step(x))
    x = np.concatenate((TABLE, np.zeros((40, 2))), axis=1)  # pixels that are always black
    np.testing.assert_allclose(xpnet.Whiten.fit(x)(x)[:, 5:], 0, atol=1e-12)


def test_deviations_that_are_small_against_the_mean():
    x = 1e9 + np.arange(8.0)[:, None]  # the mean of squares less the square of the mean is 0
    np.testing.assert_allclose(xpnet.Standardize.fit(x).scale, np.std(np.arange(8)), rtol=1e-15)
