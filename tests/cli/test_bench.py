"""``xpnet bench``: speeds, and the images that are timed."""

import json

import numpy as np


def test_a_real_measurement(xpnet):
    result = xpnet("bench", "--batch-sizes", "500,1000", "--json")
    found = json.loads(result.out)
    assert [speed["batch_size"] for speed in found["speeds"]] == [500, 1000]
    assert all(speed["best"] >= speed["median"] > 0.0 for speed in found["speeds"])
    assert (result.code, result.err, found["data"], found["n_images"]) == (0, "", "sample", 1000)


def test_known_speeds(xpnet, known_speeds):
    words = ("--batch-sizes", "10000,1000,1,20000,1", "--reproducible", "--json")
    found = json.loads(xpnet("bench", *words).out)
    assert (found["best_batch_size"], found["images_per_second"]) == (1000, 12.5e3 * 1000**0.5)
    assert found["hash"] is None  # of the outputs, which are not kept
    assert (found["too_large"], found["results"]) == ([20_000], "labels")
    assert known_speeds.call_args.kwargs["batch_sizes"] == [1, 1000, 10_000, 20_000]
    assert known_speeds.call_args.args[0].is_reproducible is found["reproducible"] is True


def test_no_more_rows_are_read_than_timed(xpnet, known_speeds, tmp_path, save_network):
    rows = np.arange(200_020, dtype=np.uint32).astype(np.uint8).reshape(-1, 2)
    np.save(tmp_path / "many.npy", rows)
    words = ("bench", tmp_path / "many.npy", "--model", save_network(2, n_in=2))
    cases = {"--rows=100005": 100_000, "--batch-sizes=1,100005": 100_005, "--rows=7": 7}
    for more, n in cases.items():
        assert xpnet(*words, more).code == 0
        assert np.array_equal(known_speeds.call_args.args[1], rows[:n])
