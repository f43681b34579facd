"""Functions of Dask arrays: form of the results, chunks, errors, one task for each block."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from xpnet.arrays.dask_blocks import is_dask, map_blocks, sum_over_blocks

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
# Compares dtype, shape, meta, chunks and values, computed on one thread.
assert_eq = pytest.importorskip("dask.array.utils").assert_eq

X = np.arange(60.0).reshape(10, 2, 3)
# Functions of blocks, and the number of axes that they keep.
CASES = {
    "labels": (lambda _, x: x.sum(axis=(1, 2)).astype(np.int16), 1),
    "rows": (lambda _, x: x.reshape(-1, 6).astype(np.float32), 1),
    "strings": (lambda limit, x: np.where(x[:, 0, 0] > limit, "large", "no"), 1),
    "two leading axes": (lambda _, x: x @ np.ones((3, 5)), 2),
}


def count(network, x, y):
    """Return sums over rows, of shape (2, 2), and a number."""
    return np.asarray([[len(x), y.sum()], [x.sum(), network]], np.int64)


def test_other_collections_are_no_arrays():
    assert [is_dask(x) for x in (da.from_array(X), X, dask.delayed(X), da)] == [True] + [False] * 3


@pytest.mark.parametrize(("function", "n_kept"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("n_rows", [1, 7, 1_000_003])
def test_form_and_values(function, n_kept, n_rows):
    x = da.from_array(X, chunks=(n_rows, 1_000_003, 1))
    lazy, unknown = (map_blocks(function, 20.0, y, n_kept) for y in (x, x[x[:, 0, 0] > 20.0]))
    assert lazy.chunks[:n_kept] == x.chunks[:n_kept]
    assert_eq(lazy, function(20.0, X))
    assert np.isnan(unknown.shape[0])
    assert_eq(unknown.compute_chunk_sizes(), function(20.0, X[4:]))


def test_errors_have_a_note_or_a_remedy():
    def fail(_, x):
        if x.size:
            msg = "too large"
            raise ValueError(msg)
        return x

    x = da.from_array(X, chunks=(5, 2, 3))
    with pytest.raises(ValueError, match="too large") as caught:
        map_blocks(fail, None, x).compute()
    assert "own first row is row 0" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        map_blocks(fail, None, x[:, :, x[0, 0] > 0.0])


def test_a_block_is_loaded_and_computed_in_one_task_on_one_thread():
    def threads(_, x):
        counts = [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]
        return np.full(len(x), counts[0] if counts else 1)  # NumPy's BLAS is the first

    x, graphs = da.ones((8, 2, 3), chunks=(2, 2, 3)), []
    lazy = map_blocks(threads, None, x)
    with dask.callbacks.Callback(start=graphs.append):
        np.testing.assert_array_equal(lazy.compute(), np.ones(8))
        sum_over_blocks(count, 1, lazy, np.ones(8, int))
    names = [{key[0] if isinstance(key, tuple) else key for key in graph} for graph in graphs]
    assert [x.name in each for each in names] == [False, False]


@pytest.mark.parametrize("n_rows", [1, 7, 1_000_003])
@pytest.mark.parametrize("n_labels", [None, 4, 1_000_003])
def test_sum_over_blocks(n_rows, n_labels):
    x, labels = da.from_array(X[:, 0, 0], chunks=n_rows), np.arange(10)
    given = labels if n_labels is None else da.from_array(labels, chunks=n_labels)
    expected = np.asarray([[10, 45], [X[:, 0, 0].sum(), 5 * x.numblocks[0]]], np.int64)
    np.testing.assert_array_equal(sum_over_blocks(count, 5, x, given), expected, strict=True)


@pytest.mark.parametrize("labels", [np.arange(9), np.asarray(3), da.arange(11)])
def test_another_number_of_labels(labels):
    x = da.from_array(X[:, 0, 0], chunks=4)
    with pytest.raises(ValueError, match=r"got \((9,|11,)?\) labels for 10 images$"):
        sum_over_blocks(count, 1, x, labels)
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        sum_over_blocks(count, 1, x[x > 0.0], labels.reshape(-1))
