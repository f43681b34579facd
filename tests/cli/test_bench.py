"""``xpnet bench``: speeds, and the images that are timed."""

import json
from unittest.mock import Mock

import numpy as np
import pytest

from xpnet.inference import throughput
from xpnet.inference.throughput import Throughput

SPEEDS = [
    Throughput(1, 25_000.0, 24_000.0, 5000),
    Throughput(100, 1_000_000.0, 900_000.0, 90_000),
    Throughput(1000, 700_000.25, 600_000.0, 90_000),
]


@pytest.fixture
def measure(monkeypatch):
    """Let the speeds be known ones; return the function that gives them."""
    measure = Mock(return_value=SPEEDS)
    monkeypatch.setattr(throughput, "measure_throughput", measure)
    return measure


def test_a_real_measurement(xpnet):
    result = xpnet("bench", "--batch-sizes", "500,1000", "--json")
    found = json.loads(result.out)
    assert [speed["batch_size"] for speed in found["speeds"]] == [500, 1000]
    assert all(speed["best"] >= speed["median"] > 0.0 for speed in found["speeds"])
    assert (result.code, result.err, found["data"], found["n_images"]) == (0, "", "sample", 1000)


def test_known_speeds(xpnet, measure):
    best, *_, left_out, _, _, _, _, last = xpnet("bench").out.splitlines()
    assert best.split(None, 1) == ["best", "1,000,000 images per second in batches of 100"]
    assert left_out.startswith("left out  10, 10,000, 100,000 (")
    assert last.split() == ["1,000", "700,000", "600,000", "28.0"]
    sizes = ("--batch-sizes", "1000,1,100,10,1")
    found = json.loads(xpnet("bench", *sizes, "--reproducible", "--json").out)
    assert (found["best_batch_size"], found["images_per_second"]) == (100, 1e6)
    assert found["hash"] is None  # of the outputs, which are not kept
    assert (found["too_large"], found["results"], found["reproducible"]) == ([10], "labels", True)
    assert measure.call_args.kwargs["batch_sizes"] == [1, 10, 100, 1000]
    assert measure.call_args.args[0].is_reproducible


def test_no_more_rows_are_read_than_timed(xpnet, measure, tmp_path, save_network):
    rows = np.arange(200_020, dtype=np.uint32).astype(np.uint8).reshape(-1, 2)
    np.save(tmp_path / "many.npy", rows)
    words = ("bench", tmp_path / "many.npy", "--model", save_network(2, n_in=2))
    cases = {"--rows=100005": 100_000, "--batch-sizes=1,100005": 100_005, "--rows=7": 7}
    for more, n in cases.items():
        assert xpnet(*words, more).code == 0
        assert np.array_equal(measure.call_args.args[1], rows[:n])


def test_errors(refused, save_network):
    for name, value, code, part in (
        ("--model", save_network(2, n_in=2), 3, "must be rows of 2 values"),
        ("--batch-sizes", "9999999999", 2, "no batch of 9,999,999,999 images fits"),
        ("--batch-sizes", "0,1", 2, "at least 1; got 0"),
    ):
        found, line = refused("bench", name, value)
        assert (found, part in line) == (code, True)
