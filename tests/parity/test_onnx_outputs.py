"""Outputs of ONNX files by ONNX Runtime: within the bounds of the network, or a clear error."""

import sys

import numpy as np
import pytest

import xpnet
from xpnet.files.errors import WeightsError
from xpnet.files.optional import MissingPackageError
from xpnet.parity import compare
from xpnet.parity.onnx_outputs import ABSOLUTE_ERROR, onnx_outputs

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
X = np.random.default_rng(0).normal(size=(7, 6)).astype("f4")


@pytest.fixture
def saved(tmp_path):
    draw = np.random.default_rng(1).normal
    layers = [
        xpnet.Dense(draw(size=(6, 5)).astype("f4"), draw(size=5).astype("f4"), "sigmoid"),
        xpnet.Dense(draw(size=(5, 3)).astype("f4"), draw(size=3).astype("f4")),
    ]
    network, path = xpnet.Network(layers, xpnet.Scale(0.5)), tmp_path / "model.onnx"
    xpnet.save(network, path)
    return network, path


def with_input_shape(path, shape):
    """Change the input shape of a file; the graph flattens it."""
    model = onnx.load(path)
    graph = model.graph
    kind = graph.input[0].type.tensor_type.elem_type
    del graph.input[:]
    graph.input.append(onnx.helper.make_tensor_value_info("input", kind, shape))
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == "input":
                node.input[i] = "rows"
    graph.initializer.append(onnx.numpy_helper.from_array(np.asarray([-1, 6]), "shape"))
    graph.node.insert(0, onnx.helper.make_node("Reshape", ["input", "shape"], ["rows"]))
    del graph.output[0].type.tensor_type.shape.dim[:]
    onnx.save(model, path)


@pytest.mark.parametrize(
    "shape", [["n", 6], ["n", 2, 3], ["n", "m"], [7, 6], [7, 3, 2, 1]], ids=str
)
def test_onnx_runtime_is_in_bound(saved, shape):
    network, path = saved
    with_input_shape(path, shape)
    outputs = onnx_outputs(path, X, 3)
    assert (outputs.shape, outputs.dtype.name) == ((7, 3), "float32")
    candidates = {"right": [outputs], "wrong": [outputs + np.float32(1e-4)]}
    errors = dict.fromkeys(candidates, ABSOLUTE_ERROR)
    found = compare(network, X, candidates, absolute_errors=errors).candidates
    assert found["right"].first_out is None
    assert found["wrong"].first_out == "layer 2, identity"


def test_what_onnx_runtime_refuses_is_an_error(saved):
    network, path = saved
    for rows, n_out, word in ((X[:, :5], 3, "refused"), (X, 4, "4 outputs")):
        with pytest.raises(WeightsError, match=word):
            onnx_outputs(path, rows, n_out)
    xpnet.save(network, path, force=True, input_dtype="uint8")
    with pytest.raises(WeightsError, match="uint8"):
        onnx_outputs(path, X, 3)
    path.write_bytes(b"\x08\x08nothing")
    with pytest.raises(WeightsError, match="refused"):
        onnx_outputs(path, X, 3)


def test_numbers_that_the_file_does_not_hold(saved):
    _, path = saved
    rows = X.astype("f8") + 1e-12
    assert onnx_outputs(path, rows, 3).shape == (7, 3)
    with pytest.raises(WeightsError, match="float32"):
        onnx_outputs(path, rows, 3, is_exact=True)


def test_onnx_runtime_is_optional(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match="pip install onnxruntime"):
        onnx_outputs(saved[1], X, 3)
