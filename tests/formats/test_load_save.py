"""Loading and saving by suffix, options, and the embedded sample."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xpnet import (
    Dense,
    Device,
    DeviceError,
    Network,
    Scale,
    Standardize,
    WeightsError,
    evaluate,
    init_network,
    load,
    reproducible,
    sample,
    save,
)
from xpnet.networks.input_range import takes_bytes

NETWORK = Network([Dense([[0.5], [0.25]], [-0.7], "step")])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


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
        save(reproducible(NETWORK), paths[1])
    assert [x.filename for x in caught] == [__file__]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert not load(paths[1]).is_reproducible


@pytest.mark.parametrize("name", ["model.safetensors", "a.b.npz", "MODEL.NPZ"])
def test_the_suffix_says_the_format(tmp_path, name):
    for path in (tmp_path / name, str(tmp_path / name)):
        save(NETWORK, path, force=True)
        assert load(path).n_in == 2


@pytest.mark.parametrize(
    "name", ["model", "model.safetensors.gz", ".safetensors", "a.npz/model", "model.pkl"]
)
def test_suffixes_that_are_not_written(tmp_path, name):
    with pytest.raises(ValueError, match="must end in"):
        save(NETWORK, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("model", ".safetensors, .npz, .onnx, .pkl, .pt, .pth"),
        ("model.keras", r"from_keras\(keras.saving.load_model"),
        ("model.weights.H5", "from_keras"),
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


@pytest.mark.parametrize("content", [b"", b"{", b"<html>" * 99, bytes(999), b"PK\3\4"], ids=ascii)
def test_content_of_other_kinds(tmp_path, suffix, content):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"model{suffix}: ") as caught:
        load(path)
    assert str(caught.value).isprintable()


def test_files_that_cannot_be_read(tmp_path, suffix):
    with pytest.raises(FileNotFoundError, match="missing"):
        load(tmp_path / f"missing{suffix}")
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(OSError, match="folder"):
        load(folder)


def test_an_existing_file_stays_without_force_and_after_a_failure(path):
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="force=True"):
        save(NETWORK, path)
    with pytest.raises(ValueError, match="finite"):
        save(Network([Dense([[np.nan]], [0.0])]), path, force=True)
    with pytest.raises(ValueError, match=r"\.onnx"):
        save(NETWORK, path, force=True, input_dtype="uint8")
    assert path.read_bytes() == b"precious"
    assert list(path.parent.iterdir()) == [path]
    save(NETWORK, path, force=True)
    network = load(path)
    path.write_bytes(bytes(len(path.read_bytes())))
    assert network.layers[0].weight.tolist() == [[0.5], [0.25]]


FEW = init_network([3, 2])


@pytest.mark.parametrize(
    ("network", "word", "is_for_bytes"),
    [
        (replace(FEW, preprocessing=Scale(1 / 255)), None, True),
        (FEW, "0..255", True),
        (replace(load("sample"), preprocessing=Standardize(33.3, 78.6)), None, True),
        (replace(load("sample"), preprocessing=()), None, False),
        (load("sample"), "none", False),
        (replace(FEW, preprocessing=Scale(0.5)), None, False),
        (replace(FEW, preprocessing=Standardize(100.0, 20.0)), None, False),
    ],
    ids=str,
)
def test_bytes_are_for_a_network_that_takes_them(tmp_path, network, word, is_for_bytes):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    path = tmp_path / "bytes.onnx"
    network = replace(network, metadata={} if word is None else {"input_range": word})
    save(network, path)
    with nullcontext() if is_for_bytes else pytest.raises(ValueError, match="are no bytes"):
        save(network, path, force=True, input_dtype="uint8")


def test_the_sample_is_a_trained_network():
    network = load("sample")
    assert repr(network).startswith("Network(784 -> 50 sigmoid -> 100 sigmoid -> 10 identity; ")
    assert (network.preprocessing[0].factor, network.dtype) == (1 / 255, np.float32)
    assert evaluate(network, *sample()).accuracy >= 0.97


@pytest.mark.parametrize("name", ["./sample", Path("sample")], ids=repr)
def test_a_file_called_sample(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("sample").touch()
    with pytest.raises(WeightsError, match="must end in"):
        load(name)


@pytest.mark.usefixtures("no_gpu")
def test_devices():
    assert load("sample", device=Device("cpu")).library == "numpy"
    for word, cause in [("gpu", "pip install"), ("tpu", "tpu")]:
        with pytest.raises(DeviceError, match=cause):
            load("sample", device=word)


@pytest.mark.parametrize(
    ("input_range", "steps"),
    [
        (None, ()),
        ("none", ()),
        ("0..1", (Scale(1 / 255),)),
        ("0.1307,0.3081", (Scale(1 / 255), Standardize(0.1307, 0.3081))),
    ],
)
def test_the_range_of_the_inputs(tmp_path, input_range, steps):
    path = tmp_path / "book.npz"
    np.savez(path, W1=np.ones((4, 2)), b1=np.zeros(2))
    found = load(path, input_range=input_range)
    assert str(found.preprocessing) == str(steps)
    assert takes_bytes(found) == (input_range not in {None, "none"})
