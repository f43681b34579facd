"""``xpnet doctor``: exit code and facts."""

import json
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

import xpnet as package
from xpnet import Device, DeviceError
from xpnet.arrays.libraries import KNOWN

CONFIG = "OS            : Linux\nCuPy Version  : 14.2.0\n"


@pytest.fixture(params=[False, True], ids=["unusable", "usable"])
def is_usable(request, monkeypatch):
    """Let there be a GPU, or one whose driver is missing; return whether it is usable."""

    error = DeviceError("no-driver", "no NVIDIA driver was found", "install one")

    def open_device(_):
        if request.param:
            return strict.Device("device1")
        raise error

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
    assert "Exit codes: 0 usable, 5 not usable, 2 usage." in result.out


def test_a_source_tree_has_no_version(xpnet, monkeypatch):
    def fail(_):
        raise PackageNotFoundError

    monkeypatch.setattr(package, "__getattr__", fail)
    monkeypatch.delitem(vars(package), "__version__", raising=False)
    assert json.loads(xpnet("doctor", "--json").out)["facts"]["xpnet"] is None


def test_a_device_that_is_not_usable(xpnet):
    result = xpnet("doctor", "--device", "numpy:0", "--json")
    found = json.loads(result.out)
    assert (result.code, found["usable"], found["code"]) == (5, False, "unusable")


def test_this_machine(xpnet, monkeypatch):
    monkeypatch.setitem(vars(package), "__version__", "1.2.3")
    result = xpnet("doctor", "--json")
    found = json.loads(result.out)
    assert result.code == (0 if found["usable"] else 5)
    assert found["facts"]["numpy"] == np.__version__
    assert found["message"]
