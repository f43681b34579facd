"""Range of the pixels that a file of another program expects, in a word."""

from dataclasses import replace

import numpy as np
import pytest

from xpnet import Scale, Standardize, init_network, predict, train
from xpnet.formats.input_range import with_input_range
from xpnet.networks.input_range import takes_bytes

PLAIN = replace(init_network([784, 10], dtype="float64"), metadata={"origin": "here"})
BYTES, PIXELS = Scale(1 / 255), Standardize(0.13, 0.31)


def steps_of(network, word, *, are_bytes=True):
    found = with_input_range(network, word, are_bytes=are_bytes)
    assert takes_bytes(found) is (found.metadata["input_range"] == "0..255")
    assert found.metadata["origin"] == "here"
    return str(found.preprocessing), found.metadata["input_range"]


@pytest.mark.parametrize(
    ("word", "are_bytes", "steps", "expected"),
    [
        ("0..1", True, (BYTES,), "0..255"),
        ("0..1", False, (), "0..1"),
        ("0..255", True, (), "0..255"),
        ("0..255", False, (), "0..255"),
        ("none", True, (), "none"),
        ("none", False, (), "none"),
        ("0.5,0.25", True, (BYTES, Standardize(0.5, 0.25)), "0..255"),
        ("-1, 1", False, (Standardize(-1.0, 1.0),), "0..1"),
    ],
)
def test_a_network_with_an_input_range(word, are_bytes, steps, expected):
    assert steps_of(PLAIN, word, are_bytes=are_bytes) == (str(steps), expected)


def test_a_network_that_standardizes_pixels_has_no_step_for_bytes():
    network = replace(PLAIN, preprocessing=(PIXELS,))
    assert steps_of(network, "0..1") == (str((BYTES, PIXELS)), "0..255")
    assert steps_of(network, "0..255") == (str((PIXELS,)), "0..255")


@pytest.mark.parametrize(
    "word", ["", "0..2", "0.5", "0.5,0", "0.5,-1", "33,78", "0,2", "a,b", "nan,1", "0,1,2", 5, None]
)
def test_other_words_are_rejected(word):
    with pytest.raises(ValueError if isinstance(word, str) else TypeError, match="input_range"):
        with_input_range(PLAIN, word)


@pytest.mark.parametrize(("steps", "words"), [
    ((BYTES,), ["0..1", "0..255", "none", "0.5,0.5"]), ((PIXELS,), ["0.13,0.31"]),
], ids=["bytes", "pixels"])  # fmt: skip
def test_a_network_with_preprocessing_has_its_range(steps, words):
    for word in words:
        with pytest.raises(ValueError, match="left out"):
            with_input_range(replace(PLAIN, preprocessing=steps), word)


def test_inputs_that_are_no_pixels_give_no_warning():
    network, counts = with_input_range(PLAIN, "none"), np.full((3, 784), 300)
    predict(network, counts)
    trained = train(network, counts, [0, 1, 2], epochs=1).network
    assert trained.metadata["input_range"] == "none"
