"""``xpnet doctor``: exit code and facts."""

import json
import sys

import numpy as np
import pytest

import xpnet as package
from xpnet import Device
from xpnet.arrays.device_errors import Diagnosis

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

    def diagnose(index, *, check=False):
        if check:  # otherwise for the list of devices
            assert index == 1
        return found if check else NO_DRIVER

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
        "device",
        "cpu",
        "device_count",
        "cupy_version",
        "xpnet",
    ]
    lines = [line for group in groups for line in group.splitlines()]
    rows = {line.split()[0]: line.split(None, 1)[1] for line in lines}
    assert len({line.index(text) for line, text in zip(lines, rows.values(), strict=True)}) == 1
    assert list(rows)[:4] == ["device", "why", "fix", "product"]
    assert rows["device"] == ("gpu:1: usable" if diagnosis.usable else "gpu:1: not usable")
    assert rows["cpu"] == f"usable: {package.Device('cpu').hardware}"
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
    assert found.pop("devices")["cpu"].startswith("usable: ")
    assert found == {
        "device": "gpu:1",
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
        "Exit codes: 0 usable, 5 not usable, 1 a check of --verify failed, 2 usage." in result.out
    )


def test_a_source_tree_has_no_version(xpnet, monkeypatch):
    def fail(_):
        raise LookupError

    monkeypatch.setattr(package, "__getattr__", fail)
    monkeypatch.delitem(vars(package), "__version__", raising=False)
    assert json.loads(xpnet("doctor", "--json").out)["facts"]["xpnet"] is None


@pytest.mark.parametrize("word", ["cpu", "array-api-strict:device1", "array-api-strict:no_float64"])
def test_a_right_device_passes_all_checks(xpnet, word):
    result = xpnet("doctor", "--device", word, "--verify", "--json")
    found = json.loads(result.out)
    names = [check["name"] for check in found["checks"]]
    assert result.code == 0
    assert (found["device"], found["facts"]["library"]) == (word, Device(word).library)
    assert [check for check in found["checks"] if not check["passed"]] == []
    assert len(names) == len(set(names))
    assert {"transfers", "function sigmoid", "network", "training"} <= set(names)
    assert ("exact outputs" in names) == (word != "array-api-strict:no_float64")
    assert "devices" not in found


def rounded(x):
    """Return float32 numbers with the 10 bits after the point that TF32 keeps."""
    bits = np.asarray(x, np.float32).view(np.uint32) + np.uint32(0x1000)
    return (bits & np.uint32(0xFFFFE000)).view(np.float32)


FAULTS = {
    "function tanh": ("tanh", lambda f: lambda x: rounded(f(x))),
    "network": ("matmul", lambda f: lambda x, y: f(rounded(x), rounded(y))),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_device_fails(xpnet, monkeypatch, name):
    attribute, wrong = FAULTS[name]
    strict = pytest.importorskip("array_api_strict")
    plain = getattr(strict, attribute)

    def faulty(*arrays):
        values = [np.asarray(x.to_device(strict.Device("CPU_DEVICE"))) for x in arrays]
        right = getattr(np, attribute)
        if values[0].dtype != np.float32:
            return plain(*arrays)
        return strict.asarray(wrong(right)(*values), device=arrays[0].device)

    monkeypatch.setattr(strict, attribute, faulty)
    monkeypatch.setattr(type(strict.zeros(1)), "__matmul__", strict.matmul)
    result = xpnet("doctor", "--device", "array-api-strict:device1", "--verify")
    line = next(x for x in result.out.splitlines() if x.startswith(name))
    assert result.code == 1
    assert "WRONG: " in line


def test_a_device_that_is_not_usable(xpnet):
    result = xpnet("doctor", "--device", "numpy:0", "--verify", "--json")
    found = json.loads(result.out)
    assert (result.code, found["usable"], found["code"]) == (5, False, "unusable")
    assert "checks" not in found


def test_this_machine(xpnet, monkeypatch):
    monkeypatch.setitem(vars(package), "__version__", "1.2.3")
    result = xpnet("doctor", "--json")
    found = json.loads(result.out)
    assert result.code == (0 if found["usable"] else 5)
    assert found["product_checked"] or not found["usable"]
    assert found["facts"]["numpy"] == np.__version__
    assert found["message"]
