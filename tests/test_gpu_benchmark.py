"""benchmarks/gpu.py without a GPU: a rehearsal, its table, a failed check."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
NARROW, WIDE = "784-50-100-10:sigmoid", "784-4096-4096-10:relu"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the benchmarks are not here")


@pytest.fixture(scope="module")
def gpu(import_benchmark):
    return import_benchmark("gpu")


def best(**seconds):
    return {name.replace("_", ", "): {"best": x, "median": 2 * x} for name, x in seconds.items()}


def result_of(card="Card | one", **changes):
    """Return a result as the script writes it."""
    about = {
        "date": "2026-11-25",
        "hardware": "2 x a processor",
        "processor": {"vendor": "AuthenticAMD", "family": "26", "model": "2"},
        "cpu features": {"numpy": []},
        "blas": {"library": "openblas", "version": "0.3.31", "kernel": "SkylakeX"},
        "gpu": {"card": card, "driver": "580 (CUDA 13.0)"},
        "environment": {},
        "commit": "0123abc",
        "versions": {"numpy": "2.4.6"},
    }
    many = [
        {"network": NARROW, "rows": 65_536, "operations": 10**9, "seconds": best(xpnet=1, torch=3)},
        {"network": NARROW, "rows": 1, "operations": 10, "seconds": best(xpnet=1)},
        {"network": WIDE, "rows": 65_536, "operations": 9 * 10**9, "seconds": best(xpnet=1)},
    ]
    ends = best(xpnet_pinned=1.25, xpnet_pageable=2.0, torch_pageable=8.0)
    return {
        "about": about,
        "card": card,
        "quick": False,
        "rehearsal": False,
        "rounds": 3,
        "checks": [{"passed": True}],
        "rates": {"bytes": 784e6, "operations": 10**10},
        "end_to_end": {"rows": 10**6, "seconds": ends},
        "resident": many,
        **changes,
    }


def test_the_table_has_shares_of_the_limits_and_the_times_of_torch(gpu):
    lines = gpu.markdown([result_of()])
    assert lines[-1] == "| Card / one | 0.8 (80%) | 0.5 (50%) | 4.0 | 3.00 | - | 90% |"
    assert lines[0].startswith("2026-11-25, Card | one, driver 580 (CUDA 13.0), 2 x a processor")
    assert {line.count("|") for line in lines[-3:]} == {8}


def test_without_results_the_table_claims_nothing(gpu):
    assert gpu.markdown([]) == [gpu.NOTHING]


def test_rehearsals_and_quick_runs_are_no_results(gpu, tmp_path):
    assert gpu.read_results(tmp_path) == []
    for name, content in {
        "gpu-b-2026-11-25.json": result_of("b"),
        "gpu-none-2026-11-25.json": result_of(rehearsal=True),
        "gpu-c-2026-11-25.json": result_of("c", quick=True),
        "other.json": {},
    }.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    assert [result["card"] for result in gpu.read_results(tmp_path)] == ["b"]


def script(*arguments):
    """Run the script without a GPU; return its exit code and output."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    return done.returncode, done.stdout


def test_without_a_gpu_it_ends_with_5_and_writes_nothing(tmp_path):
    assert script("--json", str(tmp_path)) == (5, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_rehearsal_answers_every_question(gpu, tmp_path):
    code, output = script("--device", "cpu", "--quick", "--json", str(tmp_path))
    assert code == 0, output
    (path,) = tmp_path.glob("gpu-none-*.json")
    content = json.loads(path.read_text("utf-8"))
    assert content["rehearsal"] is True
    assert all(each["passed"] for each in content["checks"])
    assert content["rates"].keys() == {"bytes", "operations"}
    assert {"xpnet, pinned", "xpnet, pageable"} <= content["end_to_end"]["seconds"].keys()
    assert [each["rows"] for each in content["resident"]] == [256, 1] * 2
    assert gpu.markdown([content])[-1].startswith("| none | ")


def test_nothing_is_timed_where_a_check_fails(gpu, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu.Workload, "n_wrong", lambda *_: 1)
    path = tmp_path / "gpu.json"
    arguments = ["gpu.py", "--device", "cpu", "--quick", "--json", str(path)]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setenv("CUPY_TF32", "0")  # restored at the end
    assert gpu.main() == 1
    content = json.loads(path.read_text("utf-8"))
    assert [each["passed"] for each in content["checks"]] == [False, False]
    assert "end_to_end" not in content
    assert "nothing is timed" in capsys.readouterr().err
