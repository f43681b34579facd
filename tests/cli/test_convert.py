"""``xpnet convert``: parameters and scaling are preserved."""

from dataclasses import replace

import numpy as np
import pytest

from xpnet import (
    Dense,
    Network,
    Scale,
    Standardize,
    evaluate,
    load,
    predict,
    sample,
    save,
)
from xpnet.formats.onnx import serialize
from xpnet.networks.initializers import init_network

pytest.importorskip("onnx", reason="the package onnx is not installed")


@pytest.fixture(scope="session")
def trained():
    """Return the embedded network without its scale: one that takes 0..1."""
    return replace(load("sample"), preprocessing=())


@pytest.fixture
def book(trained, tmp_path):
    """Return an npz file of it by the book's names."""
    path = tmp_path / "book.npz"
    arrays = {}
    for i, layer in enumerate(trained.layers, start=1):
        arrays[f"W{i}"], arrays[f"b{i}"] = layer.weight, layer.bias
    np.savez(path, **arrays)
    return path


def same_arrays(a, b):
    pairs = zip(a.layers, b.layers, strict=True)
    return all(
        np.array_equal(x.weight, y.weight) and np.array_equal(x.bias, y.bias) for x, y in pairs
    )


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".onnx"])
def test_a_network_from_elsewhere_is_written_with_its_scale(xpnet, book, trained, suffix):
    target = book.with_name(f"out{suffix}")
    result = xpnet("convert", book, target, "--input-range", "0..1")
    assert (result.code, result.err) == (0, "")
    written = load(target)
    assert same_arrays(written, trained)
    assert repr(written) == repr(load("sample"))
    assert evaluate(written, *sample()).correct == evaluate(load("sample"), *sample()).correct


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".onnx"])
def test_a_network_of_xpnet_is_written_as_it_is(xpnet, tmp_path, suffix):
    source, target = tmp_path / "a.safetensors", tmp_path / f"b{suffix}"
    network = init_network([784, 10], preprocessing=Scale(1 / 255))
    network = replace(network, classes=tuple("abcdefghij"))
    save(network, source)
    assert xpnet("convert", source, target).code == 0
    written = load(target)
    assert (written.preprocessing, written.classes) == (network.preprocessing, network.classes)
    assert same_arrays(written, network)


def test_a_network_of_pixels_from_elsewhere_needs_the_range(refused, xpnet, book, trained):
    target = book.with_name("out.npz")
    code, line = refused("convert", book, target)
    assert (code, "--input-range 0..1, " in line) == (2, True)
    assert not target.exists()
    result = xpnet("convert", book, target, "--input-range", "0..255")
    assert (result.code, evaluate(load(target), *sample()).accuracy) == (0, 0.952)
    result = xpnet("convert", book, target, "--force", "--input-range", "none")
    assert (result.code, load(target).preprocessing, load(target).metadata) == (
        0,
        (),
        {"input_range": "none"},
    )
    for n_in, code in ((64, 2), (63, 0)):  # fewer are measurements
        weight = np.asarray(trained.layers[0].weight[:n_in])
        np.savez(book, W1=weight, b1=np.zeros_like(weight[0]))
        assert xpnet("convert", book, target, "--force").code == code
    assert load(target).preprocessing == ()


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".onnx"])
def test_a_network_of_raw_bytes_keeps_its_range(xpnet, book, tmp_path, suffix):
    target, small = tmp_path / f"out{suffix}", tmp_path / "small.npy"
    images, _ = sample()
    np.save(small, (images / 255).astype("f4"))
    assert xpnet("convert", book, target, "--input-range", "0..255").code == 0
    assert load(target).metadata["input_range"] == "0..255"
    assert xpnet("predict", "--model", target).err == ""
    assert "images are in 0..1" in xpnet("predict", small, "--model", target).err


def test_onnx_of_raw_bytes(xpnet, book):
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    target = book.with_name("out.onnx")
    assert xpnet("convert", book, target, "--uint8", "--input-range", "0..1").code == 0
    images, _ = sample()
    session = ort.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"input": images.reshape(len(images), -1)})
    assert np.argmax(logits, axis=1).tolist() == predict(load("sample"), images).tolist()


def test_an_activation_that_onnx_has_not(refused, tmp_path):
    source = tmp_path / "a.npz"
    save(init_network([4, 3, 2], activation="log_sigmoid"), source)
    code, line = refused("convert", source, tmp_path / "a.onnx")
    assert code == 2
    assert "ONNX has no operator for the activation 'log_sigmoid'" in line


def test_a_file_that_declares_bytes_takes_bytes(xpnet, trained, tmp_path):
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    source = tmp_path / "bytes.onnx"
    network = replace(trained, preprocessing=Standardize(0.0, 255.0))
    source.write_bytes(serialize(network, input_dtype="uint8"))
    model = onnx.load(source)
    del model.metadata_props[:]  # as if somebody else had written it
    onnx.save(model, source)
    result = xpnet("convert", source, tmp_path / "out.npz")
    assert (result.code, result.err) == (0, "")
    assert evaluate(load(tmp_path / "out.npz"), *sample()).correct == 986


def test_characters_that_a_terminal_would_obey(xpnet, tmp_path):
    source = tmp_path / "a.npz"
    save(Network([Dense(np.ones((2, 2)), np.zeros(2))], classes=["a\x1b[2J", "b\nc"]), source)
    out = xpnet("convert", source, tmp_path / "b.npz").out
    assert "classes        a\\x1b[2J, b\\nc\n" in out
