"""``xpnet fetch``, and the words mnist and fashion-mnist for DATA."""

import json
from dataclasses import replace

import pytest

from xpnet import load
from xpnet.datasets.fetch import DATA_SETS, FILES

QUICK = ("--epochs", "1", "--validation", "0", "-o")


@pytest.fixture
def mnist(published, tmp_path, monkeypatch):
    """Let MNIST be a small data set of a local server; return its folder."""
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(DATA_SETS, "mnist", published("ok"))
    return tmp_path / "cache" / "mnist"


def test_the_report(xpnet, mirror, mnist):
    n_bytes = sum(map(len, mirror.files.values()))
    assert xpnet("fetch", "mnist").out == f"folder  {mnist} ({n_bytes:,} bytes)\n"
    again = json.loads(xpnet("fetch", "mnist", "--json").out)
    assert again == {"name": "mnist", "folder": str(mnist), "bytes": n_bytes}
    assert len(mirror.requests) == len(FILES)


@pytest.mark.usefixtures("mnist")
def test_failures(refused, published, monkeypatch):
    monkeypatch.setitem(DATA_SETS, "mnist", published("wrong", "forbidden"))
    code, line = refused("evaluate", "mnist")
    assert (code, "wrong checksum; 127.0.0.1: 403" in line) == (3, True)


@pytest.mark.usefixtures("mnist")
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_network_trained_on_mnist(xpnet, tmp_path, split):
    words = () if split == "train" else ("--split", "test")  # evaluate reads the other part
    trained = xpnet("train", "mnist", *words, *QUICK, tmp_path / "a.npz")
    assert f"uint8; the {split} part; label" in trained.out
    known = load(tmp_path / "a.npz").metadata.get("data_set")
    data = ("mnist",) if known is None else ("sample", "--rows", "2")  # a part of all of MNIST
    assert known == ("mnist" if split == "train" else None)
    result = xpnet("evaluate", *data, "--model", tmp_path / "a.npz")
    assert "note      these are training images" in result.out
    assert ("the test part" in result.out) is (split == "test")


@pytest.mark.usefixtures("mnist")
def test_names_of_classes_are_stored(xpnet, published, monkeypatch, tmp_path):
    names, model = DATA_SETS["fashion-mnist"].classes, tmp_path / "a.safetensors"
    monkeypatch.setitem(DATA_SETS, "fashion-mnist", replace(published("ok"), classes=names))
    assert xpnet("train", "fashion-mnist", *QUICK, model).code == 0
    assert load(model).classes == names
    assert " of 2)" in xpnet("evaluate", "fashion-mnist", "--model", model).out
