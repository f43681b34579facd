"""benchmarks/inference.py, benchmarks/training.py and their parts: provenance, rivals, tables."""

import importlib
import json
import os
from types import SimpleNamespace

import numpy as np
import pytest

PARTS = (
    "contest",
    "measuring",
    "options",
    "processes",
    "provenance",
    "registry",
    "server",
    "workload",
)
AMD = {"vendor": "AuthenticAMD", "family": "26", "model": "2"}
INTEL = {"vendor": "GenuineIntel", "family": "6", "model": "143"}


@pytest.fixture(scope="module")
def modules(import_benchmark):
    """The scripts and parts of the harness by their names."""
    found = {name: import_benchmark(name) for name in ("inference", "training")}
    found |= {name: import_benchmark(f"harness.{name}") for name in PARTS}
    found["base"] = import_benchmark("harness.rivals.base")
    return SimpleNamespace(**found)


def facts(processor, kernel="SkylakeX", **environment):
    """Return provenance as results have it."""
    return {
        "date": "2026-11-27",
        "hardware": "2 x a processor",
        "processor": processor,
        "cpu features": {"numpy": ["X86_V3"]},
        "blas": {"library": "openblas", "version": "0.3.31", "kernel": kernel},
        "environment": environment,
        "commit": "abc",
        "versions": {"numpy": "2.4.6"},
    }


@pytest.mark.parametrize(
    ("found", "general", "kind"),
    [
        (("AuthenticAMD", "26", "2"), "x86_64", "amd-family-26-model-2"),
        (("GenuineIntel", "6", "143"), "", "intel-family-6-model-143"),
        ((), "aarch64", "aarch64"),
        ((), "", "unknown"),
    ],
)
def test_the_kind_of_a_processor_is_a_file_name(modules, monkeypatch, found, general, kind):
    cpu_facts = dict(zip(("vendor_id", "cpu family", "model"), found, strict=False))
    monkeypatch.setattr(modules.provenance, "cpu_facts", lambda: cpu_facts)
    monkeypatch.setattr(modules.provenance.platform, "processor", lambda: general)
    assert modules.provenance.processor_kind({"processor": modules.provenance.processor()}) == kind


def test_results_in_a_folder_have_the_name_of_the_processor(modules, tmp_path):
    result = {"about": facts(INTEL)}
    modules.options.write_json(tmp_path, result, "training")
    modules.options.write_json(tmp_path / "a.json", result, "training")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.json", "training-intel-family-6-model-143.json"}


def test_the_headline_names_processor_and_kernel_and_shouts_if_one_is_forced(modules):
    said = modules.provenance.headline(facts(AMD, "Zen"))
    assert said.startswith("2026-11-27, 2 x a processor (amd-family-26-model-2; openblas 0.3.31, ")
    assert "kernel Zen" in said
    forced = facts(AMD, OPENBLAS_CORETYPE="Haswell", OPENBLAS_NUM_THREADS="1")
    assert modules.provenance.headline(forced).startswith(
        "SET FROM OUTSIDE (AND REMOVED FOR WORKER PROCESSES): OPENBLAS_CORETYPE=Haswell! 2026"
    )


def test_the_provenance_has_variables_that_change_speed_and_the_kernel_of_workers(
    modules, monkeypatch
):
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        monkeypatch.delenv(name, raising=False)
    own = modules.provenance.about_workers()["blas"]
    assert own.keys() == {"library", "version", "kernel"}
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    monkeypatch.setenv("UNRELATED", "1")
    found = modules.provenance.about_workers()
    assert found["blas"] == own
    assert found["environment"]["OPENBLAS_CORETYPE"] == "Prescott"
    assert found["environment"]["MKL_CBWR"] == "AVX2"
    assert "UNRELATED" not in found["environment"]


def test_workers_have_the_real_processor_unless_a_benchmark_asks(modules, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "512")
    for asked in (None, "Haswell"):
        given = {} if asked is None else {"OPENBLAS_CORETYPE": asked}
        make = (importlib.import_module, "os")
        with modules.processes.Worker("os", *make, threads=1, environment=given) as worker:
            assert worker.ask("getenv", "OPENBLAS_CORETYPE") == asked
            assert worker.ask("getenv", "OPENBLAS_L2_SIZE") is None
            assert worker.ask("getenv", "OPENBLAS_NUM_THREADS") == "1"
    assert os.environ["OPENBLAS_CORETYPE"] == "Prescott"


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh"])
def test_numpy_in_place_computes_the_labels_and_keeps_its_arguments(modules, activation):
    workload = modules.workload.Workload(modules.workload.Shape((20, 16, 16, 5), activation), 200)
    label = modules.registry.RIVALS["NumPy in place"].load()("cpu", 1).labeller(workload)
    images = workload.images.copy()
    for _ in range(2):
        assert workload.n_wrong(label(workload.images)) == 0
    assert np.array_equal(images, workload.images)


def test_numpy_in_place_lacks_gelu(modules):
    workload = modules.workload.Workload(modules.workload.Shape((4, 3, 2), "gelu"), 1)
    with pytest.raises(LookupError, match="InPlace has no gelu"):
        modules.registry.RIVALS["NumPy in place"].load()("cpu", 1).labeller(workload)


def test_the_products_of_others_are_networks_without_activations(modules):
    class Rival(modules.base.Rival):
        def labeller(self, workload):
            seen.append(str(workload.shape))
            return lambda _: workload.truth[0]

    workload = modules.workload.Workload(modules.workload.Shape((4, 3, 2), "relu"), 5)
    entries, seen = modules.registry.OTHER_PRODUCTS, []
    assert list(entries) == ["torch, products", "ONNX Runtime, products", "OpenVINO, products"]
    for options in ({}, entries["torch, products"].options):
        entry = SimpleNamespace(load=lambda: Rival, options=options)
        assert modules.server.Server(entry, "cpu", 1).prepare(workload) == 0
    assert seen == ["4-3-2:relu", "4-3-2:identity"]


def test_the_fastest_ways_are_tried_twice(modules, monkeypatch):
    monkeypatch.setattr(modules.contest, "PAUSE", 0.0)
    seconds = {None: [5.0], 16: [3.0, 2.0], 32: [2.5, 2.5], 64: [6.0], 128: [7.0, 1.0]}
    seconds |= {256: [2.75, 2.75], 512: [2.7, 2.7]}
    asked = []

    def ask(_, chunk, __):
        asked.append(chunk)
        return seconds[chunk][asked[:-1].count(chunk)]

    worker = SimpleNamespace(name="a", is_shared=False, is_tiled=False, ask=ask)
    assert modules.contest.best_way("a", [worker], 1000).chunk == 16
    assert {chunk for chunk in asked if asked.count(chunk) > 1} == {16, 32, 256, 512}


def test_one_row_is_measured_with_one_thread_and_wide_networks_with_fewer_rows(modules):
    inference = modules.inference
    args = SimpleNamespace(networks=inference.NETWORKS[:2], rows=None)
    found = [
        [(str(each.shape), each.n_rows) for each in inference.workloads(args, threads)]
        for threads in (1, 2)
    ]
    for name, most in zip(args.networks, (10_000, 3000), strict=True):
        rows = [[n_rows for shape, n_rows in each if shape == name] for each in found]
        assert rows == [[1, 7, 100, 1000, most], [7, 100, 1000, most]]
    args.rows = [5, 1]
    assert [each.n_rows for each in inference.workloads(args, 2)] == [5, 5]


def cell_of(seconds, kernel="SkylakeX", coretype=None, rows=7):
    """Return a cell as the benchmark of inference writes it; two times are those of two ways."""
    ways = {
        name: dict(zip(("plain", "best way"), ({"best": 1e-5 * x} for x in times), strict=True))
        for name, times in seconds.items()
    }
    place = {"network": "784-50-10:relu", "rows": rows, "threads": 1}
    return {**place, "kernel": kernel, "coretype": coretype, "seconds": ways}


def test_the_table_has_a_block_for_each_processor_and_a_column_for_each_kernel(modules):
    ours, products = modules.inference.OURS, {"products": (9, 8), "OpenVINO, products": (7, 6)}
    by_hand = {"NumPy by hand": (12, 11), "NumPy in place": (13, 10.5)}
    first = [
        cell_of({ours: (10, 10), "torch": (200, 20), **by_hand, **products}),
        cell_of({ours: (20, 20), **by_hand}, "Haswell", "Zen"),
    ]
    second = [cell_of({ours: (10, 10)}, "Zen", rows=1)]
    results = [
        {"about": facts(kind), "rounds": 3, "cells": cells}
        for kind, cells in ((AMD, first), (INTEL, second))
    ]
    *lines, header, _, block, row, other_block, other_row = modules.inference.markdown(results)
    assert [line.endswith("abc; numpy 2.4.6. Best of 3 rounds.") for line in lines[::2]] == [
        True
    ] * 2
    assert header == (
        "| network, rows, threads | xpnet, µs | of products | NumPy by hand | NumPy in place "
        "| torch | others' products | NumPy, Haswell |"
    )
    assert block.startswith("| **amd-family-26-model-2** |")
    assert row == (
        "| 784-50-10 relu, 7, 1 | 100 | 80% | 1.20 / 1.10 | 1.30 / 1.05 | 20 / 2.00 "
        "| 0.70 / 0.60 | 0.60 / 0.53 |"
    )
    assert other_block.startswith("| **intel-family-6-model-143** |")
    assert other_row == "| 784-50-10 relu, 1, 1 | 100.0 | - | - | - | - | - | - |"


def test_the_table_of_trainings_has_all_processors(modules):
    ours, other = {"best": 0.2, "median": 0.25}, {"best": 0.3, "median": 0.5}
    cells = [
        [{"threads": 1, "seconds": {"xpnet": ours, "torch": other}}],
        [{"threads": 2, "seconds": {"xpnet": ours}}],
    ]
    results = [
        {"about": facts(kind), "rounds": 3, "rows": 60_000, "cells": each}
        for kind, each in zip((AMD, INTEL), cells, strict=True)
    ]
    lines = modules.training.markdown(json.loads(json.dumps(results)))
    assert lines[-4:] == [
        "| processor, threads | xpnet, ms | torch |",
        "| --- | ---: | ---: |",
        "| amd-family-26-model-2, 1 | 200 (250) | 1.50 (2.00) |",
        "| intel-family-6-model-143, 2 | 200 (250) | - |",
    ]
    assert lines[0].endswith("60,000 rows. Best of 3 rounds; in brackets, the median.")


def test_contenders_take_turns_in_a_rotating_order(modules):
    assert "".join(name for _, name in modules.measuring.turns(range(4), "abc")) == "abcbcacababc"


@pytest.mark.parametrize(("turn", "n_calls"), [(1.0, 5), (0.1, 1)])
def test_a_turn_has_as_many_calls_as_fit(modules, turn, n_calls):
    calls = []

    def seconds(action):
        before = len(calls)
        action()
        return 0.25 * (len(calls) - before)

    assert modules.measuring.mean_seconds(lambda: calls.append(1), turn, seconds) == 0.25
    assert len(calls) == n_calls


def test_wrong_labels_of_a_workload_are_counted(modules):
    workload = modules.workload.Workload(modules.workload.Shape.parse("784-20-10:relu"), 50)
    labels = workload.truth[0].copy()
    assert workload.n_wrong(labels) == 0
    clear = np.flatnonzero(workload.truth[1])[:2]
    labels[clear] = (labels[clear] + 1) % 10
    assert workload.n_wrong(labels) == 2


def test_a_worker_answers_or_names_its_failure(modules):
    with modules.processes.Worker("a list", list, (3, 1, 2), threads=1) as worker:
        worker.ask("sort")
        assert worker.ask("index", 3) == 2
        with pytest.raises(modules.processes.WorkerError, match="a list: ValueError: 7 is not in"):
            worker.ask("index", 7)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("NVIDIA GeForce RTX 4090 (Laptop)", "nvidia-geforce-rtx-4090-laptop"),
    ],
)
def test_a_card_names_its_file(modules, name, slug):
    assert modules.provenance.file_name(name) == slug
