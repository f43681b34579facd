"""Range of the pixels that a file of another program expects, in a word."""

from dataclasses import replace

import numpy as np
import pytest

from xpnet import Scale, Standardize, init_network, train
from xpnet.formats.input_range import with_input_range
from xpnet.networks.input_range import takes_bytes

PLAIN = replace(init_network([784, 10], dtype="float64"), metadata={"origin": "here"})
BYTES, PIXELS = Scale(1 / 255), Standardize(0.13, 0.31)
RANGES = [  # own steps, word, are bytes; steps and range of the result
    ((), "0..1", True, (BYTES,), "0..255"),
    ((), "0..1", False, (), "0..1"),
    *(
        ((), word, are_bytes, (), word)
        for word in ("0..255", "none")
        for are_bytes in (True, False)
    ),
    ((), "0.5,0.25", True, (BYTES, Standardize(0.5, 0.25)), "0..255"),
    ((), "-1, 1", False, (Standardize(-1.0, 1.0),), "0..1"),
    ((PIXELS,), "0..1", True, (BYTES, PIXELS), "0..255"),
    ((PIXELS,), "0..255", True, (PIXELS,), "0..255"),
]


@pytest.mark.parametrize(("own", "word", "are_bytes", "steps", "expected"), RANGES)
def test_a_network_with_an_input_range(own, word, are_bytes, steps, expected):
    found = with_input_range(replace(PLAIN, preprocessing=own), word, are_bytes=are_bytes)
    assert str(found.preprocessing) == str(steps)
    assert found.metadata == {"origin": "here", "input_range": expected}
    assert takes_bytes(found) is (expected == "0..255")


WORDS = ["0..2", "0.5", "0.5,0", "0.5,-1", "-2,0.5", "33,78", "0,2", "a,b", "nan,1", "0,1,2"]


@pytest.mark.parametrize("word", ["", *WORDS, 5, None])
def test_other_words_are_rejected(word):
    with pytest.raises(ValueError if isinstance(word, str) else TypeError, match="input_range"):
        with_input_range(PLAIN, word)


def test_a_network_with_preprocessing_has_its_range():
    for step, words in (BYTES, ["0..1", "0..255", "none", "0.5,0.5"]), (PIXELS, ["0.13,0.31"]):
        for word in words:
            with pytest.raises(ValueError, match="left out"):
                with_input_range(replace(PLAIN, preprocessing=step), word)


def test_inputs_that_are_no_pixels_give_no_warning():
    network, counts = with_input_range(PLAIN, "none"), np.full((3, 784), 300)
    trained = train(network, counts, [0, 1, 2], epochs=1).network
    assert trained.metadata["input_range"] == "none"
