"""Functions of Dask arrays: one task for each block, and labels that are not one for each row.

Values, chunks and notes of errors are tested with `xpnet.predict` and `xpnet.evaluate`.
"""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from xpnet.arrays.dask_blocks import is_dask, map_blocks, sum_over_blocks

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")


def count(_, x, y):
    """Return sums over rows, of shape (2,)."""
    return np.asarray([x.sum(), y.sum()], np.int64)


def test_other_collections_are_no_arrays():
    x = da.ones(3)
    assert [is_dask(y) for y in (x, np.ones(3), dask.delayed(x), da)] == [True] + [False] * 3


def test_a_block_is_loaded_and_computed_in_one_task_on_one_thread():
    def threads(_, x):
        counts = [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]
        return np.full(len(x), counts[0] if counts else 1)  # NumPy's BLAS is the first

    x, graphs = da.ones((8, 2, 3), chunks=(2, 2, 3)), []
    lazy = map_blocks(threads, None, x)
    with dask.callbacks.Callback(start=graphs.append):
        np.testing.assert_array_equal(lazy.compute(), np.ones(8))
        total = sum_over_blocks(count, None, lazy, np.arange(8))
    np.testing.assert_array_equal(total, np.asarray([8, 28], np.int64), strict=True)
    names = [{key[0] if isinstance(key, tuple) else key for key in graph} for graph in graphs]
    assert [x.name in each for each in names] == [False, False]


@pytest.mark.parametrize("labels", [np.arange(9), np.asarray(3), da.arange(11)], ids=str)
def test_another_number_of_labels(labels):
    x = da.ones(10, chunks=4)
    with pytest.raises(ValueError, match=r"got \((9,|11,)?\) labels for 10 images$"):
        sum_over_blocks(count, None, x, labels)
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        sum_over_blocks(count, None, x[x > 0.0], labels.reshape(-1))
