"""benchmarks/gpu.py without a GPU."""

import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the benchmarks are not here")


@pytest.fixture
def gpu(import_benchmark, monkeypatch, tmp_path):
    monkeypatch.setattr(
        sys, "argv", ["gpu.py", "--device", "cpu", "--quick", "--json", str(tmp_path)]
    )
    return import_benchmark("gpu")


def result_in(folder):
    (path,) = folder.glob("gpu-none-*.json")
    return json.loads(path.read_text("utf-8"))


@pytest.mark.long
def test_every_question_is_answered(gpu, tmp_path):
    assert gpu.main() == 0
    found = result_in(tmp_path)
    assert all(each["passed"] for each in found["checks"])
    assert found["rates"].keys() == {"bytes", "operations"}
    assert "xpnet" in found["end_to_end"]["seconds"]
    assert [each["rows"] for each in found["resident"]] == [256, 1] * 2


def test_nothing_is_timed_where_a_check_fails(gpu, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu.Workload, "n_wrong", lambda *_: 1)
    assert gpu.main() == 1
    assert "end_to_end" not in result_in(tmp_path)
    assert "nothing is timed" in capsys.readouterr().err
