"""Loading and saving by suffix, options, and the embedded sample."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet import Dense, Network, Scale, Standardize, WeightsError, init_network, load, save
from xpnet.formats.input_range import with_input_range

NETWORK = Network([Dense([[0.5], [0.25]], [-0.7], "step")])


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_reproducible_network_is_saved_as_the_ordinary_one(tmp_path, suffix):
    save(NETWORK, path := tmp_path / f"model{suffix}")
    ordinary = path.read_bytes()
    with pytest.warns(UserWarning, match="reproducible") as caught:
        save(xpnet.reproducible(NETWORK), path, force=True)
    assert [x.filename for x in caught] == [__file__]
    assert path.read_bytes() == ordinary
    network = load(path)
    path.write_bytes(bytes(len(ordinary)))  # a network does not depend on its file
    assert network.layers[0].weight.tolist() == [[0.5], [0.25]]


def test_the_suffix_says_the_format(tmp_path):
    for name in ("model.safetensors", "a.b.npz", "MODEL.NPZ"):
        for path in (tmp_path / name, str(tmp_path / name)):
            save(NETWORK, path, force=True)
            assert load(path).n_in == 2
    for name in ("model", "model.safetensors.gz", ".safetensors", "a.npz/model", "model.pkl"):
        with pytest.raises(ValueError, match="must end in"):
            save(NETWORK, tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 3


def test_files_of_other_kinds(tmp_path):
    words = {"model": r"\.safetensors.*\.pth", "model.weights.H5": "from_keras"}
    for name, word in {**words, "a\x1b[31m.keras": r"a\\x1b\[31m"}.items():
        with pytest.raises(WeightsError, match=word) as caught:
            load(tmp_path / name)
        assert caught.value.file == str(tmp_path / name)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "onnx", "pkl", "pt"])
def test_files_that_are_damaged_or_cannot_be_read(tmp_path, suffix):
    library = {"onnx": "onnx", "pt": "torch"}.get(suffix, "numpy")
    pytest.importorskip(library, reason=f"the package {library} is not installed")
    path = tmp_path / f"model.{suffix}"
    with pytest.raises(FileNotFoundError, match="model"):
        load(path)
    for content in (b"", b"{", b"<html>" * 99, bytes(999), b"PK\3\4"):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=f"model.{suffix}: ") as caught:
            load(path)
        assert str(caught.value).isprintable()
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="model"):
        load(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".onnx"])
def test_an_existing_file_stays_without_force_and_after_a_failure(tmp_path, suffix):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="force=True"):
        save(init_network([2, 1]), path)
    for number in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"layers\.0\.weight"):
            save(Network([Dense([[number]], [0.0])]), path, force=True)
    with pytest.raises(ValueError, match="no bytes" if suffix == ".onnx" else r"\.onnx"):
        save(NETWORK, path, force=True, input_dtype="uint8")
    assert path.read_bytes() == b"precious"
    assert list(path.parent.iterdir()) == [path]


FEW, SAMPLE = init_network([3, 2]), load("sample")


def test_bytes_are_for_a_network_that_takes_them(tmp_path):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    for network, metadata in (
        (replace(FEW, preprocessing=Scale(0.5)), {}),
        (replace(FEW, preprocessing=Standardize(100.0, 20.0)), {}),
        (SAMPLE, {"input_range": "none"}),
    ):
        with pytest.raises(ValueError, match="are no bytes"):
            save(replace(network, metadata=metadata), tmp_path / "a.onnx", input_dtype="uint8")
    for network in (replace(FEW, preprocessing=Scale(1 / 255)), with_input_range(FEW, "0..255")):
        save(network, tmp_path / "a.onnx", input_dtype="uint8", force=True)


def test_the_sample_is_a_trained_network(tmp_path, monkeypatch):
    assert repr(SAMPLE).startswith("Network(784 -> 50 sigmoid -> 100 sigmoid -> 10 identity; ")
    assert xpnet.evaluate(SAMPLE, *xpnet.sample()).accuracy >= 0.97
    monkeypatch.chdir(tmp_path)
    Path("sample").touch()
    for name in ("./sample", Path("sample")):
        with pytest.raises(WeightsError, match="must end in"):
            load(name)


def test_devices():
    assert load("sample", device=xpnet.Device("cpu")).library == "numpy"
    with pytest.raises(xpnet.DeviceError, match="tpu"):
        load("sample", device="tpu")
