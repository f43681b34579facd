"""Tiles on threads: the same bits whatever their number, and BLAS as it was before."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

import xpnet
from xpnet.arrays.blas import blas_threads, one_blas_thread
from xpnet.inference.tiles import in_tiles

POOLS = ThreadpoolController().select(user_api="blas")
X = np.random.default_rng(0).integers(0, 256, (1000, 784), np.uint8)


def count():
    return [library.num_threads for library in POOLS.lib_controllers]


@pytest.fixture(autouse=True)
def two_threads():
    """Let BLAS have two threads, whatever the machine; show that it has them afterwards."""
    with POOLS.limit(limits=2):
        before = count()
        yield
        assert count() == before


@pytest.fixture(scope="module")
def network():
    return xpnet.load("sample")


@pytest.mark.parametrize("function", [xpnet.predict, xpnet.predict_proba])
@pytest.mark.parametrize("n_rows", [1, 99, 100, 101, 1000])
def test_the_results_do_not_depend_on_the_number_of_threads(network, function, n_rows):
    one, *others = (
        function(network, X[:n_rows], batch_size=100, threads=threads) for threads in (1, 2, 7)
    )
    for other in others:
        np.testing.assert_array_equal(other, one)
    with POOLS.limit(limits=1):
        alone = [function(network, X[i : min(i + 100, n_rows)]) for i in range(0, n_rows, 100)]
    np.testing.assert_array_equal(one, np.concatenate(alone))


def test_rows_keep_their_order():
    seen = []

    def compute(rows):
        seen.append(len(rows))
        return rows[:, 0] * 2

    rows = np.arange(1003.0)[:, None]
    np.testing.assert_array_equal(in_tiles(compute, rows, 10, 3), rows[:, 0] * 2)
    assert sorted(seen) == [0, 3, *[10] * 100]


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_no_rows(threads):
    assert in_tiles(lambda rows: rows[:, :2], np.zeros((0, 5)), 10, threads).shape == (0, 2)


@pytest.mark.parametrize(("threads", "n_expected"), [(None, 2), (1, 1), (2, 2), (5, 5)])
def test_so_many_tiles_at_a_time(threads, n_expected):
    names = set()
    all_there = threading.Barrier(n_expected, timeout=20)

    def compute(rows):
        if len(rows):
            names.add(threading.current_thread().name)
            all_there.wait()
            assert max(count()) == 1
        return rows

    in_tiles(compute, np.zeros((n_expected, 1)), 1, threads)
    assert len(names) == n_expected


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_ends_it_and_gives_blas_back(threads):
    started = []

    def compute(rows):
        if len(rows):
            started.append(int(rows[0, 0]))
            time.sleep(0.001)
            if rows[0, 0] == 3:
                msg = "broken"
                raise ArithmeticError(msg)
        return rows

    with pytest.raises(ArithmeticError, match="broken"):
        in_tiles(compute, np.arange(1000.0)[:, None], 1, threads)
    assert len(started) < 900


def test_several_threads_predict_with_one_network(network):
    expected = xpnet.predict(network, X, batch_size=50)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: xpnet.predict(network, X, batch_size=50), range(24)))
    assert all(np.array_equal(labels, expected) for labels in found)


def test_nested_holds_give_back_what_was_before():
    with one_blas_thread():
        with one_blas_thread():
            assert max(count()) == 1
        assert max(count()) == 1
        assert blas_threads() == 2


FORK = """
import os
import numpy as np
import xpnet
from threadpoolctl import threadpool_limits
from xpnet.arrays.blas import blas_threads, one_blas_thread

threadpool_limits(2)
network, (images, _) = xpnet.load("sample"), xpnet.sample()
expected = xpnet.predict(network, images, batch_size=100)
with one_blas_thread():
    child = os.fork()
    if child == 0:
        found = xpnet.predict(network, images, batch_size=100)
        os._exit(0 if np.array_equal(found, expected) and blas_threads() == 2 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_computes():
    words = [sys.executable, "-W", "ignore", "-c", FORK]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "0\n"


@pytest.mark.parametrize(
    ("threads", "error", "text"),
    [
        (0, ValueError, "`threads` must be at least 1; got 0"),
        (-2, ValueError, "got -2"),
        (1.5, TypeError, "`threads` must be a whole number or None; got 1.5"),
        (True, TypeError, "got True"),
        ("2", TypeError, "got '2'"),
    ],
)
def test_threads_that_there_cannot_be(network, threads, error, text):
    for function in (xpnet.predict, xpnet.predict_proba):
        with pytest.raises(error, match=text):
            function(network, X, threads=threads)


def test_other_libraries_have_their_own_threads():
    strict = pytest.importorskip("array_api_strict")
    layer = xpnet.Dense(strict.asarray([[1.0]]), strict.asarray([0.0]))
    with pytest.raises(ValueError, match="must be None for a network of array_api_strict"):
        xpnet.predict(xpnet.Network([layer]), strict.asarray([[1.0]]), threads=2)
