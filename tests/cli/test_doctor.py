"""``xpnet doctor``: exit code and facts."""

import json
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

import xpnet as package
from xpnet import Device, DeviceError
from xpnet.arrays.device_errors import Diagnosis
from xpnet.arrays.known_libraries import KNOWN

CONFIG = "OS            : Linux\nCuPy Version  : 14.2.0\n"


@pytest.fixture(params=[False, True], ids=["unusable", "usable"])
def is_usable(request, monkeypatch):
    """Let there be a GPU, or one whose driver is missing; return whether it is usable."""

    def open_device(_):
        if request.param:
            return strict.Device("device1")
        raise DeviceError(Diagnosis("no-driver", "no NVIDIA driver was found", "install one"))

    strict = pytest.importorskip("array_api_strict")
    gpu = replace(KNOWN["array-api-strict"], name="cupy", open=open_device)
    monkeypatch.setitem(KNOWN, "cupy", gpu)
    monkeypatch.setattr("xpnet.arrays.gpu.cupy_config", lambda: CONFIG)
    return request.param


@pytest.mark.parametrize("word", ["gpu:1", "cuda:1"])
def test_the_code_is_the_verdict(xpnet, is_usable, word):
    result = xpnet("doctor", "--device", word)
    assert (result.code, result.err) == (0 if is_usable else 5, "")


def test_the_text(xpnet, is_usable):
    out = xpnet("doctor", "--device", "gpu:1").out
    assert out.endswith(f"\n\n{CONFIG}")
    groups = out.removesuffix(CONFIG).strip().split("\n\n")
    firsts = ["device", "cpu", "library", "xpnet"] if is_usable else ["device", "cpu", "xpnet"]
    assert [group.split()[0] for group in groups] == firsts
    lines = [line for group in groups for line in group.splitlines()]
    rows = {line.split()[0]: line.split(None, 1)[1] for line in lines}
    assert len({line.index(text) for line, text in zip(lines, rows.values(), strict=True)}) == 1
    assert list(rows)[:3] == ["device", "why", "fix"]
    assert rows["device"] == ("gpu:1: usable" if is_usable else "gpu:1: not usable")
    assert rows["cpu"] == f"usable: {Device('cpu').hardware}"
    assert rows["fix"] == ("nothing to fix" if is_usable else "install one")
    assert rows["numpy"] == np.__version__
    assert rows["executable"] == sys.executable


def test_json(xpnet, is_usable):
    result = xpnet("doctor", "--device", "gpu:1", "--json")
    found = json.loads(result.out)
    assert (result.code, result.err) == (0 if is_usable else 5, "")
    assert found.pop("devices")["cpu"].startswith("usable: ")
    assert found.pop("facts")["numpy"] == np.__version__
    message = found.pop("message")
    assert message.startswith("usable: ") if is_usable else "driver" in message
    assert found == {
        "device": "gpu:1",
        "usable": is_usable,
        "code": "usable" if is_usable else "no-driver",
        "fix": "" if is_usable else "install one",
        "cupy_config": CONFIG,
    }


def test_the_codes_are_in_the_help(xpnet):
    result = xpnet("doctor", "--help")
    assert result.code == 0
    assert (
        "Exit codes: 0 usable, 5 not usable, 1 a check of --verify failed, 2 usage." in result.out
    )


def test_a_source_tree_has_no_version(xpnet, monkeypatch):
    def fail(_):
        raise PackageNotFoundError

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
    assert found["facts"]["numpy"] == np.__version__
    assert found["message"]
