"""Published networks of others, on the 60,000 training images."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import xpnet

FILES = [
    "book_sample_weight.pkl",
    "mnist-net_256x2.onnx",
    "ffnnSIGMOID__Point_6x200.onnx",
    "mnist2x10.onnx",
]
# Of the last one, two logits are so near that rounding decides about a few images.
TIED = {"mnist2x10.onnx": 2}


@pytest.fixture(scope="module")
def folder():
    place = os.environ.get("XPNET_TEST_DATA")
    if not place:
        pytest.skip("XPNET_TEST_DATA does not name a folder of published networks and images")
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    return Path(place)


@pytest.fixture(scope="module")
def images(folder):
    return xpnet.read(folder / "mnist" / "train-images-idx3-ubyte.gz", rows=1000)[0]


@pytest.mark.parametrize("name", FILES)
def test_the_count_of_right_answers(folder, name, capsys):
    from xpnet.cli.main import main

    data = folder / "mnist" / "train-images-idx3-ubyte.gz"
    model = folder / "weights" / name
    assert main(["evaluate", str(data), "--model", str(model), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = json.loads((folder / "expected.json").read_text())[name]
    assert found["total"] == expected["total"] == 60_000
    assert abs(found["correct"] - expected["correct"]) <= TIED.get(name, 0)


@pytest.mark.parametrize("name", FILES)
def test_the_logits(folder, images, name):
    network = xpnet.load(folder / "weights" / name)
    network = replace(network, preprocessing=(xpnet.Scale(1 / 255), *network.preprocessing))
    last = xpnet.parity.error_bound(network, images).stages[-1]
    with np.load(folder / "expected_logits_train1000.npz") as expected:
        logits = expected[name.rpartition(".")[0]]
    assert np.all(np.abs(logits - last.values) <= last.bound)
    own = network(images.reshape(len(images), -1))
    assert np.all(np.abs(own - last.values) <= last.bound)
    assert last.bound.max() < np.abs(last.values).max()
