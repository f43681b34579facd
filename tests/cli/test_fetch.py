"""``xpnet fetch``, and the words mnist and fashion-mnist for DATA."""

import json
import sys
from dataclasses import replace

import pytest

from xpnet import load
from xpnet.cli import fetch
from xpnet.datasets.fetch import DATA_SETS, FILES


@pytest.fixture
def mnist(published, tmp_path, monkeypatch):
    """Let MNIST be a small data set of a local server; return its folder."""
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(DATA_SETS, "mnist", published("ok"))
    return tmp_path / "cache" / "mnist"


def test_the_report(xpnet, mirror, mnist):
    assert tuple(DATA_SETS) == fetch.NAMES
    n_bytes = sum(map(len, mirror.files.values()))
    result = xpnet("fetch", "mnist")
    assert (result.code, result.err) == (0, "")
    assert result.out == f"folder  {mnist} ({n_bytes:,} bytes)\n"
    again = json.loads(xpnet("fetch", "mnist", "--json").out)
    assert again == {"name": "mnist", "folder": str(mnist), "bytes": n_bytes}
    assert len(mirror.requests) == len(FILES)


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("evaluate", "test"),
        ("predict", "test"),
        ("show", "test"),
        ("parity", "test"),
        ("train", "train"),
    ],
)
@pytest.mark.usefixtures("mnist")
def test_the_usual_part(xpnet, tmp_path, command, part):
    more = ("--epochs", "1", "--validation", "0", "-o", tmp_path / "a.npz")
    result = xpnet(command, "mnist", *(more if command == "train" else ()))
    assert result.code == 0
    if command in {"evaluate", "train"}:
        assert f"the {part} part" in result.out


@pytest.mark.usefixtures("mnist")
def test_a_failure_is_one_line(refused, published, monkeypatch):
    monkeypatch.setitem(DATA_SETS, "mnist", published("wrong", "forbidden"))
    code, line = refused("evaluate", "mnist")
    assert code == 3
    assert "wrong checksum; 127.0.0.1: 403" in line


@pytest.mark.usefixtures("mnist")
def test_pooch_is_missing(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    code, line = refused("fetch", "mnist")
    assert code == 2
    assert line.endswith("pip install pooch\n")


@pytest.mark.usefixtures("mnist")
def test_names_of_classes_are_stored(xpnet, published, monkeypatch, tmp_path):
    names = DATA_SETS["fashion-mnist"].classes
    data_set = replace(published("ok"), classes=names)
    monkeypatch.setitem(DATA_SETS, "fashion-mnist", data_set)
    model = tmp_path / "a.safetensors"
    options = ["--epochs", "1", "--validation", "0", "--classes", "10"]
    assert xpnet("train", "fashion-mnist", "-o", model, *options).code == 0
    assert load(model).classes == names
    assert " of 2)" in xpnet("evaluate", "fashion-mnist", "--model", model).out
    assert xpnet("show", "fashion-mnist", "--model", model, "--mistakes").code == 0
