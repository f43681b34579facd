"""Files that xpnet 0.1 and 0.2 wrote, in the folder ``former``."""

from pathlib import Path

import numpy as np
import pytest

from xpnet import WeightsError, load
from xpnet.formats.load_save import read_model

FOLDER = Path(__file__).parent / "former"


@pytest.mark.parametrize("name", ["0.1.safetensors", "0.2.safetensors", "0.2.npz", "0.2.onnx"])
def test_networks(name):
    if name.endswith(".onnx"):
        pytest.importorskip("onnx", reason="the package onnx is not installed")
    network, is_own = read_model(FOLDER / name)
    assert is_own
    first, last = network.layers
    names = "sigmoid" if name.startswith("0.1") else "softplus", "identity"
    assert (first.activation, last.activation, dict(first.options)) == (*names, {})
    (scale,) = network.preprocessing
    # ONNX had no description, and numbers in the dtype of the weights.
    assert scale.factor == (float(np.float32(1 / 255)) if name.endswith(".onnx") else 1 / 255)
    assert first.weight.tolist() == [[0.5, -1.0], [2.0, 0.25]]
    assert (first.bias.tolist(), last.bias.tolist()) == ([1.0, 2.0], [0.125])
    assert (last.weight.tolist(), network.dtype) == ([[1.5], [-0.5]], np.float32)


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "onnx"])
def test_an_activation_that_was_removed(suffix):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    with pytest.raises(WeightsError, match=r"(?i)shrink"):
        load(FOLDER / f"removed.{suffix}")
