"""Class ids, probabilities and accuracy on every backend."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.transfer import to_numpy
from xpnet.parity.bounds.error_bound import error_bound

IMAGES, LABELS = xpnet.sample()
ROWS = IMAGES.reshape(-1, 784)
TRAINED = xpnet.load("sample")


def passing(n, output="logits", **options):
    """Return a network whose outputs are its inputs."""
    return xpnet.Network([xpnet.Dense(np.eye(n), np.zeros(n))], output=output, **options)


@pytest.mark.parametrize("n", [0, 1, 25, 26, 100])
def test_images_on_the_host_and_on_the_device(xp_backend, n):
    images, labels = IMAGES[:n], LABELS[:n]
    there = xp_backend.asarray(images, "uint8")
    network, options = TRAINED, {"batch_size": 25}
    if xp_backend.name != "dask":  # Dask images meet a NumPy network
        network = network.map_arrays(xp_backend.asarray)
        default = xp_backend.xp.__array_namespace_info__().default_dtypes(device=xp_backend.device)
        name = str(default["indexing"]).rpartition(".")[2]
        xp_backend.check(xpnet.predict(network, there, **options), dtype=name, shape=(n,))
        shares = xpnet.predict_proba(network, there, **options)
        xp_backend.check(shares, dtype="float32", shape=(n, 10))
    expected, shares = xpnet.predict(TRAINED, images), xpnet.predict_proba(TRAINED, images)
    confusion = xpnet.evaluate(TRAINED, images, labels).confusion
    for given in (images, there):
        found = xpnet.predict(network, given, **options)
        assert isinstance(found, np.ndarray) == isinstance(given, np.ndarray)
        np.testing.assert_array_equal(to_numpy(found), expected)
        found = to_numpy(xpnet.predict_proba(network, given, **options))
        np.testing.assert_allclose(found, shares, atol=1e-6)
        for answers in (labels, xp_backend.asarray(labels, "uint8")):
            found = xpnet.evaluate(network, given, answers, **options)
            np.testing.assert_array_equal(found.confusion, confusion)


FORMS = {
    "bool": lambda x: x > 100,
    "int8": lambda x: (x // 2).astype("int8"),
    "uint16": lambda x: x.astype("uint16"),
    "int64": lambda x: x.astype("int64"),
    "float16": lambda x: x.astype("float16"),
    "float32": lambda x: x.astype("float32"),
    "float64": lambda x: x.astype("float64"),
    "longdouble": lambda x: x.astype("longdouble"),
    "columns": np.asfortranarray,
    "every other": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: x[::-1, ::-1],
    "other bytes": lambda x: x.astype(">f4"),
    "images": lambda x: x.reshape(-1, 1, 28, 28),
    "list": lambda x: x.tolist(),
}


@pytest.mark.parametrize("n", [0, 1, 7, 100, 1025])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("step", [xpnet.Scale(1 / 255), xpnet.Standardize(33.0, 78.0)], ids=str)
def test_any_real_numbers_in_any_order(form, n, step):
    if n == 0 and form == "list":
        pytest.skip("a list without rows has no columns")
    network = xpnet.Network(TRAINED.layers, step, "values")
    rows = FORMS[form](np.resize(ROWS, (n, 784)))
    found = xpnet.predict(network, rows)
    last = error_bound(network, np.asarray(rows).reshape(n, 784)).stages[-1]
    assert (found.dtype, found.shape) == ("float32", (n, 10))
    assert np.all(np.abs(found - last.values) <= last.bound)


def test_probabilities_sum_to_one_and_agree_with_the_labels():
    probabilities = xpnet.predict_proba(TRAINED, IMAGES, batch_size=300)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), xpnet.predict(TRAINED, IMAGES))


@pytest.mark.parametrize(
    ("output", "x", "labels", "probabilities"),
    [
        ("logits", [-1e4, -1.0, 0.0, 1.0], [0, 0, 0, 1], [0, 0.26894142, 0.5, 0.73105858]),
        ("probabilities", [0.0, 0.2, 0.5, 0.7], [0, 0, 0, 1], [0, 0.2, 0.5, 0.7]),
    ],
)
def test_one_unit_stands_for_two_classes(xp_backend, output, x, labels, probabilities):
    network, rows = passing(1, output).astype("float32"), np.float32(x)[:, None]
    if xp_backend.name != "dask":
        network = network.map_arrays(xp_backend.asarray)
    np.testing.assert_array_equal(xpnet.predict(network, rows), labels)
    expected = np.stack([1 - np.asarray(probabilities), probabilities], axis=1)
    np.testing.assert_allclose(xpnet.predict_proba(network, rows), expected, atol=1e-7)
    assert xpnet.evaluate(network, rows, np.asarray(labels)).accuracy == 1.0


def test_probabilities_and_values_are_given_as_they_are():
    rows = np.asarray([[0.2, 0.8]])
    np.testing.assert_array_equal(xpnet.predict_proba(passing(2, "probabilities"), rows), rows)
    np.testing.assert_array_equal(xpnet.predict(passing(2, "values"), rows), rows)


@pytest.mark.parametrize(
    ("logits", "label"),
    [([1.0, 1.0, 0.0], 0), ([0.0, 0.0, 0.0], 0), ([-1e30, 1e30, 0.0], 1), ([0, 1e4, 1e4], 1)],
)
def test_ties_take_the_first(logits, label):
    assert xpnet.predict(passing(3), np.asarray([logits])) == [label]


def test_options_may_be_numpys():
    found = xpnet.predict(TRAINED, ROWS, batch_size=np.int64(7), threads=np.uint8(1))
    np.testing.assert_array_equal(found, xpnet.predict(TRAINED, ROWS))


@pytest.mark.parametrize(
    ("steps", "weight_factor", "change"),
    [
        ([xpnet.Standardize(1.7e9, 1.0)], 1.0, lambda x: x + 1.7e9),
        ([xpnet.Scale(x) for x in (1e-25, 1e-25, 1e30, 1e20)], 1e15, lambda x: x),
        ([xpnet.Scale(1e-39)], 1.0, lambda x: x * 1e39),  # beyond float32
    ],
    ids=["mean", "small and large", "beyond"],
)
def test_wide_rows_lose_no_digits_whatever_their_number(steps, weight_factor, change):
    draw = np.random.default_rng(0).normal
    weight, rows = draw(size=(6, 3)).astype(np.float32), draw(size=(3000, 6))
    expected = np.argmax(rows @ weight, axis=1)
    layer = xpnet.Dense(weight * np.float32(weight_factor), np.zeros(3, np.float32))
    network = xpnet.Network([layer], steps)
    for kind in (network, xpnet.reproducible(network)):
        for n in (1, 7, 2000, 3000):
            assert np.mean(xpnet.predict(kind, change(rows[:n])) == expected[:n]) > 0.999


@pytest.mark.parametrize("n", [5, 2100])
def test_zeros_stay_zeros_before_a_large_scale(n):
    layer = xpnet.Dense(np.ones((6, 3), np.float32), np.asarray([0, 1, 0], np.float32))
    network = xpnet.Network([layer], xpnet.Scale(1e50))
    assert set(xpnet.predict(network, np.zeros((n, 6))).tolist()) == {1}


# Factors that would move the weights out of the range of float32.
@pytest.mark.parametrize(
    ("weight", "factor"), [(2e36, 255.0), (1e-20, 1e-25), (1e38, -1e30), (1e-37, 0.1)]
)
@pytest.mark.parametrize("n", [5, 2100])
def test_no_floating_point_errors_beyond_those_of_the_rows(weight, factor, n):
    layer = xpnet.Dense(np.full((4, 2), weight, np.float32), np.zeros(2, np.float32))
    network = xpnet.Network([layer], xpnet.Scale(factor), "values")
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(xpnet.predict(network, np.zeros((n, 4), np.float32)), 0)
