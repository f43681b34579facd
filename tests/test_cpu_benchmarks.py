"""benchmarks/inference.py and training.py, and the tables of all benchmarks."""

from types import SimpleNamespace

import pytest

ABOUT = {
    "date": "2026-11-27",
    "hardware": "2 x a processor",
    "blas": {"kernel": "Zen"},
    "commit": "abc",
    "versions": {"numpy": "2.4.6"},
}


def best(seconds):
    return {"best": seconds, "median": 2 * seconds}


def test_a_table_has_times_relative_to_xpnet_and_replaces_that_of_a_page(
    import_benchmark, tmp_path
):
    seconds = {"xpnet": best(1e-4), "torch": best(2e-3), "torch, in chunks": best(2e-4)}
    cell = {"network": "784-50-10:relu", "rows": 7000, "threads": 1, "seconds": seconds}
    harness, page = import_benchmark("harness"), tmp_path / "page.md"
    page.write_text(
        "# Speed\n\n<!-- table of benchmarks/a.py -->\nold\n<!-- end of the table -->\nend"
    )
    args = SimpleNamespace(table=None, json=tmp_path / "a.json", page=page)
    result = {"about": ABOUT, "rounds": 3, "cells": [cell]}
    harness.run("a.py", args, lambda _: result, harness.ratio_table)
    lines = page.read_text("utf-8").splitlines()
    assert "kernel Zen" in lines[4]
    assert lines[6] == "| network, rows, threads | xpnet, µs | torch |"
    assert lines[8] == "| 784-50-10 relu, 7,000, 1 | 100 | 20 / 2.00 |"
    assert lines[-1] == "end"


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh"])
def test_numpy_by_hand_computes_the_labels_of_float64(import_benchmark, activation):
    rivals = import_benchmark("rivals")
    work = rivals.Workload(f"20-16-16-5:{activation}", 200)
    labels = rivals.by_numpy(work, 1)(work.images)
    assert work.n_wrong(labels) == 0
    assert work.n_wrong((labels + 1) % 5) > 100


def test_a_training_must_end_where_steps_in_float64_end(import_benchmark, monkeypatch):
    rivals, training = import_benchmark("rivals"), import_benchmark("training")
    for name in ("xpnet", "NumPy by hand"):
        assert training.make(name, 1, training.NETWORK, 1)[1] == ""
    monkeypatch.setattr(rivals, "RATE", 0.002)
    wrong = next(rivals.training_by_numpy(rivals.Workload(training.NETWORK, 100), 1, 20))
    monkeypatch.undo()
    monkeypatch.setitem(rivals.TRAININGS, "wrong", lambda *_: iter([wrong, wrong]))
    assert "of the parameters are wrong" in training.make("wrong", 1, training.NETWORK, 1)[1]


@pytest.mark.slow
def test_a_worker_answers_or_names_its_failure(import_benchmark):
    args, place = SimpleNamespace(threads=[1], rounds=1), ("4-3-2:relu", 10)
    contest, make = import_benchmark("harness").contest, import_benchmark("inference").make
    (cell,) = contest(args, make, ["xpnet", "NumPy by hand"], [place])
    assert all(x["best"] > 0 for x in cell["seconds"].values())
    with pytest.raises(KeyError, match="a rival"):
        contest(args, make, ["a rival"], [place])
