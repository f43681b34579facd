"""The network of --model, and what bytes and numbers become for it, by ``--input-range``."""

import json
from pathlib import Path

import numpy as np
import pytest

from xpnet import Network, Scale, Standardize, init_network, load, sample
from xpnet.cli.model import Model, added_text, open_model, suited

IMAGES = sample()[0]
MEAN, STD = 0.1307, 0.3081
NORMALIZE = f"{MEAN},{STD}"
UNIT, NORMALIZED, OF_BYTES = Scale(1 / 255), Standardize(MEAN, STD), Standardize(33.3, 78.6)


def test_the_books_network():
    network, other = (open_model(model="random", seed=i)[0].network for i in (None, 1))
    assert repr(network).startswith("Network(784 -> 50 sigmoid -> 100 sigmoid -> 10 identity; Scal")
    assert float(np.std(network.layers[0].weight)) == pytest.approx(0.01, rel=0.02)
    assert not np.any(network.layers[0].weight == other.layers[0].weight)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--model", "./random"], 4, "random: the name of a file of weights must end in"),
        (["--model", "missing"], 4, "missing: No such file or directory"),
        (["--seed", "1"], 2, "--seed is for --model random; got --model sample"),
        (["--precision", "float8"], 2, "float8"),
        (["three.npy", "--labels", "y.npy"], 3, "three.npy: `images` must be rows of 784 values"),
    ],
)
def test_what_is_refused(refused, tmp_path, monkeypatch, words, *, code, text):
    monkeypatch.chdir(tmp_path)
    Path("random").write_text("not weights")
    np.save("three.npy", np.zeros((3, 4), np.uint8))
    np.save("y.npy", np.zeros(3, np.uint8))
    found, line = refused("evaluate", *words)
    assert (found, text in line) == (code, True)


@pytest.mark.parametrize(
    ("steps", "is_own", "word", "of_bytes", "of_numbers"),
    [
        ((), False, None, (UNIT,), ()),
        ((), True, None, (), ()),
        ((NORMALIZED,), False, None, (UNIT, NORMALIZED), (NORMALIZED,)),
        ((UNIT,), False, None, (UNIT,), (UNIT,)),
        ((OF_BYTES,), False, None, (OF_BYTES,), (OF_BYTES,)),
        ((), True, "0..1", (UNIT,), ()),
        ((), False, NORMALIZE, (UNIT, NORMALIZED), (NORMALIZED,)),
    ],
    ids=range(7),
)
def test_steps(steps, word, of_bytes, of_numbers, *, is_own):
    model = Model(init_network([64, 2], preprocessing=steps), "model.onnx", is_own, word)
    for scale, expected in ((1, of_bytes), (255, of_numbers)):
        images = IMAGES if scale == 1 else IMAGES / scale
        found = suited(model, images)
        assert repr(found.preprocessing) == repr(expected)
        text = added_text(model, found)
        assert (text is None) == (len(expected) == len(steps))
        if text is not None:
            assert text.startswith("bytes / 255") == (scale == 1)
            assert ("--input-range" in text) == (word is None)
    few = Model(init_network([63, 2], preprocessing=steps), "model.onnx", is_own, word)
    if word is None:
        assert suited(few, IMAGES) is few.network
    declared = Network(few.network.layers, metadata={"input_range": "0..255"})
    assert suited(Model(declared, "model.onnx", is_own=False), IMAGES) is declared


@pytest.fixture
def normalized(tmp_path, monkeypatch):
    """Write the embedded network as one of another program, for inputs that are standardised."""
    arrays = {}
    for i, layer in enumerate(load("sample").layers, start=1):
        weight, bias = layer.weight.astype("f8"), layer.bias.astype("f8")
        if i == 1:
            weight, bias = weight * STD, bias + MEAN * weight.sum(axis=0)
        arrays |= {f"W{i}": weight.astype("f4"), f"b{i}": bias.astype("f4")}
    np.savez(tmp_path / "book.npz", **arrays)
    monkeypatch.chdir(tmp_path)
    return "--model", "book.npz", "--input-range", NORMALIZE


@pytest.mark.parametrize("words", [
    "evaluate --json", "evaluate --device gpu --json", "predict --json -o labels.csv",
    "parity --rows 20 --json", "bench --batch-sizes 10 --json", "predict",
    "show --rows 9 -o digits.png",
])  # fmt: skip
@pytest.mark.usefixtures("strict_gpu")
def test_what_was_added_is_told(xpnet, normalized, words):
    result = xpnet(*words.split(), *normalized)
    added = f"bytes / 255, {NORMALIZED}"
    assert result.code == 0
    if "--json" in words:
        found = json.loads(result.out)
        assert (result.err, found["inputs"]) == ("", added)
        assert found.get("accuracy", 0.986) == 0.986
    else:
        assert result.err == f"xpnet: inputs {added}\n"
