"""benchmarks/gpu.py without a GPU."""

import json
import sys

import pytest


def run(import_benchmark, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["gpu.py", *map(str, words)])
    return import_benchmark("gpu").main()


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_it_says_so(import_benchmark, monkeypatch, capsys):
    assert run(import_benchmark, monkeypatch) == 5
    assert "cupy is not installed" in capsys.readouterr().err


def test_every_question_is_answered_unless_a_check_fails(import_benchmark, monkeypatch, tmp_path):
    words = ("--device", "cpu", "--quick", "--rounds", 1, "--json", tmp_path / "gpu.json")
    for n_wrong in (1, 0):
        monkeypatch.setattr(import_benchmark("rivals").Workload, "n_wrong", lambda *_, n=n_wrong: n)
        assert run(import_benchmark, monkeypatch, *words) == n_wrong
        found = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
        assert ("resident" in found) is (n_wrong == 0)
    assert all(each["passed"] for each in found["checks"])
    assert found["rates"].keys() == {"bytes", "operations"}
