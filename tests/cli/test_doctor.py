"""``xpnet doctor``: exit code and facts."""

import json
import sys

import numpy as np
import pytest

import xpnet as package
from xpnet.arrays.gpu.gpu_errors import Diagnosis

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

    monkeypatch.setattr("xpnet.arrays.gpu.gpu_facts.gpu_facts", gpu_facts)
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
    assert "Exit codes: 0 the GPU is usable, 5 it is not, 2 usage." in result.out


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
