"""``xpnet doctor``: exit code, facts, and the explanation of --device auto."""

import json
import sys
from typing import Any

import numpy as np
import pytest

import xpnet as package
from xpnet.arrays.gpu.diagnosis import Diagnosis
from xpnet.cli.report import network_text
from xpnet.inference.cost_model import Crossover

USABLE = Diagnosis("usable", "GPU 1 is usable", "", product_error=0.1234)
NO_DRIVER = Diagnosis("no-driver", "no NVIDIA driver was found", "install one")
WRONG = Diagnosis("wrong-product", "GPU 1 computes wrongly", "see", product_error=float("nan"))
FACTS = {
    "device_count": 1,
    "devices": [{"name": "Tesla", "memory_bytes": 1024}],
    "cupy_version": None,
    "wheels": ["cupy-cuda13x"],
    "distributions": {"numpy": "2.4.6"},
    "duplicates": [],
    "tf32": "off",
    "CUDA_VISIBLE_DEVICES": None,
    "CUPY_TF32": "1",
}
PRODUCTS = {
    "usable": "x @ weight + bias was computed; its largest error is 0.123 of its bound",
    "no-driver": "not computed",
    "wrong-product": "x @ weight + bias was computed; its largest error is nan of its bound",
}


@pytest.fixture(params=[USABLE, NO_DRIVER, WRONG], ids=lambda diagnosis: diagnosis.code)
def diagnosis(request, monkeypatch):
    """Return what the doctor finds of GPU 1."""
    found: Diagnosis = request.param
    monkeypatch.setitem(vars(package), "__version__", "1.2.3")

    def gpu_facts(*, checked):
        assert checked == 1
        return FACTS

    def diagnose(index, *, check):
        assert (index, check) == (1, True)
        return found

    monkeypatch.setattr("xpnet.arrays.gpu.diagnosis.gpu_facts", gpu_facts)
    monkeypatch.setattr("xpnet.arrays.gpu.diagnosis.diagnose", diagnose)
    return found


@pytest.mark.parametrize("word", ["gpu:1", "cuda:1"])
def test_the_code_is_the_verdict(xpnet, diagnosis, word):
    result = xpnet("doctor", "--device", word)
    assert (result.code, result.err) == (0 if diagnosis.usable else 5, "")


def test_the_text(xpnet, diagnosis):
    groups = xpnet("doctor", "--device", "gpu:1").out.split("\n\n")
    assert [group.split()[0] for group in groups] == [
        "gpu",
        "device_count",
        "cupy_version",
        "tf32",
        "xpnet",
    ]
    lines = [line for group in groups for line in group.splitlines()]
    rows = {line.split()[0]: line.split(None, 1)[1] for line in lines}
    assert len({line.index(text) for line, text in zip(lines, rows.values(), strict=True)}) == 1
    assert list(rows)[:4] == ["gpu", "why", "fix", "product"]
    assert rows["gpu"] == ("usable" if diagnosis.usable else "not usable")
    assert rows["why"] == diagnosis.message
    assert rows["fix"] == (diagnosis.fix or "nothing to fix")
    assert rows["product"] == PRODUCTS[diagnosis.code]
    assert rows["xpnet"] == "1.2.3"
    assert rows["numpy"] == np.__version__
    assert rows["executable"] == sys.executable
    assert rows["cupy_version"] == "unknown"
    assert rows["wheels"] == "cupy-cuda13x"
    assert rows["distributions"] == "numpy 2.4.6"
    assert rows["duplicates"] == "none"
    assert rows["devices"] == "name Tesla, memory_bytes 1024"
    assert rows["CUDA_VISIBLE_DEVICES"] == "not set"
    assert rows["CUPY_TF32"] == "1"


def test_json(xpnet, diagnosis):
    result = xpnet("doctor", "--device", "gpu:1", "--json")
    found = json.loads(result.out)
    facts = found.pop("facts")
    assert (result.code, result.err) == (0 if diagnosis.usable else 5, "")
    assert found == {
        "usable": diagnosis.usable,
        "code": diagnosis.code,
        "message": diagnosis.message,
        "fix": diagnosis.fix,
        "product_checked": diagnosis is not NO_DRIVER,
        "product_error_in_bounds": 0.1234 if diagnosis.usable else None,
    }
    assert {name: facts[name] for name in FACTS} == FACTS
    assert facts["xpnet"] == "1.2.3"


def test_the_codes_are_in_the_help(xpnet):
    result = xpnet("doctor", "--help")
    assert result.code == 0
    assert (
        "Exit codes: 0 the GPU is usable, 5 it is not, 2 usage; 3 data and 4 weights" in result.out
    )


def test_a_source_tree_has_no_version(xpnet, monkeypatch):
    def fail(_):
        raise LookupError

    monkeypatch.setattr(package, "__getattr__", fail)
    monkeypatch.delitem(vars(package), "__version__", raising=False)
    assert json.loads(xpnet("doctor", "--json").out)["facts"]["xpnet"] is None


def test_this_machine(xpnet, monkeypatch):
    monkeypatch.setitem(vars(package), "__version__", "1.2.3")
    result = xpnet("doctor", "--json")
    found = json.loads(result.out)
    assert result.code == (0 if found["usable"] else 5)
    assert found["product_checked"] or not found["usable"]
    assert found["facts"]["numpy"] == np.__version__
    assert found["message"]


only_without_a_gpu = pytest.mark.parametrize("diagnosis", [NO_DRIVER], indirect=True, ids=["none"])
only_with_a_gpu = pytest.mark.parametrize("diagnosis", [USABLE], indirect=True, ids=["usable"])
EXPLAIN = ("doctor", "--device", "gpu:1", "--explain")
SENTENCE = "1,000 rows take the CPU 3 s, and a GPU about 1 s to start and 1 s;"
FROM_500 = "a GPU takes less time from about 500 rows on"


@pytest.fixture
def asked(monkeypatch):
    """Let a GPU take less time from 500 rows on; return what was asked."""
    asked: dict[str, Any] = {}

    def estimate(network, **options):
        asked.update(network=network, **options)
        return Crossover(3e-3, 1e-3, 1.0, "bus")

    monkeypatch.setattr("xpnet.inference.cost_model.estimate", estimate)
    return asked


@only_without_a_gpu
@pytest.mark.usefixtures("diagnosis")
def test_what_auto_would_choose(xpnet, asked):
    result = xpnet(*EXPLAIN, "--json")
    found = json.loads(result.out)
    assert (result.code, result.err) == (5, "")
    assert not found["usable"]
    assert found["explanation"] == {
        "data": "sample",
        "model": "sample",
        "network": network_text(package.load("sample")),
        "rows": 1000,
        "auto": "cpu",
        "reason": f"{SENTENCE} {FROM_500}",
        "gpu_from_rows": 500,
        "cpu_seconds_per_row": 3e-3,
        "gpu_seconds_per_row": 1e-3,
        "gpu_start_seconds": 1.0,
        "gpu_limit": "bus",
        "gpu_is_assumed": True,
    }
    assert asked.pop("network").library == "numpy"
    assert asked == {"itemsize": 1, "batch_size": None, "card_rate": None}


@only_with_a_gpu
@pytest.mark.usefixtures("diagnosis", "strict_gpu")
@pytest.mark.parametrize(("rows", "auto"), [("499", "cpu"), ("500", "gpu")])
def test_what_auto_would_choose_with_a_gpu(xpnet, asked, monkeypatch, rows, auto):
    monkeypatch.setattr("xpnet.arrays.gpu.gpu_info.peak_rate", {0: 2e13, 1: 3e13}.get)
    result = xpnet(*EXPLAIN, "--rows", rows, "--batch-size", "7", "--json")
    found = json.loads(result.out)["explanation"]
    assert (result.code, found["rows"], found["auto"]) == (0, int(rows), auto)
    assert not found["gpu_is_assumed"]
    assert (asked["batch_size"], asked["card_rate"]) == (7, 3e13)


def explained(out):
    """Return the first group of rows, before those of the GPU."""
    lines = out.partition("\n\n")[0].splitlines()
    width = len("CUDA_VISIBLE_DEVICES")
    return {line[:width].rstrip(): line[width:].strip() for line in lines}


@only_without_a_gpu
@pytest.mark.usefixtures("diagnosis", "asked")
def test_the_text_says_that_there_is_no_gpu(xpnet):
    result = xpnet(*EXPLAIN)
    rows = explained(result.out)
    assert (result.code, result.err) == (5, "")
    assert list(rows) == ["auto", "because", "network", "time per row"]
    assert rows["auto"] == "cpu (data: sample, model: sample)"
    assert rows["because"] == (
        f"no GPU is usable; for a small one (12 GB/s, 5 TFLOP/s): {SENTENCE} {FROM_500}"
    )
    assert rows["network"].startswith("784 -> 50 sigmoid -> ")
    assert rows["time per row"] == (
        "CPU 3e+03 us, measured now; GPU 1e+03 us, estimated, limited by its bus"
    )
    assert "\n\ngpu " in result.out


@only_with_a_gpu
@pytest.mark.usefixtures("diagnosis", "strict_gpu", "asked")
def test_the_text_with_a_gpu(xpnet):
    rows = explained(xpnet(*EXPLAIN).out)
    assert rows["auto"] == "gpu (data: sample, model: sample)"
    assert rows["because"] == f"{SENTENCE} {FROM_500}"


@only_with_a_gpu
@pytest.mark.usefixtures("diagnosis", "strict_gpu", "asked")
def test_standard_input_is_not_counted(xpnet, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)  # it is not even looked at
    found = json.loads(xpnet(*EXPLAIN, "-", "--json").out)["explanation"]
    assert (found["data"], found["rows"], found["auto"]) == ("-", None, "cpu")
    assert found["reason"] == f"the number of rows is unknown; {FROM_500}"


@only_without_a_gpu
@pytest.mark.usefixtures("diagnosis")
def test_data_and_a_network_of_ones_own(xpnet, asked, tmp_path, save_network):
    data, model = tmp_path / "images.npy", save_network(2, n_in=4)
    np.save(data, np.zeros((7, 4), np.uint8))
    found = json.loads(xpnet(*EXPLAIN, data, "--model", model, "--json").out)["explanation"]
    assert (found["data"], found["model"], found["rows"]) == (str(data), str(model), 7)
    assert asked["network"].n_in == 4


@only_without_a_gpu
@pytest.mark.usefixtures("diagnosis")
def test_the_books_network_is_explained(xpnet, asked):
    weights = []
    for words in ((), ("--seed", "1")):
        found = json.loads(xpnet(*EXPLAIN, "--model", "random", *words, "--json").out)
        assert found["explanation"]["model"] == "random"
        weights.append(asked["network"].layers[0].weight)
    assert not np.any(weights[0] == weights[1])


@only_without_a_gpu
@pytest.mark.usefixtures("diagnosis")
def test_a_real_estimate(xpnet):
    found = json.loads(xpnet(*EXPLAIN, "--rows", "5", "--json").out)["explanation"]
    assert found["cpu_seconds_per_row"] > 0
    assert found["gpu_limit"] in {"bus", "arithmetic", "calls"}
    assert found["reason"].startswith("5 rows take the CPU ")
    assert found["gpu_from_rows"] is None or found["gpu_from_rows"] > 5
