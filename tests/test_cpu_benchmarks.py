"""benchmarks/inference.py, benchmarks/training.py and their parts."""

from types import SimpleNamespace

import numpy as np
import pytest


def about(processor):
    """Return provenance as results have it."""
    return {
        "date": "2026-11-27",
        "hardware": "2 x a processor",
        "processor": {"vendor": processor, "family": "6", "model": "unknown"},
        "cpu features": {"numpy": ["X86_V3"]},
        "blas": {"library": "openblas", "version": "0.3.31", "kernel": "Zen"},
        "commit": "abc",
        "versions": {"numpy": "2.4.6"},
    }


def both(seconds):
    return {"best": seconds, "median": 2 * seconds}


def test_the_table_of_inference_has_a_block_for_each_processor(import_benchmark):
    place = {"network": "784-50-10:relu", "rows": 7, "threads": 1}
    ours = {"plain": both(1e-4), "best way": both(1e-4)}
    torch = {"plain": both(2e-3), "best way": both(2e-4)}
    results = [
        {"about": about(kind), "rounds": 3, "cells": [{**place, "seconds": seconds}]}
        for kind, seconds in (
            ("AuthenticAMD", {"xpnet": ours, "torch": torch}),
            ("GenuineIntel", {"xpnet": ours}),
        )
    ]
    first, *_, header, _, amd, row, intel, other = import_benchmark("inference").markdown(results)
    assert "kernel Zen" in first
    assert header == "| network, rows, threads | xpnet, µs | torch |"
    assert (amd, intel) == ("| **amd-family-6** |  |  |", "| **intel-family-6** |  |  |")
    assert row == "| 784-50-10 relu, 7, 1 | 100 | 20 / 2.00 |"
    assert other == "| 784-50-10 relu, 7, 1 | 100 | - |"


def test_the_table_of_trainings_has_medians_in_brackets(import_benchmark):
    cells = [{"threads": 2, "seconds": {"xpnet": both(0.2), "torch": both(0.3)}}]
    result = {"about": about("AuthenticAMD"), "rounds": 3, "rows": 60_000, "cells": cells}
    lines = import_benchmark("training").markdown([result])
    assert lines[-1] == "| amd-family-6, 2 | 200 (400) | 1.50 (1.50) |"


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh"])
def test_numpy_in_place_computes_the_labels_and_keeps_its_arguments(import_benchmark, activation):
    workload = import_benchmark("harness.workload").Workload
    shape = import_benchmark("harness.workload").Shape((20, 16, 16, 5), activation)
    work, kept = workload(shape, 200), workload(shape, 200).images
    rival = import_benchmark("harness.registry").RIVALS["NumPy in place"].load()("cpu", 1)
    label = rival.labeller(work)
    for _ in range(2):
        assert work.n_wrong(label(work.images)) == 0
    np.testing.assert_array_equal(work.images, kept)
    assert work.n_wrong((label(work.images) + 1) % 5) > 100


def test_one_row_is_measured_with_one_thread_and_wide_networks_with_fewer_rows(import_benchmark):
    inference = import_benchmark("inference")
    args = SimpleNamespace(networks=["784-1024-1024-10:relu"], rows=None)
    assert [work.n_rows for work in inference.workloads(args, 1)] == [1, 7, 100, 1000, 3000]
    assert [work.n_rows for work in inference.workloads(args, 2)] == [7, 100, 1000, 3000]


def test_a_worker_answers_or_names_its_failure(import_benchmark):
    processes = import_benchmark("harness.processes")
    with processes.Worker("a list", list, (3, 1, 2), threads=1) as worker:
        worker.ask("sort")
        assert worker.ask("index", 3) == 2
        with pytest.raises(processes.WorkerError, match="a list: ValueError: 7 is not in"):
            worker.ask("index", 7)
