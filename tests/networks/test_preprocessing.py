"""Preprocessing steps on every backend."""

import math

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import device_of
from xpnet.arrays.transfer import to_numpy
from xpnet.networks import column_statistics
from xpnet.networks.whitening import _eigenvalues


def test_scale_multiplies(xp_backend):
    result = xpnet.Scale(1 / 255)(xp_backend.asarray([0.0, 51.0, 255.0]))
    values = xp_backend.check(result, dtype="float32", shape=(3,))
    np.testing.assert_allclose(values, [0, 0.2, 1], rtol=1e-6)


def test_scale_takes_bytes_to_floats():
    np.testing.assert_array_equal(xpnet.Scale(2)(np.uint8([200])), [400.0])


@pytest.mark.parametrize("factor", [0, math.inf, math.nan])
def test_invalid_factors(factor):
    with pytest.raises(ValueError, match=f"finite and not zero; got {float(factor)}"):
        xpnet.Scale(factor)


def test_steps_are_values():
    assert xpnet.Scale(2) == xpnet.Scale(2.0)


@pytest.mark.parametrize(
    ("factor", "representation", "text"),
    [
        (1 / 255, "Scale(1 / 255)", "pixels / 255"),
        (1 / 49, "Scale(1 / 49)", "pixels / 49"),  # 1 / (1 / 49) is not 49
        (-1 / 255, "Scale(1 / -255)", "pixels / -255"),
        (np.nextafter(1 / 255, 1), "Scale(0.003921568627450981)", "pixels * 0.003921568627450981"),
        (0.5, "Scale(0.5)", "pixels * 0.5"),
        (2, "Scale(2.0)", "pixels * 2"),
        (1e-16, "Scale(1e-16)", "pixels * 1e-16"),
        (1e-320, "Scale(1e-320)", "pixels * 1e-320"),  # its reciprocal is infinite
    ],
)
def test_a_scale_is_shown_to_the_last_bit(factor, representation, text):
    step = xpnet.Scale(factor)
    assert (repr(step), str(step)) == (representation, text)


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
def test_invalid_means_and_scales(arguments, error, text):
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
        (
            xpnet.Whiten(np.zeros(4), np.eye(4)),
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


def fitted(backend, step, n_in):
    """Return the arrays of a step, after checking that they have the widest dtype."""
    dtype = "float64" if backend.has_float64 else "float32"
    shapes = {"mean": (n_in,), "scale": (n_in,), "matrix": (n_in, n_in)}
    arrays = {name: getattr(step, name) for name in shapes if hasattr(step, name)}
    found = [backend.check(x, dtype=dtype, shape=shapes[name]) for name, x in arrays.items()]
    return (*found, 1e-12 if backend.has_float64 else 2e-5)


def whitening(x, method, epsilon):
    """Return the whitening matrix by NumPy's covariance and singular values."""
    components, variances, _ = np.linalg.svd(np.cov(x.T, bias=True))
    gains = (variances + epsilon * variances.mean()) ** -0.5
    if method == "zca":
        return components * gains @ components.T
    largest = np.argmax(np.abs(components), axis=0)
    return components * gains * np.sign(components[largest, range(len(gains))])


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int16", "bool"])
def test_standardize_is_fitted_as_numpy_does(backend, dtype):
    x = np.abs(40 * TABLE).astype(dtype)
    x[:, 3] = 1  # a column of equal numbers has the scale 1
    step = xpnet.Standardize.fit(backend.asarray(x, dtype))
    mean, scale, rtol = fitted(backend, step, 5)
    np.testing.assert_allclose(mean, np.mean(x, axis=0, dtype=float), rtol=rtol)
    deviations = np.std(x, axis=0, dtype=float)
    np.testing.assert_allclose(scale, np.where(deviations > 0, deviations, 1), rtol=rtol)
    assert (mean[3], scale[3]) == (1, 1)


@METHODS
@pytest.mark.parametrize("epsilon", [0.0, 1e-3, 0.5])
def test_whiten_is_fitted_as_numpy_would(backend, method, epsilon):
    x = TABLE.astype("float32")
    step = xpnet.Whiten.fit(backend.asarray(x), method=method, epsilon=epsilon)
    mean, matrix, tolerance = fitted(backend, step, 5)
    x = x.astype(float)
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=tolerance)
    expected = whitening(x, method, epsilon)
    atol = 100 * tolerance * np.abs(expected).max()
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=atol)
    white = (x - mean) @ matrix
    variances = np.linalg.eigvalsh(np.cov(x.T, bias=True))
    shares = variances / (variances + epsilon * variances.mean())
    covariance = np.cov(white.T, bias=True)
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance), shares, atol=1e4 * tolerance)
    if epsilon == 0.0:
        np.testing.assert_allclose(covariance, np.eye(5), atol=1e4 * tolerance)
    elif method == "pca":  # the largest first
        np.testing.assert_allclose(np.diag(covariance), shares[::-1], atol=1e4 * tolerance)


@METHODS
def test_whiten_subtracts_and_multiplies(xp_backend, method):
    host = xpnet.Whiten.fit(TABLE, method=method)
    step = xpnet.Whiten(xp_backend.asarray(host.mean), xp_backend.asarray(host.matrix))
    values = xp_backend.check(step(xp_backend.asarray(TABLE)), dtype="float32", shape=(40, 5))
    np.testing.assert_allclose(values, (TABLE - host.mean) @ host.matrix, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_whiten_takes_other_precisions_than_its_own(backend, dtype):
    step = xpnet.Whiten.fit(backend.asarray(TABLE))
    x = backend.asarray(TABLE, dtype)
    found = to_numpy(step(x))
    host = xpnet.Whiten.fit(np.float32(TABLE))
    expected = (TABLE.astype(dtype).astype(float) - host.mean) @ host.matrix
    np.testing.assert_allclose(found, expected, atol=1e-2 if dtype == "float16" else 1e-4)


@FITS
def test_the_number_of_chunks_makes_no_difference(backend, fit, monkeypatch):
    x = backend.asarray(TABLE)
    at_once = fitted(backend, fit(x), 5)
    for n_numbers in (1, 5, 35):
        monkeypatch.setattr(column_statistics, "_CHUNK", n_numbers)
        *found, tolerance = fitted(backend, fit(x), 5)
        for one, other in zip(found, at_once[:-1], strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=100 * tolerance)


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


def test_columns_of_one_number_become_0():
    x = np.full((1000, 3), [0.1, 1e30, -7.0])
    step = xpnet.Standardize.fit(x)
    assert step.scale.tolist() == [1, 1, 1]
    assert not np.any(step(x))


def test_one_row_becomes_0():
    step = xpnet.Standardize.fit(np.asarray([[3, 4]], np.uint8))
    assert (step.mean.tolist(), step.scale.tolist()) == ([3, 4], [1, 1])


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_no_square_overflows_or_vanishes(size):
    x = size * TABLE
    np.testing.assert_allclose(xpnet.Standardize.fit(x).scale / size, TABLE.std(axis=0))
    expected = xpnet.Whiten.fit(TABLE).matrix
    np.testing.assert_allclose(xpnet.Whiten.fit(x).matrix * size, expected, rtol=1e-9)


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
def test_the_first_of_equal_numbers_of_a_component_is_positive(backend, sign):
    x = backend.asarray(sign * np.asarray([[3.0, -3.0], [-3.0, 3.0], [1.0, 1.0], [-1.0, -1.0]]))
    step = xpnet.Whiten.fit(x, method="pca", epsilon=0.0)
    _, matrix, tolerance = fitted(backend, step, 2)
    np.testing.assert_allclose(matrix, [[1 / 3, 1], [-1 / 3, 1]] / np.sqrt(2), atol=10 * tolerance)


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


@pytest.mark.parametrize(
    ("mean", "matrix", "error", "text"),
    [
        (0.0, np.eye(3), ValueError, r"`mean` must have the shape \(n_in,\); got \(\)"),
        (np.eye(3), np.eye(3), ValueError, r"`mean` must have the shape \(n_in,\); got \(3, 3\)"),
        (np.zeros(3), np.zeros((3, 2)), ValueError, r"`matrix` must have the shape \(3, 3\)"),
        (np.zeros(3), np.zeros(3), ValueError, r"the shape \(3, 3\); got \(3,\)"),
        (np.zeros(3), 1j * np.eye(3), TypeError, "`matrix` must hold real numbers"),
        (np.zeros(3), "eye", TypeError, "`matrix` must be an array"),
    ],
    ids=map(str, range(6)),
)
def test_invalid_means_and_matrices(mean, matrix, error, text):
    with pytest.raises(error, match=text):
        xpnet.Whiten(mean, matrix)


def test_whiten_shows_no_arrays():
    assert repr(xpnet.Whiten(np.zeros(784), np.eye(784))) == "Whiten(784 means, 784 x 784)"


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
    assert host.plan.rows_on_one_thread == 0


MATRIX = np.asarray([[2.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 1.0]])


@pytest.mark.parametrize("is_on_host", [False, True])
def test_eigenvalues_and_eigenvectors_reproduce_the_matrix(xp_backend, monkeypatch, is_on_host):
    if xp_backend.library == "dask":
        pytest.skip("Dask has no eigenvalues")
    if is_on_host:  # as CuPy's are
        monkeypatch.setattr("xpnet.networks.whitening.library_of", lambda _: "cupy")
    matrix = xp_backend.asarray(MATRIX, "float32")
    values, vectors = _eigenvalues(matrix)
    for x in (values, vectors):
        assert x.dtype == matrix.dtype
        assert device_of(x) == device_of(matrix)
    values, vectors = to_numpy(values), to_numpy(vectors)
    assert np.all(np.diff(values) > 0)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, MATRIX, atol=1e-5)
