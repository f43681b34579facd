"""Class ids, probabilities and accuracy on every backend."""

import dataclasses
import math

import numpy as np
import pytest

import xpnet
from xpnet.inference.predict import most_probable


@pytest.fixture(scope="module")
def trained():
    return xpnet.load("sample")


@pytest.fixture(scope="module")
def digits():
    return xpnet.sample()


@pytest.mark.parametrize("batch_size", [1, 7, 100, 1000, 10_000, None])
def test_the_batch_size_does_not_matter(trained, digits, batch_size):
    images, _ = digits
    np.testing.assert_array_equal(
        xpnet.predict(trained, images, batch_size=batch_size),
        np.argmax(trained(images.reshape(-1, 784)), axis=1),
    )


def test_host_bytes_meet_a_network_on_any_device(xp_backend, trained, digits):
    if xp_backend.name == "dask":
        pytest.skip("Dask is not a device: Dask images meet a NumPy network, see test_lazy")
    images = digits[0][:60]
    labels = xpnet.predict(trained.map_arrays(xp_backend.asarray), images, batch_size=25)
    assert isinstance(labels, np.ndarray)
    assert labels.dtype.kind == "i"
    np.testing.assert_array_equal(labels, xpnet.predict(trained, images))


def test_images_of_the_networks_library_stay_there(xp_backend, trained, digits):
    if xp_backend.name == "dask":
        pytest.skip("Dask images meet a NumPy network, see test_lazy")
    images = xp_backend.asarray(digits[0][:60], "uint8")
    network = trained.map_arrays(xp_backend.asarray)
    labels = xpnet.predict(network, images, batch_size=25)
    default = xp_backend.xp.__array_namespace_info__().default_dtypes(device=xp_backend.device)
    name = str(default["indexing"]).rpartition(".")[2]
    values = xp_backend.check(labels, dtype=name, shape=(60,))
    np.testing.assert_array_equal(values, xpnet.predict(trained, digits[0][:60]))
    xp_backend.check(
        xpnet.predict_proba(network, images, batch_size=25), dtype="float32", shape=(60, 10)
    )


def test_an_iterator_is_not_read_ahead(trained, digits):
    taken = []

    def blocks():
        for start in range(0, 1000, 100):
            taken.append(start)
            yield digits[0][start : start + 100], digits[1][start : start + 100]

    seen = []

    class Watched:
        def __init__(self, pairs):
            self.pairs = pairs

        def __iter__(self):
            return self

        def __next__(self):
            seen.append(len(taken))
            return next(self.pairs)

    assert xpnet.evaluate(trained, Watched(blocks())).total == 1000
    assert seen == list(range(11))


def test_no_images_give_no_labels(trained):
    assert xpnet.predict(trained, np.empty((0, 28, 28), np.uint8)).shape == (0,)


@pytest.mark.parametrize("function", [xpnet.predict, xpnet.predict_proba, xpnet.result_hash])
def test_an_iterator_is_no_array(trained, digits, function):
    with pytest.raises(TypeError, match="`images` must be an array"):
        function(trained, iter([digits[0]]))


@pytest.mark.parametrize("blocks", [[], [0], [3, 0, 40, 7, 50]], ids=str)
def test_pairs_are_evaluated_block_by_block(trained, digits, blocks):
    images, labels = digits
    ends = np.cumsum(blocks, dtype=int)
    pairs = (
        (images[end - n : end], labels[end - n : end]) for n, end in zip(blocks, ends, strict=True)
    )
    n = sum(blocks)
    expected = xpnet.evaluate(trained, images[:n], labels[:n]).confusion
    np.testing.assert_array_equal(xpnet.evaluate(trained, pairs).confusion, expected)


def test_probabilities_sum_to_one_and_agree_with_the_labels(trained, digits):
    probabilities = xpnet.predict_proba(trained, digits[0], batch_size=300)
    assert probabilities.shape == (1000, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), xpnet.predict(trained, digits[0]))


def passing(n, output="logits", **options):
    """Return a network whose outputs are its inputs."""
    return xpnet.Network([xpnet.Dense(np.eye(n), np.zeros(n))], output=output, **options)


@pytest.mark.parametrize(
    ("output", "x", "labels", "probabilities"),
    [
        ("logits", [-1e4, -1.0, 0.0, 1.0], [0, 0, 0, 1], [0, 0.26894142, 0.5, 0.73105858]),
        ("probabilities", [0.0, 0.2, 0.5, 0.7], [0, 0, 0, 1], [0, 0.2, 0.5, 0.7]),
    ],
)
def test_one_unit_stands_for_two_classes(output, x, labels, probabilities):
    network = passing(1, output)
    rows = np.asarray(x)[:, None]
    np.testing.assert_array_equal(xpnet.predict(network, rows), labels)
    expected = np.stack([1 - np.asarray(probabilities), probabilities], axis=1)
    np.testing.assert_allclose(xpnet.predict_proba(network, rows), expected, atol=1e-8)
    assert xpnet.evaluate(network, rows, np.asarray(labels)).accuracy == 1.0


def test_one_unit_on_every_backend(xp_backend):
    if xp_backend.name == "dask":
        pytest.skip("Dask images meet a NumPy network, see test_lazy")
    network = passing(1).map_arrays(xp_backend.asarray)
    rows = np.float32([[-2], [0], [2]])
    np.testing.assert_array_equal(xpnet.predict(network, rows), [0, 0, 1])
    np.testing.assert_allclose(
        xpnet.predict_proba(network, rows)[:, 1], [0.11920292, 0.5, 0.88079708], rtol=1e-6
    )


def test_probabilities_and_values_are_given_as_they_are():
    rows = np.asarray([[0.2, 0.8]])
    np.testing.assert_array_equal(xpnet.predict_proba(passing(2, "probabilities"), rows), rows)
    np.testing.assert_array_equal(xpnet.predict(passing(2, "values"), rows), rows)


@pytest.mark.parametrize("call", ["predict_proba", "evaluate"])
def test_a_regression_has_no_probabilities_and_no_accuracy(call):
    arguments = [np.zeros((1, 2))] + [np.zeros(1, int)] * (call == "evaluate")
    with pytest.raises(ValueError, match="must classify; got output='values'"):
        getattr(xpnet, call)(passing(2, "values"), *arguments)


@pytest.mark.parametrize(
    ("logits", "label"),
    [([1.0, 1.0, 0.0], 0), ([0.0, 0.0, 0.0], 0), ([-1e30, 1e30, 0.0], 1), ([0, 1e4, 1e4], 1)],
)
def test_ties_take_the_first(logits, label):
    assert xpnet.predict(passing(3), np.asarray([logits])) == [label]


def test_evaluate_counts(trained, digits):
    result = xpnet.evaluate(trained, *digits)
    expected = xpnet.predict(trained, digits[0]) == digits[1]
    assert (result.correct, result.total) == (expected.sum(), 1000)
    assert result.accuracy == result.correct / 1000 >= 0.97
    np.testing.assert_array_equal(result.confusion.sum(axis=1), [100] * 10)
    assert np.trace(result.confusion) == result.correct


def test_confusion_has_the_truth_in_its_rows():
    result = xpnet.evaluate(passing(3), np.eye(3)[[0, 1, 1]], [0, 1, 2])
    np.testing.assert_array_equal(result.confusion, [[1, 0, 0], [0, 1, 0], [0, 1, 0]])


def test_evaluate_on_every_backend(xp_backend, trained, digits):
    images, labels = digits[0][:100], digits[1][:100]
    expected = xpnet.evaluate(trained, images, labels)
    if xp_backend.name == "dask":
        network, x = trained, xp_backend.asarray(images, "uint8")
    else:
        network, x = trained.map_arrays(xp_backend.asarray), xp_backend.asarray(images, "uint8")
    result = xpnet.evaluate(network, x, xp_backend.asarray(labels, "uint8"), batch_size=30)
    np.testing.assert_array_equal(result.confusion, expected.confusion)


def test_no_images_have_no_accuracy(trained):
    result = xpnet.evaluate(trained, np.empty((0, 784), np.uint8), np.empty(0, np.uint8))
    assert (result.correct, result.total) == (0, 0)
    assert math.isnan(result.accuracy)


@pytest.mark.parametrize(
    ("classes", "labels", "wrong"),
    [
        (("cat", "dog"), ["cat", "dog"], ["cat", "cow"]),
        (("cat", "dog"), [0, 1], None),  # integers are ids, if all classes are strings
        ((7, 9), [7, 9], [7, 1]),
    ],
)
def test_labels_are_the_networks_classes(classes, labels, wrong):
    network, rows = passing(2, classes=classes), np.eye(2)
    assert xpnet.evaluate(network, rows, np.asarray(labels)).correct == 2
    assert xpnet.evaluate(network, rows, np.asarray(labels[::-1])).correct == 0
    if wrong is not None:
        message = f"entries of the network's classes; got {wrong[1]} at index 1"
        with pytest.raises(ValueError, match=message):
            xpnet.evaluate(network, rows, np.asarray(wrong))


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 1, 3], ValueError, "class ids from 0 to 2; got 3 at index 2"),
        ([0, -1, 1], ValueError, "got -1 at index 1"),
        ([0, 1], ValueError, "one for each image"),
        ([[0], [1], [2]], ValueError, "one for each image"),
        (np.eye(3), ValueError, r"got \(3, 3\); one-hot labels\? give labels.argmax\(axis=1\)$"),
        (np.eye(3, dtype=int), ValueError, r"got \(3, 3\); one-hot labels\? give labels.argmax"),
        ([0.0, 1.0, 2.0], TypeError, "`labels` must be integers; got dtype float64"),
        (None, TypeError, "`labels` must be given"),
    ],
)
def test_labels_that_do_not_fit(labels, error, message):
    with pytest.raises(error, match=message):
        xpnet.evaluate(passing(3), np.eye(3), labels)


def test_device_rows_do_not_meet_a_host_network(trained):
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError, match="one library; got array_api_strict and numpy"):
        xpnet.predict(trained, strict.zeros((2, 784)))


def _in_ways(network, x):
    """Yield the labels of the same rows from batches of several sizes."""
    for n in (1, 7, len(x)):
        yield xpnet.predict(network, x, batch_size=n).tolist()
    yield xpnet.predict(network, x).tolist()
    yield (
        [int(xpnet.predict(network, row[None])[0]) for row in x[:50]]
        + xpnet.predict(network, x[50:2000]).tolist()
        + xpnet.predict(network, x[2000:]).tolist()
    )
    yield xpnet.predict(xpnet.reproducible(network), x).tolist()


@pytest.mark.parametrize(
    ("steps", "factor"),
    [
        ([xpnet.Standardize(1.7e9, 1.0)], 1.0),
        ([xpnet.Scale(1e-25), xpnet.Scale(1e-25), xpnet.Scale(1e30), xpnet.Scale(1e20)], 1e15),
        ([xpnet.Scale(1e-39)], 1e0),
    ],
    ids=["mean", "small and large", "beyond float32"],
)
def test_wide_rows_lose_no_digits_whatever_their_number(steps, factor):
    draw = np.random.default_rng(0).normal
    weight, rows = draw(size=(6, 3)).astype(np.float32), draw(size=(3000, 6))
    expected = np.argmax(rows @ weight, axis=1).tolist()
    given = rows + 1.7e9 if isinstance(steps[0], xpnet.Standardize) else rows
    if len(steps) == 1 and isinstance(steps[0], xpnet.Scale):
        given = rows * 1e39
    layer = xpnet.Dense(weight * np.float32(factor), np.zeros(3, np.float32))
    network = xpnet.Network([layer], steps)
    for labels in _in_ways(network, given):
        assert np.mean(np.asarray(labels) == expected) > 0.999


@pytest.mark.parametrize("n", [5, 2100])
def test_zeros_stay_zeros_before_a_large_scale(n):
    layer = xpnet.Dense(np.ones((6, 3), np.float32), np.asarray([0, 1, 0], np.float32))
    network = xpnet.Network([layer], xpnet.Scale(1e50))
    assert set(xpnet.predict(network, np.zeros((n, 6))).tolist()) == {1}


@pytest.mark.parametrize(("dtype", "size"), [("float16", 1.0), ("float32", 1e19)])
def test_large_outputs_warn_of_nothing(dtype, size):
    """The square of a float16 above 256 is infinite, and that of a float32 above 1.8e19."""
    weight = np.asarray([[300.0, 0.0], [0.0, 400.0]], np.float32) * np.float32(size)
    network = xpnet.Network([xpnet.Dense(weight, np.zeros(2, np.float32))]).astype(dtype)
    assert xpnet.predict(network, np.ones((1, 2), dtype)).tolist() == [1]


FEW_ROWS = {
    "uint8": lambda x: x,
    "bool": lambda x: x > 100,
    "int64": lambda x: x.astype(np.int64),
    "float16": lambda x: x.astype(np.float16),
    "float32": lambda x: x.astype(np.float32),
    "float64": lambda x: x.astype(np.float64),
    "longdouble": lambda x: x.astype(np.longdouble),
    "columns": np.asfortranarray,
    "every other": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "other bytes": lambda x: x.astype(">f4"),
}


@pytest.mark.parametrize("n", [0, 1, 2, 100])
@pytest.mark.parametrize("form", FEW_ROWS)
def test_few_rows_have_the_results_of_a_batch(trained, digits, form, n):
    rows = FEW_ROWS[form](digits[0].reshape(-1, 784)[:n])
    for output in ("logits", "values"):
        asked = dataclasses.replace(trained, output=output)
        found = xpnet.predict(asked, rows)
        expected = xpnet.predict(asked, rows, batch_size=max(n, 1))
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
    np.testing.assert_array_equal(
        xpnet.predict_proba(trained, rows), xpnet.predict_proba(trained, rows, batch_size=max(n, 1))
    )


def test_few_rows_have_the_errors_and_warnings_of_a_batch(trained, digits):
    few = digits[0].reshape(-1, 784)[:3]
    for rows, options, error in (
        (few[:, :5], {}, ValueError),
        (few, {"threads": 0}, ValueError),
        (few, {"threads": True}, TypeError),
        (few * 1j, {}, TypeError),
        (few[0], {}, ValueError),
        (np.full((3, 784), 1e300), {}, ValueError),
    ):
        messages = []
        for size in (None, 3):
            with pytest.raises(error) as raised:
                xpnet.predict(trained, rows, batch_size=size, **options)
            messages.append(str(raised.value))
        assert messages[0] == messages[1]
    layer = xpnet.Dense(np.full((784, 10), 1e37, np.float32), np.zeros(10, np.float32))
    with np.errstate(all="ignore"), pytest.warns(xpnet.NonfiniteWarning, match="2 of 3"):
        xpnet.predict(xpnet.Network([layer]), few * np.asarray([[0], [1], [1]]))


def test_classes_by_rank():
    probabilities = np.asarray([[0.1, 0.6, 0.3], [0.4, 0.2, 0.4]], np.float32)
    ids, shares = most_probable(np.asarray([1, 0]), probabilities, 3)
    assert ids.tolist() == [[1, 2, 0], [0, 2, 1]]
    assert shares.dtype == np.float32
    np.testing.assert_array_equal(shares, np.take_along_axis(probabilities, ids, axis=1))


@pytest.mark.parametrize("values", [[0.5, 0.5], [np.nan, np.nan], [0.5, np.nan], [0.0, 1.0]])
@pytest.mark.parametrize("predicted", [0, 1])
def test_the_predicted_class_is_the_first(values, predicted):
    ids, shares = most_probable(np.asarray([predicted]), np.asarray([values]), 2)
    assert ids.tolist() == [[predicted, 1 - predicted]]
    np.testing.assert_array_equal(shares, [[values[predicted], values[1 - predicted]]])


def test_ranks_of_no_images():
    ids, shares = most_probable(np.empty(0, np.int64), np.empty((0, 3)), 2)
    assert ids.shape == shares.shape == (0, 2)
