"""What is in a file of weights, told without building a network of it."""

import pickle
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet.files.errors import WeightsError
from xpnet.formats.load_save import summarize
from xpnet.formats.model_file import LoadOptions


@pytest.fixture
def network() -> xpnet.Network:
    layer = xpnet.Dense(np.ones((3, 2), np.float32), np.zeros(2, np.float32), "relu")
    return xpnet.Network([layer], preprocessing=xpnet.Scale(0.5))


def test_safetensors(network: xpnet.Network, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    xpnet.save(network, path)
    found = summarize(path, LoadOptions())
    assert found["format"] == "safetensors"
    assert sorted(found["arrays"]) == [
        ["layers.0.bias", "F32", [2]],
        ["layers.0.weight", "F32", [3, 2]],
    ]
    assert '"relu"' in found["metadata"]["xpnet"]


def test_npz(network: xpnet.Network, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    xpnet.save(network, path)
    arrays = summarize(path, LoadOptions())["arrays"]
    assert arrays[:2] == [["W1", "float32", [3, 2]], ["b1", "float32", [2]]]
    assert arrays[2][:2] == ["xpnet", "uint8"]


def test_pickle(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(pickle.dumps({"anything": np.zeros((2, 1, 4))}))
    assert summarize(path, LoadOptions()) == {
        "format": "pickle",
        "arrays": [["anything", "float64", [2, 1, 4]]],
        "metadata": {},
    }


def test_onnx(network: xpnet.Network, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    path = tmp_path / "x.onnx"
    xpnet.save(network, path)
    found = summarize(path, LoadOptions())
    assert found["inputs"] == [["input", ["batch", 3]]]
    assert found["outputs"] == [["logits", ["batch", 2]]]
    assert found["operators"] == {"Mul": 1, "Gemm": 1, "Relu": 1}
    assert found["opsets"] == {"ai.onnx": 17}
    assert found["producer"] == "xpnet"
    assert ["layers.0.weight", "FLOAT", [3, 2]] in found["arrays"]


def test_a_sparse_file_of_many_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    n = 10**10
    header = b'{"x":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}' % (n, 4 * n)
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4 * n)
    assert summarize(path, LoadOptions())["arrays"] == [["x", "F32", [n]]]


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("1,2,3\n")
    with pytest.raises(WeightsError, match="not a file of weights that xpnet reads"):
        summarize(path, LoadOptions())
