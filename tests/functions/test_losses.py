"""Cross-entropy, on every backend."""

import math

import numpy as np
import pytest

import xpnet


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("labels_dtype", ["uint8", "int32", "int64"])
def test_cross_entropy_is_the_mean_negative_log_probability(xp_backend, axis, labels_dtype):
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (4, 5, 6)).astype(np.float32)
    kept = np.delete(logits.shape, axis)
    labels = random.integers(0, logits.shape[axis], kept)
    logs = xpnet.log_softmax(logits.astype(np.float64), axis=axis)
    expected = -np.mean(np.take_along_axis(logs, np.expand_dims(labels, axis), axis))
    loss = xpnet.cross_entropy(
        xp_backend.asarray(logits), xp_backend.asarray(labels, labels_dtype), axis=axis
    )
    np.testing.assert_allclose(
        xp_backend.check(loss, dtype="float32", shape=()), expected, rtol=1e-5
    )


def test_more_classes_than_the_labels_dtype_counts(xp_backend):
    logits = np.zeros((1, 1000), np.float32)
    logits[0, 200] = 50.0
    loss = xpnet.cross_entropy(xp_backend.asarray(logits), xp_backend.asarray([200], "uint8"))
    assert float(xp_backend.check(loss, dtype="float32", shape=())) < 1e-6


@pytest.mark.parametrize("label", [-1, 2, 300])
def test_a_label_out_of_range_gives_infinity(xp_backend, label):
    loss = xpnet.cross_entropy(
        xp_backend.asarray([[0.0, 0.0], [0.0, 0.0]]), xp_backend.asarray([0, label], "int64")
    )
    assert float(xp_backend.check(loss, dtype="float32", shape=())) == math.inf


def test_nan_gives_nan(xp_backend):
    loss = xpnet.cross_entropy(
        xp_backend.asarray([[0.0, math.nan]]), xp_backend.asarray([0], "int64")
    )
    assert math.isnan(float(xp_backend.check(loss, dtype="float32", shape=())))


def test_large_logits_do_not_overflow(xp_backend):
    loss = xpnet.cross_entropy(
        xp_backend.asarray([[1e30, -1e30]]), xp_backend.asarray([0], "int64")
    )
    assert float(xp_backend.check(loss, dtype="float32", shape=())) == 0.0


def test_labels_must_be_integers():
    with pytest.raises(TypeError, match="`labels` must be integers; got dtype float64"):
        xpnet.cross_entropy([[0.0, 1.0]], [1.0])


def test_labels_must_fit_the_logits():
    with pytest.raises(ValueError, match=r"without axis -1, \(2,\); got \(3,\)"):
        xpnet.cross_entropy(np.zeros((2, 4)), np.zeros(3, np.int64))


def test_axis_must_exist():
    with pytest.raises(ValueError, match="`axis` must be one of the array's 2 axes; got 2"):
        xpnet.cross_entropy(np.zeros((2, 4)), np.zeros(2, np.int64), axis=2)


def test_two_libraries_are_refused():
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError, match="got numpy and array_api_strict"):
        xpnet.cross_entropy(np.zeros((1, 2)), strict.asarray([1]))


def test_no_labels_give_nan_without_a_warning(xp_backend):
    loss = xpnet.cross_entropy(
        xp_backend.asarray(np.zeros((0, 3))), xp_backend.asarray([], "int64")
    )
    assert math.isnan(float(xp_backend.check(loss, dtype="float32", shape=())))
