"""``xpnet inspect``: the network of a file of weights."""

import json

import numpy as np

from xpnet import Network, Scale, init_network, save

METADATA = {"author": "Ada", "format": "pt", "trained_on": "0123456789abcdef" * 4}


def test_the_network_of_a_file(xpnet, tmp_path):
    path, layers = tmp_path / "x.npz", init_network([3, 4, 2], activation="relu").layers
    save(Network(layers, Scale(0.5), "logits", ["a", "b"], METADATA), path)
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


def test_the_options_of_a_file_of_another_program(xpnet, tmp_path):
    np.savez(tmp_path / "x.npz", **{"1.weight": np.ones((3, 2)), "2.weight": np.ones((1, 3))})
    words = ("--activation", "tanh,step", "--input-range", "0.5,0.25", "--json")
    found = json.loads(xpnet("inspect", tmp_path / "x.npz", *words).out)
    assert [layer["activation"] for layer in found["layers"]] == ["tanh", "step"]
    assert found["preprocessing"] == ["Scale(1 / 255)", "Standardize(mean=0.5, scale=0.25)"]
