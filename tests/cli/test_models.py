"""The network of --model, and what bytes and numbers become for it, by ``--input-range``."""

import json

import numpy as np
import pytest

from xpnet import Network, Scale, Standardize, init_network, sample
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


COMMANDS = (
    *("evaluate --json", "evaluate --device gpu --json", "predict --json -o labels.csv"),
    *("parity --rows 20 --json", "bench --json", "predict --rows 5", "show -o digits.png"),
)


@pytest.mark.parametrize("words", COMMANDS)
@pytest.mark.usefixtures("strict_gpu", "known_speeds")
def test_what_was_added_is_told(xpnet, book, monkeypatch, words):
    monkeypatch.chdir(book.parent)
    result = xpnet(*words.split(), "--model", book, "--input-range", NORMALIZE)
    added = f"bytes / 255, {NORMALIZED}"
    assert result.code == 0
    if "--json" in words:
        found = json.loads(result.out)
        assert (result.err, found["inputs"]) == ("", added)
        assert found.get("accuracy", 0.511) == 0.511
    else:
        assert result.err == f"xpnet: inputs {added}\n"
