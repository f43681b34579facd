"""Functions of Dask arrays: one task for each block.

Values, chunks and notes of errors are tested with `xpnet.predict` and `xpnet.evaluate`.
"""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from xpnet.arrays.dask_blocks import computed, is_dask, map_blocks

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")


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
        ones, eights, labels = computed(lazy, 8 * lazy, [1, 2])
    assert (ones.sum(), eights.sum(), labels) == (8, 64, [1, 2])
    names = [{key[0] if isinstance(key, tuple) else key for key in graph} for graph in graphs]
    assert [x.name in each for each in names] == [False, False]
