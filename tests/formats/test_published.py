"""Published networks of others: their right answers on 60,000 images, and their logits."""

import json
from dataclasses import replace

import numpy as np
import pytest

import xpnet

FILES = ["book_sample_weight.pkl", "mnist-net_256x2.onnx"]
FILES += ["ffnnSIGMOID__Point_6x200.onnx", "mnist2x10.onnx"]
# Of the last one, two logits are so near that rounding decides about a few images.
TIED = {"mnist2x10.onnx": 2}


@pytest.mark.parametrize("name", FILES)
def test_right_answers_and_logits(shared_data, name):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    network = xpnet.load(shared_data / "weights" / name)
    network = replace(network, preprocessing=(xpnet.Scale(1 / 255), *network.preprocessing))
    images, labels = xpnet.read(shared_data / "mnist" / "train-images-idx3-ubyte.gz")
    expected = json.loads((shared_data / "expected.json").read_text())[name]
    found = xpnet.evaluate(network, images, labels)
    assert found.total == expected["total"] == 60_000
    assert abs(found.correct - expected["correct"]) <= TIED.get(name, 0)
    last = xpnet.parity.error_bound(network, images[:1000]).stages[-1]
    with np.load(shared_data / "expected_logits_train1000.npz") as logits:
        theirs = logits[name.rpartition(".")[0]]
    for outputs in (theirs, network(images[:1000].reshape(1000, -1))):
        assert np.all(np.abs(outputs - last.values) <= last.bound)
    assert last.bound.max() < np.abs(last.values).max()
