"""``xpnet inspect``: the network of a file of weights."""

import json

import numpy as np
import pytest

from xpnet import Network, Scale, save
from xpnet.networks.initializers import init_network


@pytest.fixture
def network():
    """Return a network with all that a file can say of one."""
    layers = init_network([3, 4, 2], activation="relu").layers
    return Network(layers, Scale(0.5), "logits", ["a", "b"], metadata={"author": "Ada"})


def test_the_network_of_a_file(xpnet, network, tmp_path):
    path = tmp_path / "x.npz"
    save(network, path)
    found = json.loads(xpnet("inspect", path, "--json").out)
    assert found == {
        "file": str(path),
        "bytes": path.stat().st_size,
        "format": "npz",
        "layers": [
            {"n_in": 3, "n_out": 4, "activation": "relu"},
            {"n_in": 4, "n_out": 2, "activation": "identity"},
        ],
        "parameters": 26,
        "dtype": "float32",
        "preprocessing": ["Scale(0.5)"],
        "output": "logits",
        "metadata": {"author": "Ada"},
        "classes": ["a", "b"],
    }


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".onnx"])
def test_what_convert_prints_of_a_network(xpnet, network, tmp_path, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnx", reason="the package onnx is not installed")
    source, target = tmp_path / "source.npz", tmp_path / f"target{suffix}"
    save(network, source)
    printed = xpnet("convert", source, target).out.splitlines()
    assert xpnet("inspect", target).out.splitlines()[2:] == printed[2:]


def test_the_options_of_a_file_of_another_program(xpnet, refused, tmp_path):
    np.savez(tmp_path / "x.npz", **{"1.weight": np.ones((3, 2)), "2.weight": np.ones((1, 3))})
    assert refused("inspect", tmp_path / "x.npz")[0] == 4
    words = ("--activation", "tanh,step", "--input-range", "0.5,0.25", "--json")
    found = json.loads(xpnet("inspect", tmp_path / "x.npz", *words).out)
    assert [layer["activation"] for layer in found["layers"]] == ["tanh", "step"]
    assert found["preprocessing"] == ["Scale(1 / 255)", "Standardize(mean=0.5, scale=0.25)"]


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("data.csv", b"label,pixel0,pixel1\n7,0,9\n", ".safetensors"),
        ("empty.npz", b"", "npz"),
        ("x.npz", b"PK\x03\x04" + bytes(40), "npz"),
        ("x.safetensors", b"\x10" + bytes(7) + b"{", "safetensors"),
        ("x.keras", b"PK\x03\x04", "xpnet.from_keras"),
    ],
)
def test_files_without_a_network(refused, tmp_path, name, content, word):
    path = tmp_path / name
    path.write_bytes(content)
    code, line = refused("inspect", path)
    assert (code, word in line) == (4, True)


@pytest.mark.parametrize(
    ("word", "text"), [("mnist", "xpnet show mnist"), ("random", "random: "), (".", ".safetensors")]
)
def test_words_that_are_no_files(refused, word, text):
    code, line = refused("inspect", word)
    assert (code, text in line) == (4, True)
