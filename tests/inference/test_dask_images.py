"""Inference on Dask arrays."""

import numpy as np
import pytest

import xpnet

da = pytest.importorskip("dask.array")


@pytest.fixture(scope="module")
def trained():
    return xpnet.load("sample")


@pytest.mark.parametrize("chunks", [(300, 28, 28), (1000, 7, 28), (64, 28, 5)])
def test_labels_stay_lazy_and_are_right(trained, chunks):
    images, _ = xpnet.sample()
    labels = xpnet.predict(trained, da.from_array(images, chunks=chunks))
    assert isinstance(labels, da.Array)
    assert (labels.shape, labels.dtype) == ((1000,), np.int64)
    np.testing.assert_array_equal(labels.compute(), xpnet.predict(trained, images))


def test_probabilities_of_rows(trained):
    rows = xpnet.sample()[0].reshape(1000, 784)
    lazy = xpnet.predict_proba(trained, da.from_array(rows, chunks=(256, 784)), batch_size=100)
    assert (lazy.shape, lazy.dtype) == ((1000, 10), np.float32)
    # Batches of other sizes are summed in another order: sums of 784 terms with a magnitude of
    # some 20 differ by up to 8 * sqrt(784) * 2**-24 * 20, and so do logarithms of probabilities.
    expected = xpnet.predict_proba(trained, rows)
    np.testing.assert_allclose(lazy.compute(), expected, rtol=8 * 28 * 2**-24 * 20)


def test_nothing_is_computed_early(trained):
    def fail(_):
        msg = "computed too early"
        raise AssertionError(msg)

    rows = da.zeros((4, 784), chunks=(2, 784)).map_blocks(fail, dtype=float, meta=np.empty((0, 0)))
    labels = xpnet.predict(trained, rows)
    with pytest.raises(AssertionError, match="computed too early"):
        labels.compute()
