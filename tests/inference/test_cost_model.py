"""The cost model, with given costs and a fake clock."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

import xpnet
from xpnet.inference import cost_model as room
from xpnet.inference.cost_model import Crossover, estimate

# A row takes 3 us on the CPU and 1 us on a GPU, after 2 seconds: equal at a million rows.
HALVES = Crossover(3e-6, 1e-6, 2.0, "bus")
NEVER = Crossover(1e-6, 3e-6, 2.0, "launches")


@pytest.mark.parametrize(
    ("crossover", "n_rows"),
    [
        (HALVES, 1_000_000),
        (Crossover(2.0, 1.0, 2.5, "bus"), 3),
        (Crossover(2.0, 1.0, 2.0, "bus"), 2),
        (Crossover(2.0, 1.0, 0.0, "bus"), 0),
        (NEVER, None),
        (Crossover(1.0, 1.0, 2.0, "bus"), None),
    ],
)
def test_number_of_rows(crossover, n_rows):
    assert crossover.n_rows == n_rows


@pytest.mark.parametrize("n_rows", [0, 1, 999_999, 1_000_000, 10**12])
def test_the_faster_device(n_rows):
    assert HALVES.favours_gpu(n_rows) is (n_rows >= 1_000_000)
    assert NEVER.favours_gpu(n_rows) is False


FROM_A_MILLION = "a GPU takes less time from about 1,000,000 rows on"
NOT_AT_ALL = "a GPU, limited by its launches, never takes less time"


@pytest.mark.parametrize(
    ("crossover", "n_rows", "now", "since"),
    [
        (HALVES, 1000, "the CPU 0.003 s, and a GPU about 2 s to start and 0.001 s", FROM_A_MILLION),
        (
            HALVES,
            5 * 10**7,
            "the CPU 1.5e+02 s, and a GPU about 2 s to start and 50 s",
            FROM_A_MILLION,
        ),
        (NEVER, 0, "the CPU 0 s, and a GPU about 2 s to start and 0 s", NOT_AT_ALL),
    ],
)
def test_the_estimate_in_words(crossover, n_rows, now, since):
    assert crossover.sentence(n_rows) == f"{n_rows:,} rows take {now}; {since}"


@pytest.mark.parametrize(
    ("crossover", "since"), [(HALVES, FROM_A_MILLION), (NEVER, NOT_AT_ALL)], ids=["halves", "never"]
)
def test_an_unknown_number_of_rows(crossover, since):
    assert crossover.sentence(None) == f"the number of rows is unknown; {since}"


def test_a_crossover_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        HALVES.limit = "launches"


@pytest.fixture
def clock(monkeypatch):
    """Let trials take 8, 2 and 4 ms by a fake clock; return the arguments of the trials."""
    trials = []
    times = itertools.accumulate(itertools.cycle([0.0, 8e-3, 0.0, 2e-3, 0.0, 4e-3]))

    def predict(network, rows, *, batch_size):
        trials.append((network, rows, batch_size))

    monkeypatch.setattr(room, "perf_counter", lambda: next(times))
    monkeypatch.setattr(room, "predict_ids", predict)
    return trials


def network_of(n_in, n_out):
    layer = xpnet.Dense(np.ones((n_in, n_out), np.float32), np.zeros(n_out, np.float32))
    return xpnet.Network([layer])


def test_the_cpu_is_timed_in_the_best_of_three_trials(clock):
    found = estimate(network_of(100, 10), batch_size=50)
    assert found.cpu_seconds == pytest.approx(2e-3 / 50)
    assert len(clock) == 3
    for network, rows, batch_size in clock:
        assert (network.n_in, rows.shape, rows.dtype) == (100, (50, 100), np.uint8)
        assert batch_size == 50
        np.testing.assert_array_equal(rows, clock[0][1])
    assert found.start_seconds == 3.0


@pytest.mark.parametrize(
    ("network", "batch_size", "n_rows"),
    [
        (network_of(4, 2), 7, 7),
        (network_of(4, 2), 100_000, 4096),
        (network_of(100, 100), 100_000, 20),
        (network_of(500, 400), 100_000, 1),
        (network_of(500, 401), 100_000, 1),
    ],
    ids=["batch", "most", "large", "one row", "too large"],
)
def test_number_of_timed_rows(monkeypatch, clock, network, batch_size, n_rows):
    monkeypatch.setattr(room, "_TRIAL_MULTIPLICATIONS", 200_000)
    found = estimate(network, batch_size=batch_size)
    assert [len(rows) for _, rows, _ in clock] == [n_rows] * 3
    assert found.cpu_seconds == pytest.approx(2e-3 / n_rows)


def test_a_batch_that_suits_the_device(clock):
    network = network_of(784, 10)
    estimate(network)
    (rows,) = {len(rows) for _, rows, _ in clock}
    assert rows == min(4096, 2**28 // 7840)
    assert {batch_size for _, _, batch_size in clock} == {None}


@pytest.mark.parametrize(
    ("sizes", "options", "limit", "seconds"),
    [
        # 12 GB/s, an assumed 5 TFLOPS, half a millisecond for a batch of 65,536.
        ((784, 10), {}, "bus", 784 / 12e9),
        ((784, 10), {"itemsize": 4}, "bus", 4 * 784 / 12e9),
        ((1000, 1000), {}, "arithmetic", 2e6 / 5e12),
        ((1000, 1000), {"card_rate": 2e13}, "arithmetic", 2e6 / 1e13),
        ((1000, 1000), {"card_rate": 2e15}, "bus", 1000 / 12e9),
        ((2, 2), {}, "launches", 0.5e-3 / 2**16),
        ((784, 10), {"batch_size": 100}, "launches", 5e-6),
        ((1000, 1000), {"passes": 3}, "arithmetic", 3 * 2e6 / 5e12),
        ((2, 2), {"passes": 3}, "launches", 3 * 0.5e-3 / 2**16),
        ((784, 10), {"passes": 2}, "bus", 784 / 12e9),
    ],
)
@pytest.mark.usefixtures("clock")
def test_the_bottleneck_of_a_gpu(sizes, options, limit, seconds):
    found = estimate(network_of(*sizes), **options)
    assert found.limit == limit
    assert found.gpu_seconds == pytest.approx(seconds)


@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.usefixtures("clock")
def test_passes_multiply_the_time_of_the_cpu(passes):
    found = estimate(network_of(4, 2), batch_size=10, passes=passes)
    assert found.cpu_seconds == pytest.approx(passes * 2e-4)
    assert found.n_rows == math.ceil(3.0 / (found.cpu_seconds - found.gpu_seconds))


@pytest.mark.parametrize("output", ["logits", "values"])
def test_the_real_clock(output):
    network = dataclasses.replace(xpnet.init_network([784, 50, 10]), output=output)
    found = estimate(network, batch_size=100)
    assert found.cpu_seconds > 0
    assert found.n_rows is None or found.n_rows > 0
