"""Loading and saving by suffix, options, and the embedded sample."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet import Dense, Network, Scale, Standardize, WeightsError, init_network, load, save
from xpnet.networks.input_range import takes_bytes

NETWORK = Network([Dense([[0.5], [0.25]], [-0.7], "step")])


@pytest.fixture(params=[".safetensors", ".npz", ".onnx", ".pkl", ".pt"])
def suffix(request):
    library = {".onnx": "onnx", ".pt": "torch"}.get(request.param, "numpy")
    pytest.importorskip(library, reason=f"the package {library} is not installed")
    return request.param


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_reproducible_network_is_saved_as_the_ordinary_one(tmp_path, suffix):
    paths = [tmp_path / f"{name}{suffix}" for name in ("ordinary", "exact")]
    save(NETWORK, paths[0])
    with pytest.warns(UserWarning, match="reproducible") as caught:
        save(xpnet.reproducible(NETWORK), paths[1])
    assert [x.filename for x in caught] == [__file__]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_suffix_says_the_format(tmp_path):
    for name in ("model.safetensors", "a.b.npz", "MODEL.NPZ"):
        for path in (tmp_path / name, str(tmp_path / name)):
            save(NETWORK, path, force=True)
            assert load(path).n_in == 2
    for name in ("model", "model.safetensors.gz", ".safetensors", "a.npz/model", "model.pkl"):
        with pytest.raises(ValueError, match="must end in"):
            save(NETWORK, tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("model", ".safetensors, .npz, .onnx, .pkl, .pt, .pth"),
        ("model.weights.H5", r"from_keras\(keras.saving.load_model"),
        ("a\x1b[31m.keras", r"a\\x1b\[31m"),
    ],
    ids=ascii,
)
def test_files_of_other_kinds(tmp_path, name, word):
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(WeightsError, match=word) as caught:
        load(tmp_path / name)
    assert caught.value.file == str(tmp_path / name)
    assert str(caught.value).isprintable()


def test_files_that_are_damaged_or_cannot_be_read(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    with pytest.raises(FileNotFoundError, match="model"):
        load(path)
    for content in (b"", b"{", b"<html>" * 99, bytes(999), b"PK\3\4"):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=f"model{suffix}: ") as caught:
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


def test_a_loaded_network_does_not_depend_on_its_file(tmp_path):
    save(NETWORK, path := tmp_path / "model.safetensors")
    network = load(path)
    path.write_bytes(bytes(len(path.read_bytes())))
    assert network.layers[0].weight.tolist() == [[0.5], [0.25]]


FEW, SAMPLE = init_network([3, 2]), load("sample")


@pytest.mark.parametrize(
    ("network", "word", "is_for_bytes"),
    [
        (replace(FEW, preprocessing=Scale(1 / 255)), None, True),
        (FEW, "0..255", True),
        (replace(SAMPLE, preprocessing=Standardize(33.3, 78.6)), None, True),
        (replace(SAMPLE, preprocessing=()), None, False),
        (SAMPLE, "none", False),
        (replace(FEW, preprocessing=Scale(0.5)), None, False),
        (replace(FEW, preprocessing=Standardize(100.0, 20.0)), None, False),
    ],
    ids=str,
)
def test_bytes_are_for_a_network_that_takes_them(tmp_path, network, word, is_for_bytes):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    network = replace(network, metadata={} if word is None else {"input_range": word})
    with nullcontext() if is_for_bytes else pytest.raises(ValueError, match="are no bytes"):
        save(network, tmp_path / "bytes.onnx", input_dtype="uint8")


def test_the_sample_is_a_trained_network(tmp_path, monkeypatch):
    assert repr(SAMPLE).startswith("Network(784 -> 50 sigmoid -> 100 sigmoid -> 10 identity; ")
    assert (SAMPLE.preprocessing[0].factor, SAMPLE.dtype) == (1 / 255, np.float32)
    assert xpnet.evaluate(SAMPLE, *xpnet.sample()).accuracy >= 0.97
    monkeypatch.chdir(tmp_path)
    Path("sample").touch()
    for name in ("./sample", Path("sample")):
        with pytest.raises(WeightsError, match="must end in"):
            load(name)


@pytest.mark.usefixtures("no_gpu")
def test_devices():
    assert load("sample", device=xpnet.Device("cpu")).library == "numpy"
    for word, cause in [("gpu", "pip install"), ("tpu", "tpu")]:
        with pytest.raises(xpnet.DeviceError, match=cause):
            load("sample", device=word)


def test_the_range_of_the_inputs(tmp_path):
    np.savez(path := tmp_path / "book.npz", W1=np.ones((4, 2)), b1=np.zeros(2))
    assert load(path).preprocessing == ()
    found = load(path, input_range="0.1307,0.3081")
    assert str(found.preprocessing) == str((Scale(1 / 255), Standardize(0.1307, 0.3081)))
    assert takes_bytes(found)
