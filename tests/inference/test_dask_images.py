"""Inference on Dask arrays."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet

da = pytest.importorskip("dask.array")
# Compares dtype, shape, meta, chunks and values, computed on one thread.
assert_eq = pytest.importorskip("dask.array.utils").assert_eq

IMAGES, LABELS = (x[:200] for x in xpnet.sample())
ROWS = IMAGES.reshape(200, 784)
LAZY_ROWS = da.from_array(ROWS, chunks=(50, 784))
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
# Batches of other sizes are summed in another order: sums of 784 terms with a magnitude of some 20
# differ by up to 8 * sqrt(784) * 2**-24 * 20, and so do logarithms of probabilities.
CLOSE = {"rtol": 8 * 28 * 2**-24 * 20, "atol": 8 * 28 * 2**-24 * 20}
of_each_function = pytest.mark.parametrize(
    "function", [xpnet.predict, xpnet.predict_proba, xpnet.forward, xpnet.evaluate]
)


@pytest.fixture(scope="module")
def trained():
    return xpnet.load("sample")


def labels_for(function):
    return [LABELS] if function is xpnet.evaluate else []


@pytest.mark.parametrize("n_rows", [1, 7, 1_000_003])
@pytest.mark.parametrize("convert", [np.asarray, np.asfortranarray, np.float64], ids=str)
@pytest.mark.parametrize("shape", [(784,), (28, 28)])
def test_blocks_of_any_size_and_order(trained, n_rows, convert, shape):
    images = convert(ROWS[:20].reshape(-1, *shape))
    x = da.from_array(images, chunks=(n_rows, *shape)).map_blocks(convert)
    labels, probabilities = xpnet.predict(trained, x), xpnet.predict_proba(trained, x)
    assert labels.chunks[0] == probabilities.chunks[0] == x.chunks[0]
    assert_eq(labels, xpnet.predict(trained, images))
    assert_eq(probabilities, xpnet.predict_proba(trained, images), **CLOSE)
    result = xpnet.evaluate(trained, x, LABELS[:20])
    assert (result.correct, result.total) == (np.sum(labels == LABELS[:20]), 20)


@pytest.mark.parametrize("shape", [(784,), (200, 784), (4, 50, 784)])
@pytest.mark.parametrize("is_exact", [False, True])
def test_forward(trained, shape, is_exact):
    network = xpnet.reproducible(trained) if is_exact else trained
    rows = ROWS[: np.prod(shape[:-1], dtype=int)].reshape(shape)
    x = da.from_array(rows, chunks=(*[3] * (len(shape) - 1), 784))
    lazy = xpnet.forward(network, x)
    assert lazy.chunks[:-1] == x.chunks[:-1]
    assert_eq(lazy, xpnet.forward(network, rows), **CLOSE)


@of_each_function
def test_features_in_several_chunks(trained, function):
    lazy = function(trained, LAZY_ROWS.rechunk((100, 392)), *labels_for(function))
    if function is xpnet.evaluate:
        assert lazy.correct == function(trained, ROWS, LABELS).correct
    else:
        assert_eq(lazy, function(trained, ROWS), **CLOSE)


def test_unknown_sizes_of_chunks(trained):
    labels = da.from_array(LABELS, chunks=50)
    is_taken, expected = labels < 5, xpnet.predict(trained, ROWS)[LABELS < 5]
    found = xpnet.predict(trained, LAZY_ROWS[is_taken])
    np.testing.assert_array_equal(found.compute(), expected)
    result = xpnet.evaluate(trained, LAZY_ROWS[is_taken], labels[is_taken])
    assert (result.correct, result.total) == (np.sum(expected == LABELS[LABELS < 5]), len(expected))


@pytest.mark.parametrize("function", [xpnet.predict, xpnet.predict_proba, xpnet.forward])
def test_nothing_is_computed_early(trained, function):
    def fail(_):
        msg = "computed too early"
        raise AssertionError(msg)

    rows = LAZY_ROWS.map_blocks(fail, dtype=float, meta=np.empty((0, 0)))
    lazy = function(trained, rows)
    with pytest.raises(AssertionError, match="computed too early"):
        lazy.compute()


@pytest.mark.parametrize("classes", [NAMES, ["zero", 1, *NAMES[2:]], range(10, 20)], ids=str)
def test_classes(trained, classes):
    network = replace(trained, classes=classes)
    expected = xpnet.predict(network, ROWS)
    assert_eq(xpnet.predict(network, LAZY_ROWS), expected)
    for labels in (expected, da.from_array(expected, chunks=33)):
        assert xpnet.evaluate(network, LAZY_ROWS, labels).accuracy == 1.0


def test_a_regression(trained):
    network = replace(trained, output="values")
    assert_eq(xpnet.predict(network, da.from_array(IMAGES)), trained(ROWS), **CLOSE)


@pytest.mark.parametrize("function", [xpnet.predict, xpnet.predict_proba, xpnet.evaluate])
def test_options_reach_the_blocks(trained, monkeypatch, function):
    def spy(network, x, xp):
        n_rows.append(x.shape[0])
        return compute(network, x, xp)

    n_rows, compute = [], xpnet.Network.compute
    monkeypatch.setattr(xpnet.Network, "compute", spy)
    args = (LAZY_ROWS, *labels_for(function))
    da.compute(function(trained, *args, batch_size=30))
    assert sorted(filter(None, n_rows)) == [20] * 4 + [30] * 4
    for options in ({"batch_size": 0}, {"threads": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            function(trained, *args, **options)
