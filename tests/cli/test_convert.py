"""``xpnet convert``: parameters, scaling and classes are preserved."""

import json
from dataclasses import replace

import numpy as np
import pytest

from xpnet import Scale, evaluate, init_network, load, sample, save

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

METADATA = {"by": "Ada", "format": "pt", "trained_on": "0123456789abcdef" * 4}
SUFFIXES = pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".onnx"])


@SUFFIXES
def test_a_network_of_another_program(xpnet, book, suffix):
    target = book.with_name(f"out{suffix}")
    out = xpnet("convert", book, target, "--input-range", "0..1").out
    assert out.startswith(f"wrote          {target} ({target.stat().st_size:,} bytes)\n")
    assert repr(load(target)) == repr(load("sample"))
    assert evaluate(load(target), *sample()).correct == 986


@SUFFIXES
def test_a_network_of_xpnet_is_written_as_it_is(xpnet, tmp_path, suffix):
    source, target = tmp_path / "a.safetensors", tmp_path / f"b{suffix}"
    network = init_network([784, 10], preprocessing=Scale(0.5))
    network = replace(network, classes=("a\x1b[2J", "b\nc", *"cdefghij"), metadata=METADATA)
    save(network, source)
    result = xpnet("convert", source, target)
    assert (result.code, "classes        a\\x1b[2J, b\\nc, c" in result.out) == (0, True)
    assert result.out.endswith("metadata       by: Ada; format: pt\n")
    assert xpnet("inspect", target).out.splitlines()[2:] == result.out.splitlines()[2:]
    facts = json.loads(xpnet("convert", source, target, "--force", "--json").out)
    assert (facts["source"], facts["target"]) == (str(source), str(target))
    written = load(target)
    for name in ("preprocessing", "classes", "metadata"):
        assert getattr(written, name) == getattr(network, name)
    np.testing.assert_array_equal(written.layers[0].weight, network.layers[0].weight)


def test_a_network_of_pixels_from_another_program_needs_the_range(refused, xpnet, book):
    target = book.with_name("out.npz")
    assert refused("convert", book, target)[0] == 2
    assert not target.exists()
    for word, correct in (("0..255", 952), ("none", 952), ("0.1307,0.3081", 511)):
        assert xpnet("convert", book, target, "--force", "--input-range", word).code == 0
        assert evaluate(load(target), *sample()).correct == correct
        assert load(target).metadata["input_range"] == (word if word == "none" else "0..255")
    for n_in, code in ((64, 2), (63, 0)):  # fewer are measurements
        np.savez(book, W1=np.ones((n_in, 2)), b1=np.ones(2))
        assert xpnet("convert", book, target, "--force").code == code
    assert load(target).preprocessing == ()


def test_onnx_of_raw_bytes(xpnet, book):
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    target, (images, labels) = book.with_name("out.onnx"), sample()
    assert xpnet("convert", book, target, "--uint8", "--input-range", "0..1").code == 0
    session = ort.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"input": images.reshape(len(images), -1)})
    assert np.count_nonzero(np.argmax(logits, axis=1) == labels) == 986


def test_a_network_of_another_program_that_takes_bytes(xpnet, book):
    target = book.with_name("out.onnx")
    assert xpnet("convert", book, target, "--input-range", "0..1").code == 0
    model = onnx.load(target)
    del model.metadata_props[:]  # by which xpnet knows its own files
    onnx.save(model, target)
    assert xpnet("convert", target, book, "--force").code == 0
    assert evaluate(load(book), *sample()).correct == 986
