"""Chunks of rows: the results of one batch, and BLAS's threads as they were."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

import xpnet
from xpnet.arrays.cpu.threads import run_tasks
from xpnet.parity.bounds.error_bound import error_bound

POOLS = ThreadpoolController().select(user_api="blas")
PIXELS = np.random.default_rng(0).integers(0, 256, (8193, 784), np.uint8)


def n_of_blas():
    return max(library.num_threads for library in POOLS.lib_controllers)


@pytest.fixture(autouse=True)
def two_threads():
    """Give BLAS two threads, and assert that it has them afterwards, as NumPy its errstate."""
    with POOLS.limit(limits=2), np.errstate():
        before = np.geterr()
        yield
        assert (n_of_blas(), np.geterr()) == (2, before)


def network_of(*widths, dtype="float32", step=None):
    random = np.random.default_rng(sum(widths))
    layers = [
        xpnet.Dense(
            (random.normal(size=shape) / shape[0] ** 0.5).astype(dtype),
            random.normal(size=shape[1]).astype(dtype),
            "sigmoid",
        )
        for shape in pairwise(widths)
    ]
    layers[-1] = replace(layers[-1], activation="identity")
    return xpnet.Network(layers, step or xpnet.Scale(1 / 255), "values")


NETWORK = network_of(784, 50, 10)
REFERENCE = error_bound(NETWORK, PIXELS).stages[-1]
# One chunk has 1,024 rows; 8 chunks are many.
NUMBERS = [*range(41), *(n + d for n in (1024, 8192) for d in (-1, 0, 1))]


@pytest.mark.parametrize("threads", [None, 1, 2, 5])
@pytest.mark.parametrize("batch_size", [None, 7, 1000, 10_000])
def test_any_number_of_rows_gives_the_results_of_one_batch(batch_size, threads):
    for n_rows in NUMBERS:
        found = xpnet.predict(NETWORK, PIXELS[:n_rows], batch_size=batch_size, threads=threads)
        assert found.shape == (n_rows, 10)
        difference = np.abs(found - REFERENCE.values[:n_rows])
        assert np.all(difference <= REFERENCE.bound[:n_rows]), n_rows


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("widths", [(784, 50, 100, 10), (784, 300, 10)], ids=str)
def test_many_rows_are_within_their_bounds(dtype, widths):
    rows = PIXELS[: 2100 if dtype == "float16" else 5000].copy()
    rows[:2] = [[0], [255]]
    # In float64 the reference values have errors of the same size.
    n_bounds = 2 if dtype == "float64" else 1
    for step in (xpnet.Scale(1 / 255), [xpnet.Standardize(33.0, 78.0), xpnet.Scale(0.7)]):
        network = network_of(*widths, dtype=dtype, step=step)
        found, last = xpnet.predict(network, rows), error_bound(network, rows).stages[-1]
        assert found.dtype == dtype
        assert np.all(np.abs(found - last.values) <= n_bounds * last.bound)


@pytest.mark.parametrize("n_rows", [1, 30, 1024, 5000])
def test_results_share_no_memory(n_rows):
    eye = xpnet.Dense(np.eye(784, dtype=np.float32), np.zeros(784, np.float32), "relu")
    network, rows = xpnet.Network([eye], output="values"), PIXELS[:n_rows].astype(np.float32)
    first, second = (xpnet.predict(network, rows) for _ in range(2))
    np.testing.assert_array_equal(first, rows)
    first[...] = -1
    for found in (second, rows, xpnet.predict(network, rows)):
        np.testing.assert_array_equal(found, PIXELS[:n_rows])


# Threads


@pytest.fixture
def computing(monkeypatch):
    """Return a function: before a chunk with rows is computed, call another function."""
    compute = xpnet.Network.compute

    def install(before):
        def spy(network, x, xp):
            if x.shape[0]:
                before()
            return compute(network, x, xp)

        monkeypatch.setattr(xpnet.Network, "compute", spy)

    return install


@pytest.mark.parametrize(
    ("n_rows", "options", "n_threads", "n_blas"),
    [
        (1, {}, 1, 2),
        (7168, {}, 1, 2),
        (8192, {}, 2, 1),
        (8, {"batch_size": 1}, 2, 1),
        (8, {"batch_size": 1, "threads": 1}, 1, 1),
    ],
    ids=str,
)
def test_many_chunks_are_computed_by_threads(computing, n_rows, options, n_threads, n_blas):
    found, together = set(), threading.Barrier(n_threads, timeout=20)

    def record():
        together.wait()
        found.add((threading.current_thread().name, n_of_blas()))

    computing(record)
    xpnet.predict(NETWORK, PIXELS[:n_rows], **options)
    assert len(found) == n_threads
    assert {n for _, n in found} == {n_blas}


@pytest.mark.parametrize("threads", [None, 1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ArithmeticError])
def test_an_error_in_a_chunk_ends_it(computing, monkeypatch, error, threads):
    calls = []

    def fail():
        calls.append(None)
        if len(calls) == 5:
            raise error

    with monkeypatch.context():
        computing(fail)
        with pytest.raises(error):
            xpnet.predict(NETWORK, PIXELS, batch_size=50, threads=threads)
    assert len(calls) < 20
    assert n_of_blas() == 2
    found = xpnet.predict(NETWORK, PIXELS[:500], batch_size=50, threads=threads)
    assert np.all(np.abs(found - REFERENCE.values[:500]) <= REFERENCE.bound[:500])


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_calls_inside_of_threads(threads):
    expected = xpnet.predict(NETWORK, PIXELS[:1000], batch_size=50, threads=1)
    found = {}

    def predict(i):
        network = NETWORK if i % 2 else replace(NETWORK)  # one without anything kept
        found[i] = xpnet.predict(network, PIXELS[:1000], batch_size=50, threads=threads)

    run_tasks(predict, range(12), 3)  # nested in the threads of xpnet
    with ThreadPoolExecutor(6) as server:
        list(server.map(predict, range(12, 36)))
    assert sorted(found) == list(range(36))
    for values in found.values():
        np.testing.assert_allclose(values, expected, rtol=0, atol=2 * REFERENCE.bound.max())


FORK = """
import os
import numpy as np
import xpnet
from threadpoolctl import threadpool_limits
from xpnet.arrays.cpu.threads import blas_threads, one_blas_thread

threadpool_limits(2)
network, (images, _) = xpnet.load("sample"), xpnet.sample()
expected = xpnet.predict(network, images, batch_size=100)
xpnet.predict(network, images, batch_size=100, threads=5)
with one_blas_thread():
    child = os.fork()
    if child == 0:
        found = xpnet.predict(network, images, batch_size=100, threads=3)
        os._exit(0 if np.array_equal(found, expected) and blas_threads() == 2 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), blas_threads())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_computes():
    words = [sys.executable, "-W", "ignore", "-c", FORK]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "0 2\n"
