"""benchmarks/gpu.py and its sections without a GPU: arithmetic, budget, tables, a rehearsal."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import xpnet

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPT = BENCHMARKS / "gpu.py"
NARROW, WIDE = "784-50-100-10:sigmoid", "784-4096-4096-10:relu"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the benchmarks are not here")

CEILINGS = {
    "pinned_to_device": {"best": 784e6},
    "pageable_to_pinned": {"best": 392e6},
    "file_to_pinned": {"best": 1568e6},
}


@pytest.fixture(scope="module")
def modules(import_benchmark):
    """The scripts and parts of the harness by their names."""
    sections = ("ceilings", "checks", "cold_start", "resident", "streams")
    parts = ("devices", "measuring", "processes", "provenance", "server", "session", "workload")
    found = {"gpu": import_benchmark("gpu")}
    found |= {name: import_benchmark(f"sections.{name}") for name in sections}
    found |= {name: import_benchmark(f"harness.{name}") for name in parts}
    return SimpleNamespace(**found)


class Clock:
    """A fake clock that advances on request."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_session(modules, clock, tmp_path):
    def make(seconds, path=None):
        content = {"driver": "580", "commit": "abc", "card": "A card"}
        parts = (modules.devices.HostDevice(), modules.measuring.Budget(seconds, clock))
        plan = modules.session.SMALL
        return modules.session.Session(plan, *parts, content, path, tmp_path)

    return make


def result_of(name="NVIDIA H100 80GB HBM3", **changes):
    """Return a result as the script writes it."""
    resident = {"rows": 65_536, "precision": "float32"}
    resident |= {"ratio_to_torch_compile": 1.25, "share_of_product_rate": 0.93}
    end = {"rows_per_second": {"best": 65e6, "median": 64e6}}
    end |= {"share_of_copy_rate": 0.95, "ratio_to_torch_naive": 7.5}
    return {
        "card": name,
        "rehearsal": False,
        "quick": False,
        "driver": "580.65.06 (CUDA 13.0)",
        "versions": {"cuda": "13.0", "cupy": "14.2.0"},
        "commit": "0123abc",
        "date": "2026-11-25",
        "checks": {"passed": True, "each": [{"name": "labels", "passed": True}]},
        "end_to_end": [{"source": source, **end} for source in ("pinned", "pageable")],
        "resident": [{"network": network, **resident} for network in (NARROW, WIDE)],
        "bar": [{"name": "a bar", "value": 1.0, "wanted": 0.9, "reached": True}],
        **changes,
    }


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("NVIDIA H100 80GB HBM3", "nvidia-h100-80gb-hbm3"),
        ("NVIDIA GeForce RTX 4090 (Laptop)", "nvidia-geforce-rtx-4090-laptop"),
        ("none (rehearsal)", "none-rehearsal"),
    ],
)
def test_a_card_names_its_file(modules, name, slug):
    path = modules.session.result_path({"card": name, "date": "2026-11-25"})
    assert path == BENCHMARKS / "results" / f"gpu-{slug}-2026-11-25.json"


@pytest.mark.parametrize(
    ("source", "rows_per_second"), [("pinned", 1e6), ("pageable", 0.5e6), ("file", 1e6)]
)
def test_the_slowest_copy_limits_the_rows(modules, source, rows_per_second):
    assert modules.streams.copy_limit(source, CEILINGS, 784) == rows_per_second
    assert modules.streams.copy_limit(source, {}, 784) is None


def test_rates_end_to_end_are_shares_of_copying_and_multiples_of_torch(modules):
    def way(who, source, best, **facts):
        rate = best and {"best": best, "median": best}
        return {"who": who, "source": source, "rows": 100, "chunk": None, "rate": rate, **facts}

    ways = [
        way("xpnet", "pinned", 0.9e6),
        way("xpnet", "pageable", 0.4e6),
        way("xpnet", "file", 0.8e6),
        way("torch", "pageable", 0.1e6),
        way("torch", "pageable", 0.2e6, chunk=64),
        way("torch", "pinned", None),
    ]
    pinned, pageable, file = modules.streams.entries(ways, CEILINGS, NARROW)
    assert pinned["share_of_copy_rate"] == pytest.approx(0.9)
    assert pinned["ratio_to_torch_naive"] is None
    assert pageable["share_of_copy_rate"] == pytest.approx(0.8)
    assert pageable["ratio_to_torch_naive"] == pytest.approx(4.0)
    assert pageable["ratio_to_torch_in_chunks"] == pytest.approx(2.0)
    assert file["share_of_copy_rate"] == pytest.approx(0.8)
    assert file["ratio_to_torch_naive"] == pytest.approx(8.0)
    assert modules.streams.entries([way("xpnet", "pinned", None)], CEILINGS, NARROW) == []


def test_the_faster_way_of_torch_compile_counts(modules):
    best = {"xpnet, prepared": 2.0, "torch": 5.0, "torch.compile": 4.0}
    best["torch.compile, CUDA graphs"] = 3.0
    found = modules.resident.compared({name: {"best": x} for name, x in best.items()})
    expected = {"ratio_to_torch_compile": 1.5, "ratio_to_torch": 2.5, "ratio_to_jax": None}
    assert found == expected


def test_bars_are_reached(modules):
    bars = modules.gpu.bars(result_of())
    assert [bar["value"] for bar in bars] == [0.95, 0.95, 7.5, 1.25, 1.25, 0.93, True]
    assert all(bar["reached"] for bar in bars)


def test_bars_are_not_reached_where_something_is_slow_or_was_not_measured(modules):
    content = result_of(checks={"passed": False, "each": []})
    content["end_to_end"][0]["share_of_copy_rate"] = 0.91
    content["resident"][1]["rows"] = 1024
    bars = {bar["name"]: bar for bar in modules.gpu.bars(content)}
    missed = {name: bar["value"] for name, bar in bars.items() if not bar["reached"]}
    wide = f"65,536 rows on the device, {WIDE}"
    assert missed == {
        "pinned rows, share of the copy rate": 0.91,
        f"{wide}, times torch.compile": None,
        f"{wide}, share of the products": None,
        "checks passed": False,
    }


def test_tables_have_a_line_for_each_card(modules):
    lines = modules.gpu.markdown([result_of("Card | one"), result_of("Card two")])
    assert (
        "| Card / one | 580.65.06 (CUDA 13.0) | 13.0 | 14.2.0 | 2026-11-25 | 0123abc"
        " | 1 of 1 passed |"
    ) in lines
    speed = "| Card two | 65.0 (95%) | 65.0 (95%) | - | 7.5 | 1.25 | 1.25 | 93% | 1 of 1 |"
    assert lines[-1] == speed
    assert "Not yet run on: every other GPU." in lines
    tables = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in tables[:4]} == {8}
    assert {line.count("|") for line in tables[4:]} == {10}


def test_rehearsals_and_quick_runs_are_no_results(modules, tmp_path):
    assert modules.gpu.read_results(tmp_path) == ([], {})
    for name, content in {
        "gpu-b-2026-11-25.json": result_of("b"),
        "gpu-a-2026-11-25.json": result_of("a"),
        "gpu-none-2026-11-25.json": result_of(rehearsal=True),
        "gpu-c-2026-11-25.json": result_of("c", quick=True),
        "other.json": {},
    }.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    results, ignored = modules.gpu.read_results(tmp_path)
    assert [result["card"] for result in results] == ["a", "b"]
    assert ignored == {
        "gpu-none-2026-11-25.json": "a rehearsal, which measures no card",
        "gpu-c-2026-11-25.json": "a quick run, which is too short",
    }


def test_without_results_the_table_claims_nothing(modules, tmp_path, monkeypatch):
    marks = ("<!-- table of benchmarks/gpu.py -->", "<!-- end of the table -->")
    page = tmp_path / "page.md"
    page.write_text("before\n" + "\nold\n".join(marks) + "\nafter\n", encoding="utf-8")
    monkeypatch.setattr(modules.gpu, "RESULTS", tmp_path)
    assert modules.gpu.write_tables(str(page)) == 0
    found = page.read_text(encoding="utf-8")
    claim = "Run on: no GPU yet. Not yet run on: every GPU. So no speed on a GPU is claimed."
    assert found == f"before\n{marks[0]}\n\n{claim}\n\n{marks[1]}\nafter\n"


def test_a_section_leaves_seconds_for_later_ones(modules, clock):
    budget = modules.measuring.Budget(100.0, clock)
    assert budget.begin(least=10.0, kept=40.0)
    assert budget.left == 60.0
    clock.now += 95.0
    assert budget.left == 0.0
    assert not budget.begin(least=10.0, kept=0.0)
    assert budget.begin(least=5.0, kept=40.0)
    assert budget.left == 5.0
    assert budget.spent == 95.0


def test_rounds_end_before_there_is_no_time(clock, make_session):
    session = make_session(10.0)
    n_done = 0
    for _ in session.rounds("something", 7):
        clock.now += 4.0
        n_done += 1
    assert n_done == 2
    session.skip("torch", "it is missing")
    session.skip("torch", "it is missing")
    assert session.content["skipped"] == [
        {"what": "rounds of something", "why": "out of time after 2 of 7"},
        {"what": "torch", "why": "it is missing"},
    ]


def test_contenders_take_turns_in_a_rotating_order(modules):
    assert "".join(name for _, name in modules.measuring.turns(range(4), "abc")) == "abcbcacababc"


def test_a_turn_has_as_many_calls_as_fit(modules, clock):
    def call():
        clock.now += 0.25
        calls.append(clock.now)

    def seconds(action):
        start = clock.now
        action()
        return clock.now - start

    for turn, n_calls in ((1.0, 5), (0.1, 1)):
        calls = []
        assert modules.measuring.mean_seconds(call, turn, seconds) == 0.25
        assert len(calls) == n_calls


def sections(modules, **measures):
    """Return sections; those whose names end in _timing need passed checks."""
    return {
        name: modules.session.Section(measure, 10.0, is_timing=name.endswith("_timing"))
        for name, measure in measures.items()
    }


def never(_):
    pytest.fail("it was measured")


def test_the_file_has_each_section_when_the_next_one_begins(modules, make_session, tmp_path):
    path = tmp_path / "new" / "gpu.json"
    seen = []

    def first(session):
        seen.append(json.loads(path.read_text(encoding="utf-8")))
        session.content["ceilings"]["a copy"] = 1.0

    def second(_):
        seen.append(json.loads(path.read_text(encoding="utf-8")))

    session = make_session(100.0, path)
    assert modules.session.measure(session, sections(modules, first=first, second=second), 1.0) == 0
    assert [content["ceilings"] for content in seen] == [{}, {"a copy": 1.0}]
    assert [item.name for item in path.parent.iterdir()] == ["gpu.json"]


def test_sections_without_time_are_left_out_with_the_reason(modules, clock, make_session):
    def long(_):
        clock.now += 25.0

    session = make_session(30.0)
    assert modules.session.measure(session, sections(modules, long=long, late=never), 1.0) == 0
    assert session.content["skipped"] == [{"what": "late", "why": "out of time: 5 s are left"}]


def test_small_sizes_need_less_time(modules, make_session):
    ran = []
    assert modules.session.measure(make_session(2.0), sections(modules, small=ran.append), 0.1) == 0
    assert len(ran) == 1


def test_nothing_is_timed_where_a_check_failed(modules, make_session):
    def failing(_):
        msg = "failed, so nothing is timed: labels"
        raise modules.session.ChecksFailedError(msg)

    session = make_session(100.0)
    chosen = sections(modules, checks=failing, fast_timing=never)
    assert modules.session.measure(session, chosen, 1.0) == 1
    why = "nothing is timed, since the checks did not pass"
    assert session.content["skipped"] == [{"what": "fast_timing", "why": why}]


def test_a_fault_leaves_other_sections_alone(modules, make_session, capsys):
    def faulty(_):
        msg = "no such thing"
        raise KeyError(msg)

    ran = []
    session = make_session(100.0)
    chosen = sections(modules, faulty=faulty, good=ran.append)
    assert modules.session.measure(session, chosen, 1.0) == 70
    assert len(ran) == 1
    assert session.content["skipped"] == [{"what": "faulty", "why": "KeyError: 'no such thing'"}]
    assert "Traceback" in capsys.readouterr().err


def test_a_check_that_raises_has_failed(modules, make_session, monkeypatch):
    def broken(*_):
        msg = "out of memory"
        raise MemoryError(msg)

    monkeypatch.setattr(modules.checks, "_same_labels", broken)
    session = make_session(100.0)
    with pytest.raises(modules.session.ChecksFailedError, match=f"{NARROW}: labels"):
        modules.checks.check(session)
    checks = session.content["checks"]
    assert checks["passed"] is False
    assert [entry["passed"] for entry in checks["each"]] == [True, False, True, False, True]
    assert checks["each"][1]["error"] == "MemoryError: out of memory"


def test_threads_copy_and_read_every_byte(modules, tmp_path):
    source = np.random.default_rng(0).integers(0, 256, 100_003, np.uint8)
    threads = modules.ceilings.CopyThreads(threads=3, chunk=4096, ring=2**20)
    copied, read = np.zeros_like(source), np.zeros_like(source)
    assert threads.seconds(modules.ceilings.copier(copied, source), source.size) > 0
    assert np.array_equal(copied, source)
    path = tmp_path / "bytes"
    source.tofile(path)
    if hasattr(os, "preadv"):
        descriptor = os.open(path, os.O_RDONLY)
        threads.seconds(modules.ceilings.reader(read, descriptor), source.size)
        os.close(descriptor)
        assert np.array_equal(read, source)


def test_a_file_repeats_the_rows_of_a_block(modules, make_session):
    block = np.arange(12, dtype=np.uint8).reshape(3, 4)
    path = modules.streams.write_rows(make_session(10.0), block, 7)
    rows = np.fromfile(path, np.uint8).reshape(7, 4)
    assert np.array_equal(rows, np.resize(block, (7, 4)))
    assert np.array_equal(modules.server.fill(np.empty_like(rows), block), rows)


def test_rows_leave_most_of_the_memory(modules):
    assert modules.streams.rows_in_memory(16_000_000, 784, 128 * 2**30) == 16_000_000
    n_rows = modules.streams.rows_in_memory(16_000_000, 784, 2**30)
    assert 2**30 / 8 < n_rows * 784 < 2**30 / 4


def test_only_labels_that_rounding_can_explain_may_differ(modules):
    network = xpnet.load("sample")
    images, _ = xpnet.sample()
    rows, workload = images[:20].reshape(20, -1), modules.workload
    labels, is_clear = workload.clear_labels(workload.exact_logits(network, rows))
    assert np.array_equal(labels, xpnet.predict(network, rows))
    assert np.all(is_clear)
    others = labels.copy()
    others[3] = 9 - others[3]
    assert workload.n_unexplained(network, rows, labels, labels) == 0
    assert workload.n_unexplained(network, rows, labels, others) == 1


def test_wrong_labels_of_a_workload_are_counted(modules):
    workload = modules.workload.Workload(modules.workload.Shape.parse("784-20-10:relu"), 50)
    labels = workload.truth[0].copy()
    assert workload.n_wrong(labels) == 0
    clear = np.flatnonzero(workload.truth[1])[:2]
    labels[clear] = (labels[clear] + 1) % 10
    assert workload.n_wrong(labels) == 2


def test_a_worker_answers_or_names_its_failure(modules):
    worker = modules.processes.Worker("a list", list, (3, 1, 2), threads=1)
    with worker:
        worker.ask("sort")
        assert worker.ask("index", 3) == 2
        with pytest.raises(modules.processes.WorkerError, match="a list: ValueError: 7 is not in"):
            worker.ask("index", 7)


def test_parts_of_a_start_follow_each_other(modules):
    ends = [1.5, 2.0, 2.25, 2.5, 4.0, 4.5]
    names = (*modules.cold_start.PARTS, "second predict")
    output = "\n".join(f"{name} {end}" for name, end in zip(names, ends, strict=True))
    found = modules.cold_start.parts_of(1.0, output)
    assert [found[name] for name in ("imports", "first predict", "in all")] == [0.5, 1.5, 3.0]


def test_what_the_bars_need_comes_first(modules):
    workloads = list(modules.resident.workloads_of(modules.session.Plan()))
    assert [str(workload) for workload in workloads[:3]] == [
        f"{NARROW}, 65,536 rows, float32",
        f"{WIDE}, 65,536 rows, float32",
        f"{WIDE}, 65,536 rows, tf32",
    ]
    assert len(set(workloads)) == len(workloads) == 12


def test_a_copy_without_git_has_the_commit_that_is_given(modules, monkeypatch):
    monkeypatch.setattr(modules.provenance.shutil, "which", lambda _: None)
    monkeypatch.delenv("XPNET_COMMIT", raising=False)
    assert modules.provenance.about()["commit"] == "unknown"
    monkeypatch.setenv("XPNET_COMMIT", "0123abc")
    assert modules.provenance.about()["commit"] == "0123abc (given)"


def test_a_folder_for_the_results_has_a_file_for_the_card(tmp_path):
    words = ("--device", "cpu", "--budget-s", "0.001", "--sections", "ceilings")
    command = [sys.executable, str(SCRIPT), *words, "--json", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = tmp_path.iterdir()
    content = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == f"gpu-none-rehearsal-{content['date']}.json"


def script(path, *arguments):
    """Run the script without a GPU; return its result, exit code and output."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments, "--json", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return content, done.returncode, done.stdout


def test_without_a_gpu_it_ends_with_5_and_writes_nothing(tmp_path):
    content, code, output = script(tmp_path / "gpu.json")
    assert (content, code) == (None, 5)
    assert len(output.splitlines()) == 1


@pytest.mark.slow
def test_a_rehearsal_runs_every_section(tmp_path):
    content, code, output = script(tmp_path / "gpu.json", "--quick")
    assert code == 0
    assert "This is a rehearsal on the host" in output
    assert content["card"] == "none (rehearsal)"
    assert content["rehearsal"] is True
    assert content["checks"]["passed"] is True
    assert {"cold", "warm"} == content["cold_start"].keys()
    assert {"pinned_to_device", "file_to_pinned", "product_float32"} <= content["ceilings"].keys()
    assert [entry["source"] for entry in content["end_to_end"]] == ["pinned", "pageable", "file"]
    assert all(entry["share_of_copy_rate"] > 0 for entry in content["end_to_end"])
    assert all("ratio_to_torch_compile" in entry for entry in content["resident"])
    assert len(content["resident"]) == 4
    assert len(content["bar"]) == 7
    whats = [entry["what"] for entry in content["skipped"]]
    assert "ceiling product_tf32" in whats
    # Rivals that are not installed are recorded, and no others.
    for package, name in {"torch": "torch", "jax": "JAX jit"}.items():
        assert (name in whats) is (importlib.util.find_spec(package) is None)


def test_sections_without_time_or_not_asked_for_are_recorded(tmp_path):
    arguments = ("--device", "cpu", "--budget-s", "0.001", "--sections", "ceilings", "resident")
    content, code, _ = script(tmp_path / "gpu.json", *arguments)
    assert code == 0
    assert [(entry["what"], entry["why"].partition(":")[0]) for entry in content["skipped"]] == [
        ("cold_start", "not asked for"),
        ("end_to_end", "not asked for"),
        ("ceilings", "out of time"),
        ("checks", "out of time"),
        ("resident", "out of time"),
    ]
    assert content["checks"] == {"passed": None, "each": []}
    assert not any(bar["reached"] for bar in content["bar"])
