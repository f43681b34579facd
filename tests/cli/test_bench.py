"""``xpnet bench``: speeds, and the images that are timed."""

import json
from typing import Any

import numpy as np
import pytest

from xpnet.inference import throughput as room
from xpnet.inference.throughput import Throughput

SPEEDS = [
    Throughput(1, 25_000.0, 24_000.0, 5000),
    Throughput(100, 1_000_000.0, 900_000.0, 90_000),
    Throughput(1000, 700_000.25, 600_000.0, 90_000),
]


@pytest.fixture
def given(monkeypatch):
    """Let the speeds be known ones; return what was to be measured."""
    given: dict[str, Any] = {"speeds": SPEEDS}

    def measure(network, images, **options):
        given.update(network=network, images=images, **options)
        found: list[Throughput] = given["speeds"]
        return found

    monkeypatch.setattr(room, "measure_throughput", measure)
    return given


def test_a_real_measurement(xpnet):
    result = xpnet("bench", "--batch-sizes", "500,1000", "--rounds", "1", "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert [speed["batch_size"] for speed in found["speeds"]] == [500, 1000]
    assert all(speed["best"] == speed["median"] > 0.0 for speed in found["speeds"])
    assert found["best_batch_size"] in {500, 1000}
    assert (found["data"], found["n_images"], found["left_out"]) == ("sample", 1000, [])
    assert found["seconds"]["computing"] > 0.0


def test_json_is_one_object_and_nothing_else(xpnet, given):
    result = xpnet("bench", "--json", "--rounds", "7")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert found["speeds"][1] == {
        "batch_size": 100,
        "best": 1_000_000.0,
        "median": 900_000.0,
        "n_rows": 90_000,
    }
    assert (found["best_batch_size"], found["images_per_second"]) == (100, 1_000_000.0)
    assert found["times_as_fast"] == 40.0
    assert found["left_out"] == [10, 10_000, 100_000]
    assert (found["device"], found["library"], found["rounds"]) == ("cpu", "numpy", 7)
    assert (found["results"], found["threads"]) == ("labels", None)
    assert given["rounds"] == 7


def test_the_sizes(xpnet, given):
    assert xpnet("bench").code == 0
    assert given["batch_sizes"] == (1, 10, 100, 1000, 10_000, 100_000)
    assert xpnet("bench", "--batch-sizes", "32,1,32").code == 0
    assert given["batch_sizes"] == (1, 32)


def test_data(xpnet, given, labelled, digits):
    found = json.loads(xpnet("bench", labelled, "--json").out)
    assert (found["data"], found["n_images"]) == (str(labelled), 40)
    assert np.array_equal(given["images"], digits[0].reshape(40, 784))


def test_no_more_rows_are_read_than_timed(xpnet, given, tmp_path, save_network):
    np.save(tmp_path / "many.npy", np.zeros((100_010, 2), np.uint8))
    words = ("bench", tmp_path / "many.npy", "--model", save_network(2, n_in=2))
    assert xpnet(*words).code == 0
    assert given["images"].shape == (100_000, 2)
    assert xpnet(*words, "--batch-sizes", "1,100005").code == 0
    assert given["images"].shape == (100_005, 2)
    assert xpnet(*words, "--rows", "7").code == 0
    assert given["images"].shape == (7, 2)


def test_a_regression(xpnet, given, save_network):
    model = save_network(10, output="values")
    assert json.loads(xpnet("bench", "--model", model, "--json").out)["results"] == "values"
    assert given["network"].output == "values"


def test_progress_on_a_terminal(xpnet, given, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    result = xpnet("bench", "--batch-sizes", "1,10", "--rounds", "2")
    assert result.code == 0
    assert "timing:   0%" in result.err
    assert "0/6" in result.err
    assert given["progress"] is not None
