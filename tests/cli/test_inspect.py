"""``xpnet inspect``: the network of a file of weights."""

import json
import re

import numpy as np
import pytest

from xpnet import Network, Scale, init_network, save

METADATA = {"author": "Ada", "format": "pt", "trained_on": "0123456789abcdef" * 4}


@pytest.fixture
def path(tmp_path):
    """Return the file of a network with all that one can say."""
    layers = init_network([3, 4, 2], activation="relu").layers
    save(Network(layers, Scale(0.5), "logits", ["a", "b"], METADATA), tmp_path / "x.npz")
    return tmp_path / "x.npz"


def test_the_network_of_a_file(xpnet, path):
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
        "metadata": METADATA,
        "classes": ["a", "b"],
    }


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".onnx"])
def test_what_convert_prints_of_a_network(xpnet, path, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnx", reason="the package onnx is not installed")
    target = path.with_name(f"target{suffix}")
    printed, found = xpnet("convert", path, target).out, xpnet("inspect", target).out
    assert found.splitlines()[2:] == printed.splitlines()[2:]
    facts = json.loads(xpnet("convert", path, target, "--force", "--json").out)
    assert (facts["source"], facts["target"]) == (str(path), str(target))
    assert "author: Ada; format: pt" in found.splitlines()[-1]
    assert not re.search("[0-9a-f]{16}", found)


def test_the_options_of_a_file_of_another_program(xpnet, refused, tmp_path):
    np.savez(tmp_path / "x.npz", **{"1.weight": np.ones((3, 2)), "2.weight": np.ones((1, 3))})
    assert refused("inspect", tmp_path / "x.npz")[0] == 4
    assert refused("inspect", "sample", "--activation", "relu")[0] == 4
    assert refused("inspect", "sample", "--input-range", "0..1")[0] == 2
    words = ("--activation", "tanh,step", "--input-range", "0.5,0.25", "--json")
    found = json.loads(xpnet("inspect", tmp_path / "x.npz", *words).out)
    assert [layer["activation"] for layer in found["layers"]] == ["tanh", "step"]
    assert found["preprocessing"] == ["Scale(1 / 255)", "Standardize(mean=0.5, scale=0.25)"]
