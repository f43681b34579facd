"""Tiles in threads: the same bits for any number of them, and BLAS restored afterwards."""

import dataclasses
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, strategies as st
from threadpoolctl import ThreadpoolController

import xpnet
from xpnet.arrays.cpu.blocked_matmul import rows_on_one_thread
from xpnet.arrays.cpu.thread_pool import run_tasks
from xpnet.inference.batches import BatchOptions, default_batch_size
from xpnet.inference.nonfinite import NonfiniteWarning
from xpnet.inference.runner import run
from xpnet.inference.tiles import compute_tiles, tile_bounds
from xpnet.networks.plan import Plan

POOLS = ThreadpoolController().select(user_api="blas")
X = np.random.default_rng(0).integers(0, 256, (1000, 784), np.uint8)


def count():
    return [library.num_threads for library in POOLS.lib_controllers]


@pytest.fixture(autouse=True)
def two_threads():
    """Give BLAS two threads, and assert that it has them afterwards."""
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


def network_of(*widths, dtype="float32"):
    """Return a network of random weights with hidden sigmoids."""
    random = np.random.default_rng(sum(widths))
    layers = [
        xpnet.Dense(
            (random.normal(size=(n_in, n_out)) / n_in**0.5).astype(dtype),
            random.normal(size=n_out).astype(dtype),
            "sigmoid",
        )
        for n_in, n_out in pairwise(widths)
    ]
    layers[-1] = dataclasses.replace(layers[-1], activation="identity")
    return xpnet.Network(layers, xpnet.Scale(1 / 255))


@cache
def network_of_zeros(*widths):
    return xpnet.Network(
        [xpnet.Dense(np.zeros(shape), np.zeros(shape[1])) for shape in pairwise(widths)]
    )


NUMBERS_OF_ROWS = {
    (784, 50, 100, 10): [1, 2, 23, 47, 48, 100, 333, 1000, 5000],
    (784, 300, 10): [1, 2, 23, 47, 48, 100, 333, 1000, 5000],
    (784, 1024, 1024, 10): [1, 2, 23, 47, 48, 100],
    (784, 1): [1, 2, 48, 1000, 5000],
    (12_000, 1): [1, 2, 5, 100],
}
PIXELS = np.random.default_rng(1).integers(0, 256, (5000, 784), np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("widths", NUMBERS_OF_ROWS, ids=str)
def test_no_bit_depends_on_threads(widths, dtype):
    network = network_of(*widths, dtype=dtype)
    values = dataclasses.replace(network, output="values")
    for n_rows in NUMBERS_OF_ROWS[widths]:
        rows = np.resize(PIXELS, (n_rows, network.n_in))
        expected = xpnet.predict(values, rows)
        shares = xpnet.predict_proba(network, rows)
        for n_of_blas in (1, 2):
            with POOLS.limit(limits=n_of_blas):
                for threads in (1, 3, None):
                    found = xpnet.predict(values, rows, threads=threads)
                    np.testing.assert_array_equal(found, expected)
                found = xpnet.predict_proba(network, rows, threads=threads)
                np.testing.assert_array_equal(found, shares)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("batch_size", [None, 100, 300, 1000])
def test_no_bit_of_large_batches_depends_on_threads(batch_size, order):
    values = dataclasses.replace(network_of(784, 300, 10), output="values")
    rows = np.asarray(X, order=order)
    with POOLS.limit(limits=1):
        expected = xpnet.predict(values, rows, batch_size=batch_size, threads=1)
    for threads in (1, 2, 3, None):
        found = xpnet.predict(values, rows, batch_size=batch_size, threads=threads)
        np.testing.assert_array_equal(found, expected)


def test_rows_keep_their_order():
    seen = []

    def compute(rows):
        seen.append(len(rows))
        return rows[:, 0] * 2

    rows = np.arange(1003.0)[:, None]
    bounds = [*range(0, 1003, 10), 1003]
    np.testing.assert_array_equal(compute_tiles(compute, rows, bounds, 3), rows[:, 0] * 2)
    assert sorted(seen) == [0, 3, *[10] * 100]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.sampled_from([None, 1, 2, 5, 100]))
def test_tiles_of_any_lengths_make_up_the_rows(lengths, threads):
    bounds = [0, *np.cumsum(lengths).tolist()]
    rows = np.arange(3.0 * bounds[-1]).reshape(-1, 3)
    found = compute_tiles(lambda x: x[:, ::2] - 1, rows, bounds, threads)
    np.testing.assert_array_equal(found, rows[:, ::2] - 1)


@given(
    st.sampled_from([(784, 50, 100, 10), (784, 1024, 10), (784, 1), (300_000, 1)]),
    st.integers(0, 50_000),
    st.integers(1, 20),
)
def test_tiles_cover_all_rows_and_are_about_equal(widths, n_rows, n_processors):
    network = network_of_zeros(*widths)
    with patch("xpnet.inference.tiles.os.cpu_count", lambda: n_processors):
        bounds = tile_bounds(network, n_rows)
    lengths = np.diff(bounds)
    assert (bounds[0], bounds[-1]) == (0, n_rows)
    assert len(lengths) == 1 or min(lengths) >= 20
    # Starts are rounded to multiples of 4 rows, or of 24 where a tile has at least 96.
    unit = 24 if n_rows >= 96 * len(lengths) else 4
    assert all(start % unit == 0 for start in bounds[:-1])
    assert max(lengths) - min(lengths) <= 2 * unit
    assert max(lengths) <= default_batch_size(network) + unit
    if n_rows * network.multiplications >= n_processors * 2 * 10**7 and n_rows >= 24 * n_processors:
        assert len(lengths) % n_processors == 0


@pytest.mark.parametrize(
    ("widths", "n_rows", "n_processors", "n_expected"),
    [
        ((784, 1024, 1024, 10), 47, 2, 1),  # too few rows for two threads
        ((784, 1024, 1024, 10), 48, 2, 2),
        ((784, 1024, 1024, 10), 300, 2, 2),
        ((784, 1024, 1024, 10), 300, None, 1),
        ((784, 1024, 1024, 10), 1000, 16, 16),
        ((784, 300, 10), 50, 2, 1),  # too little work for two threads
        ((784, 300, 10), 300, 2, 2),
        ((784, 50, 100, 10), 1000, 2, 2),
        ((784, 50, 100, 10), 10_000, 2, 16),
        ((20, 40, 3), 1000, 2, 1),
        ((20, 40, 3), 50_000, 2, 14),
    ],
)
def test_tiles_by_shape_and_machine(monkeypatch, widths, n_rows, n_processors, n_expected):
    monkeypatch.setattr("xpnet.inference.tiles.os.cpu_count", lambda: n_processors)
    assert len(tile_bounds(network_of_zeros(*widths), n_rows)) - 1 == n_expected


def test_tiles_do_not_depend_on_the_threads_of_blas(network):
    bounds = tile_bounds(network, 5000)
    with POOLS.limit(limits=1):
        assert list(tile_bounds(network, 5000)) == list(bounds)


def test_short_tiles_are_computed_by_one_thread(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "xpnet.inference.runner.compute_tiles", lambda *args: seen.append(args[-1]) or args[1]
    )
    for widths, n_rows in (((20, 8, 3), 50_000), ((784, 50, 100, 10), 5000)):
        rows = np.zeros((n_rows, widths[0]), np.uint8)
        run(network_of(*widths), rows, lambda _network, y, _: y, BatchOptions(threads=2))
    assert seen == [1, 2]


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_no_rows(threads):
    for bounds in ([0, 0], [0, 0, 0]):
        assert compute_tiles(lambda rows: rows[:, :2], np.zeros((0, 5)), bounds, threads).shape == (
            0,
            2,
        )


@pytest.mark.parametrize(("threads", "n_expected"), [(None, 2), (1, 1), (2, 2), (5, 5)])
def test_number_of_tiles_at_a_time(threads, n_expected):
    names = set()
    all_there = threading.Barrier(n_expected, timeout=20)

    def compute(rows):
        if len(rows):
            names.add(threading.current_thread().name)
            all_there.wait()
            assert max(count()) == 1
        return rows

    compute_tiles(compute, np.zeros((n_expected, 1)), range(n_expected + 1), threads)
    assert len(names) == n_expected


@pytest.mark.parametrize("widths", [(784, 50, 10), (784, 1024, 10)], ids=str)
def test_predict_holds_blas_where_the_network_needs_it(widths, monkeypatch):
    network, seen = network_of(*widths), []
    outputs = Plan.outputs

    def counted(*args):
        seen.append(max(count()))
        return outputs(*args)

    monkeypatch.setattr(Plan, "outputs", counted)
    most = network.plan.rows_on_one_thread
    assert most == min(rows_on_one_thread(layer.weight) for layer in network.layers)
    for n_rows in (1, most, most + 1, 1000):
        seen.clear()
        xpnet.predict(network, PIXELS[:n_rows])
        assert set(seen) == {2 if n_rows <= most else 1}


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
        compute_tiles(compute, np.arange(1000.0)[:, None], range(1001), threads)
    assert len(started) < 900


class Interrupting:
    """Simulate Ctrl-C in the middle of the work."""

    def __init__(self, compute):
        self.compute, self.n_left = compute, 5

    def __call__(self, rows):
        self.n_left -= 1
        if self.n_left == 0:
            raise KeyboardInterrupt
        return self.compute(rows)


@pytest.mark.parametrize("threads", [1, 2, None])
@pytest.mark.parametrize("widths", [(784, 50, 10), (784, 1024, 10)], ids=str)
def test_an_interrupt_surfaces_and_the_next_call_is_right(widths, threads, monkeypatch):
    network = network_of(*widths)
    expected = xpnet.predict(network, X, batch_size=50)
    with monkeypatch.context() as patched:
        patched.setattr(Plan, "outputs", Interrupting(network.plan.outputs))
        with pytest.raises(KeyboardInterrupt):
            xpnet.predict(network, X, batch_size=50, threads=threads)
    assert max(count()) == 2
    found = xpnet.predict(network, X, batch_size=50, threads=threads)
    np.testing.assert_array_equal(found, expected)


def test_an_overflow_is_counted_in_any_tile_whatever_the_callers_errstate():
    # The products of a late tile overflow in float32.
    layer = xpnet.Dense(np.full((50, 50), 1e30, np.float32), np.zeros(50, np.float32))
    network = xpnet.Network([layer], xpnet.Scale(10.0))
    rows = np.zeros((1000, 50), np.float32)
    rows[777] = 1e30
    for threads in (1, 2, None):
        for kind in ("ignore", "warn", "raise"):
            with np.errstate(over=kind), pytest.warns(NonfiniteWarning, match="1 of 1,000"):
                xpnet.predict(network, rows, batch_size=50, threads=threads)


def test_several_threads_predict_with_one_network(network):
    expected = xpnet.predict(network, X, batch_size=50)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: xpnet.predict(network, X, batch_size=50), range(24)))
    assert all(np.array_equal(labels, expected) for labels in found)


@pytest.mark.parametrize("widths", [(784, 50, 10), (784, 1024, 10)], ids=str)
def test_several_threads_predict_with_one_network_that_is_new(widths):
    values = dataclasses.replace(network_of(*widths), output="values")
    rows = PIXELS[:2100]
    expected = xpnet.predict(values, rows)
    new = dataclasses.replace(values)  # without cached properties
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: xpnet.predict(new, rows), range(6)))
    assert all(np.array_equal(results, expected) for results in found)


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_predictions_inside_of_tiles(network, threads):
    expected, found = xpnet.predict(network, X, batch_size=50), {}

    def predict(i):
        found[i] = xpnet.predict(network, X, batch_size=50, threads=threads)

    run_tasks(predict, range(12), 3)
    assert sorted(found) == list(range(12))
    assert all(np.array_equal(labels, expected) for labels in found.values())


FORK = """
import os
import numpy as np
import xpnet
from threadpoolctl import threadpool_limits
from xpnet.arrays.cpu.blas_threads import blas_threads, one_blas_thread

threadpool_limits(2)
network, (images, _) = xpnet.load("sample"), xpnet.sample()
expected = xpnet.predict(network, images, batch_size=100)
xpnet.predict(network, images, batch_size=100, threads=5)
with one_blas_thread():
    child = os.fork()
    if child == 0:
        found = xpnet.predict(network, images, batch_size=100, threads=3)
        os._exit(0 if np.array_equal(found, expected) and blas_threads() == 2 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_computes():
    words = [sys.executable, "-W", "ignore", "-c", FORK]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "0\n"


def test_other_libraries_have_their_own_threads():
    strict = pytest.importorskip("array_api_strict")
    layer = xpnet.Dense(strict.asarray([[1.0]]), strict.asarray([0.0]))
    with pytest.raises(ValueError, match="must be None for a network of array_api_strict"):
        xpnet.predict(xpnet.Network([layer]), strict.asarray([[1.0]]), threads=2)
