"""Throughput by a fake clock."""

from types import SimpleNamespace

import numpy as np
import pytest

import xpnet
from xpnet.inference import throughput as room
from xpnet.inference.predict import predict_ids
from xpnet.inference.throughput import BATCH_SIZES, measure_throughput

IMAGES = xpnet.sample()[0]


@pytest.fixture
def machine(monkeypatch):
    """Simulate a machine that takes 1 ms per batch and 10 us per row; after the first call, more.

    `calls` are the numbers of rows and batch sizes, `steps` what is told about progress.
    """
    machine = SimpleNamespace(now=0.0, per_batch=1e-3, per_row=1e-5, slowness={}, calls=[])
    machine.steps, machine.full_at = [], np.inf

    def predict(network, rows, *, batch_size):
        if batch_size >= machine.full_at:
            raise MemoryError
        seconds = -(-len(rows) // batch_size) * machine.per_batch + len(rows) * machine.per_row
        machine.now += seconds * machine.slowness.get(len(machine.calls), 1.0)
        machine.calls.append((len(rows), batch_size))
        return predict_ids(network, rows[:30], batch_size=batch_size)

    monkeypatch.setattr(room, "predict_ids", predict)
    monkeypatch.setattr(room, "perf_counter", lambda: machine.now)
    return machine


def network_of(n_in, n_out=2):
    return xpnet.Network([xpnet.Dense(np.zeros((n_in, n_out), "f4"), np.zeros(n_out, "f4"))])


NETWORK = network_of(784)


def measured(machine, sizes, rounds=1, images=IMAGES, network=NETWORK):
    options = {"batch_sizes": sizes, "rounds": rounds, "progress": machine.steps.append}
    return measure_throughput(network, images, **options)


def test_each_round_times_all_sizes_and_tells_progress(machine):
    found = measured(machine, [100, 1, 10], rounds=4)
    assert [speed.batch_size for speed in found] == [1, 10, 100]
    expected = [1 / 1.01e-3, 10 / 1.1e-3, 100 / 2e-3]
    assert [speed.best for speed in found] == pytest.approx(expected)
    assert [speed.median for speed in found] == pytest.approx(expected)
    assert [size for _, size in machine.calls[-12:]] == [1, 10, 100] * 4
    assert machine.steps == [1] * 15  # a warm-up and four rounds per size


def test_a_round_takes_whole_batches_for_a_fifth_of_a_second(machine):
    for speed in measured(machine, [1, 7, 100]):
        assert speed.n_rows % speed.batch_size == 0
        assert 0.18 <= speed.n_rows / speed.best <= 0.2 + 1e-9
    # A batch that takes longer is a whole round, and so are all rows of a fast network.
    machine.per_batch = 0.5
    assert [speed.n_rows for speed in measured(machine, [9])] == [9]
    machine.per_batch = machine.per_row = 1e-7
    assert [speed.n_rows for speed in measured(machine, [30_000])] == [90_000]


def test_best_and_median(machine):
    # Two calls for the warm-up, of which the second is timed, and three rounds.
    machine.slowness, machine.per_row = {0: 1e6, 2: 5.0, 3: 2.0, 4: 3.0}, 0.0
    (speed,) = measured(machine, [5], rounds=3)
    assert speed.n_rows == 1000
    assert (speed.best, speed.median) == (pytest.approx(5 / 2e-3), pytest.approx(5 / 3e-3))


def test_images_are_repeated(machine):
    measured(machine, [2000, 120_000], images=IMAGES[:3])
    assert max(n_rows for n_rows, _ in machine.calls) == 120_000 > BATCH_SIZES[-1]


@pytest.mark.parametrize(
    ("sizes", "n_in", "changes"),
    [
        ([1, 4, 10], 784, {"per_row": 1.0}),
        ([1, 10, 100], 784, {"full_at": 100}),
        ([1, 10_000], 100_000, {}),
    ],
    ids=["time", "device memory", "memory"],
)
def test_a_batch_of_too_many_rows_is_left_out(machine, sizes, n_in, changes):
    vars(machine).update(changes)
    found = measured(
        machine, sizes, images=IMAGES[:1, :1, :1] * np.ones((1, n_in)), network=network_of(n_in)
    )
    assert [speed.batch_size for speed in found] == sizes[:-1]


def test_the_usual_sizes_fit_the_books_network(machine):
    assert len(measured(machine, BATCH_SIZES, network=xpnet.load("sample"))) == len(BATCH_SIZES)


def test_every_library(machine, xp_backend):
    if xp_backend.name == "dask":
        pytest.skip("Dask is not a device")
    machine.per_batch, there = 0.1, NETWORK.map_arrays(xp_backend.asarray)
    assert len(measured(machine, [10, 200], network=there)) == 2
