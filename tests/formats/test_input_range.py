"""Range of the pixels that a file of another program expects, in a word."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.formats.input_range import with_input_range
from xpnet.networks.input_range import takes_bytes

TO_UNIT = xpnet.init_network([784, 10], dtype="float64")
TO_BYTES = replace(TO_UNIT, preprocessing=(xpnet.Scale(1 / 255),))


@pytest.mark.parametrize(
    ("word", "are_bytes", "steps", "range_"),
    [
        ("0..1", True, (xpnet.Scale(1 / 255),), "0..255"),
        ("0..1", False, (), "0..1"),
        ("0..255", True, (), "0..255"),
        ("0..255", False, (), "0..255"),
        ("none", True, (), "none"),
        ("none", False, (), "none"),
        ("0.5,0.25", True, (xpnet.Scale(1 / 255), xpnet.Standardize(0.5, 0.25)), "0..255"),
        ("-1, 1", False, (xpnet.Standardize(-1.0, 1.0),), "0..1"),
    ],
)
def test_a_network_with_an_input_range(word, are_bytes, steps, range_):
    network = replace(TO_UNIT, metadata={"origin": "here"})
    found = with_input_range(network, word, are_bytes=are_bytes)
    assert str(found.preprocessing) == str(steps)
    assert found.metadata == {"origin": "here", "input_range": range_}
    assert takes_bytes(found) is (range_ == "0..255")


@pytest.mark.parametrize(
    "word", ["", "0..2", "0.5", "0.5,0", "0.5,-1", "33,78", "a,b", "nan,1", "0,1,2"]
)
def test_other_words_are_rejected(word):
    with pytest.raises(ValueError, match="input_range"):
        with_input_range(TO_UNIT, word)


@pytest.mark.parametrize("word", ["0..1", "0..255", "none", "0.5,0.5"])
def test_a_network_with_preprocessing_has_its_range(word):
    with pytest.raises(ValueError, match=r"left out.*Scale"):
        with_input_range(TO_BYTES, word)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".onnx"])
def test_files_keep_the_range(tmp_path, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnx")
    path = tmp_path / f"a{suffix}"
    xpnet.save(replace(TO_UNIT, metadata={"input_range": "0..255"}).astype("float32"), path)
    assert takes_bytes(xpnet.load(path))


def test_a_network_that_standardizes_pixels_has_no_step_for_bytes():
    network = replace(TO_UNIT, preprocessing=(xpnet.Standardize(0.13, 0.31),))
    found = with_input_range(network, "0..1")
    assert str(found.preprocessing) == "(Scale(1 / 255), Standardize(mean=0.13, scale=0.31))"
    assert takes_bytes(with_input_range(network, "0..255"))
    with pytest.raises(ValueError, match="left out"):
        with_input_range(network, "0.13,0.31")


@pytest.mark.parametrize("word", [5, b"0..1", None])
def test_a_word_is_a_string(word):
    with pytest.raises(TypeError, match="input_range"):
        with_input_range(TO_UNIT, word)


def test_inputs_that_are_no_pixels_give_no_warning():
    network, counts = with_input_range(TO_UNIT, "none"), np.full((3, 784), 300)
    xpnet.predict(network, counts)
    trained = xpnet.train(network, counts, [0, 1, 2], epochs=1).network
    assert trained.metadata["input_range"] == "none"
