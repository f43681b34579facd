"""Throughput by a fake clock."""

from types import SimpleNamespace

import numpy as np
import pytest

import xpnet
from xpnet.inference import throughput as room
from xpnet.inference.predict import predict_ids
from xpnet.inference.throughput import BATCH_SIZES, measure_throughput, rows_in_memory


@pytest.fixture(scope="module")
def images():
    return xpnet.sample()[0]


@pytest.fixture
def machine(monkeypatch):
    """Simulate a machine that takes 1 ms per batch and 10 us per row."""
    machine = SimpleNamespace(
        now=0.0, per_batch=1e-3, per_row=1e-5, calls=[], answer=lambda results, **_: results
    )

    def predict(network, rows, *, batch_size=None, threads=None):
        results = predict_ids(network, rows, batch_size=batch_size, threads=threads)
        if batch_size is not None:
            machine.calls.append((len(rows), batch_size, threads))
            n_batches = -(-len(rows) // batch_size)
            machine.now += n_batches * machine.per_batch + len(rows) * machine.per_row
        return machine.answer(results, batch_size=batch_size)

    monkeypatch.setattr(room, "predict_ids", predict)
    monkeypatch.setattr(room, "perf_counter", lambda: machine.now)
    return machine


def network_of(weight):
    weight = np.asarray(weight, np.float32)
    return xpnet.Network([xpnet.Dense(weight, np.zeros(weight.shape[1], np.float32))])


@pytest.fixture(scope="module")
def network():
    """Return a network of 784 inputs that computes little."""
    return network_of(np.zeros((784, 2)))


def test_the_speeds(machine, network, images):
    found = measure_throughput(network, images, batch_sizes=[100, 1, 10, 10], rounds=3)
    assert [speed.batch_size for speed in found] == [1, 10, 100]
    expected = [1 / 1.01e-3, 10 / 1.1e-3, 100 / 2e-3]
    assert [speed.best for speed in found] == pytest.approx(expected)
    assert [speed.median for speed in found] == pytest.approx(expected)
    assert len(machine.calls) > 9


def test_a_round_takes_whole_batches_for_a_fifth_of_a_second(machine, network, images):
    found = measure_throughput(network, images, batch_sizes=[1, 7, 100], rounds=1)
    for speed in found:
        assert speed.n_rows % speed.batch_size == 0
        assert 0.19 <= speed.n_rows / speed.best <= 0.2 + 1e-9
    # A batch that takes longer is a whole round.
    machine.per_batch = 0.5
    assert [speed.n_rows for speed in measure_throughput(network, images, batch_sizes=[9])] == [9]


def test_a_fast_network_is_called_several_times(machine, network, images, monkeypatch):
    monkeypatch.setattr(room, "_MAX_ROWS", 100)
    (speed,) = measure_throughput(network, images, batch_sizes=[40], rounds=1)
    assert speed.n_rows % 80 == 0  # two batches are in memory
    assert 0.19 <= speed.n_rows / speed.best <= 0.2 + 1e-9
    assert {n_rows for n_rows, *_ in machine.calls} == {40, 80}


def test_each_round_times_all_sizes_and_tells_progress(machine, network, images):
    steps, options = [], {"batch_sizes": [1, 10, 100], "rounds": 4, "threads": 1}
    measure_throughput(network, images, progress=steps.append, **options)
    assert [size for _, size, _ in machine.calls[-12:]] == [1, 10, 100] * 4
    assert {threads for *_, threads in machine.calls} == {1}
    assert steps == [1] * 15  # a warm-up and four rounds per size


def test_best_and_median(machine, network, images):
    slowness = iter([1.0, 1.0, 5.0, 2.0, 3.0])  # two for the warm-up, and three rounds
    machine.per_row = 0.0

    def turn(results, *, batch_size):
        if batch_size is not None:
            machine.now += next(slowness) - machine.per_batch
        return results

    machine.answer = turn
    (speed,) = measure_throughput(network, images, batch_sizes=[5], rounds=3)
    assert (speed.best, speed.median) == (pytest.approx(5 / 2.0), pytest.approx(5 / 3.0))


def test_images_are_repeated(machine, network, images):
    (speed,) = measure_throughput(network, images[:3], batch_sizes=[2000], rounds=1)
    assert speed.n_rows % 2000 == 0
    assert max(n_rows for n_rows, *_ in machine.calls) >= 2000


def test_a_size_that_would_take_too_long_is_left_out(machine, network, images):
    machine.per_row = 1.0
    found = measure_throughput(network, images, batch_sizes=[1, 4, 10], rounds=1)
    assert [speed.batch_size for speed in found] == [1, 4]


def test_a_size_that_the_device_has_no_memory_for_is_left_out(machine, network, images):
    def fail(results, *, batch_size):
        if batch_size == 100:
            raise MemoryError
        return results

    machine.answer = fail
    found = measure_throughput(network, images, batch_sizes=[1, 10, 100], rounds=1)
    assert [speed.batch_size for speed in found] == [1, 10]


@pytest.mark.parametrize(
    ("n_in", "n_out", "itemsize", "expected"),
    [
        (784, 10, 1, 10**9 // (784 + 2 * 4 * 784)),
        (784, 10, 8, 10**9 // (8 * 784 + 2 * 4 * 784)),
        (10, 1000, 1, 10**9 // (10 + 2 * 4 * 1000)),
    ],
)
def test_rows_in_memory(n_in, n_out, itemsize, expected):
    assert rows_in_memory(network_of(np.zeros((n_in, n_out))), itemsize) == expected


def test_a_size_that_does_not_fit_is_left_out(machine):
    network = network_of(np.zeros((100_000, 2)))
    rows = np.zeros((2, 100_000), np.uint8)
    assert rows_in_memory(network) < 10_000
    found = measure_throughput(network, rows, batch_sizes=[1, 10_000], rounds=1)
    assert [speed.batch_size for speed in found] == [1]
    assert measure_throughput(network, rows, batch_sizes=[10_000]) == []
    assert machine.calls


def test_the_usual_sizes_fit_the_books_network():
    assert rows_in_memory(xpnet.load("sample")) >= BATCH_SIZES[-1] == 100_000


def test_every_library(machine, xp_backend, network, images):
    if xp_backend.name == "dask":
        pytest.skip("Dask is not a device")
    machine.per_batch, there = 0.1, network.map_arrays(xp_backend.asarray)
    found = measure_throughput(there, images, batch_sizes=[10, 200], rounds=1)
    assert [speed.batch_size for speed in found] == [10, 200]
