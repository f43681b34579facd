"""``xpnet inspect``: the network of a file of weights."""

import json
import re

import numpy as np
import pytest

from xpnet import Network, Scale, init_network, save

HASH = {"trained_on": "0123456789abcdef" * 4}


@pytest.fixture
def network():
    """Return a network with all that a file can say of one."""
    layers = init_network([3, 4, 2], activation="relu").layers
    return Network(layers, Scale(0.5), "logits", ["a", "b"], metadata={"author": "Ada", **HASH})


def test_the_network_of_a_file(xpnet, network, tmp_path):
    path = tmp_path / "x.npz"
    save(network, path)
    assert json.loads(xpnet("inspect", path, "--json").out) == {
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
        "metadata": {"author": "Ada", **HASH},
        "classes": ["a", "b"],
    }


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".onnx"])
def test_what_convert_prints_of_a_network(xpnet, network, tmp_path, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnx", reason="the package onnx is not installed")
    source, target = tmp_path / "source.npz", tmp_path / f"target{suffix}"
    save(network, source)
    printed, found = xpnet("convert", source, target).out, xpnet("inspect", target).out
    assert found.splitlines()[2:] == printed.splitlines()[2:]
    assert "author         Ada\n" in found
    assert not re.search("[0-9a-f]{16}", found)


def test_the_options_of_a_file_of_another_program(xpnet, refused, tmp_path):
    np.savez(tmp_path / "x.npz", **{"1.weight": np.ones((3, 2)), "2.weight": np.ones((1, 3))})
    for words, code in (
        ([tmp_path / "x.npz"], 4),
        (["sample", "--activation", "relu"], 4),
        (["sample", "--input-range", "0..1"], 2),
    ):
        assert refused("inspect", *words)[0] == code
    words = ("--activation", "tanh,step", "--input-range", "0.5,0.25", "--json")
    found = json.loads(xpnet("inspect", tmp_path / "x.npz", *words).out)
    assert [layer["activation"] for layer in found["layers"]] == ["tanh", "step"]
    assert found["preprocessing"] == ["Scale(1 / 255)", "Standardize(mean=0.5, scale=0.25)"]
