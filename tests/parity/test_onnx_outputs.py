"""Outputs of ONNX files by ONNX Runtime: within the bounds of the network, or a clear error."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.files.errors import WeightsError
from xpnet.parity import compare
from xpnet.parity.onnx_outputs import ABSOLUTE_ERROR, onnx_outputs

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
X = np.random.default_rng(0).normal(size=(7, 6)).astype("f4")


@pytest.fixture
def saved(tmp_path):
    network = xpnet.init_network([6, 5, 3], activation="sigmoid", preprocessing=xpnet.Scale(0.5))
    xpnet.save(network, tmp_path / "model.onnx")
    return network, tmp_path / "model.onnx"


def with_input_shape(path, shape):
    """Change the input shape of a file; the graph flattens it to rows."""
    model, graph = (x := onnx.load(path)), x.graph
    kind = graph.input[0].type.tensor_type.elem_type
    graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("input", kind, shape))
    next(node for node in graph.node if node.input[0] == "input").input[0] = "rows"
    graph.initializer.append(onnx.numpy_helper.from_array(np.asarray([-1, 6]), "shape"))
    graph.node.insert(0, onnx.helper.make_node("Reshape", ["input", "shape"], ["rows"]))
    onnx.save(model, path)


SHAPES = [["n", 6], ["n", 2, 3], ["n", "m"], [7, 6], [7, 3, 2, 1], [1, 6], [4, 6]]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
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


@pytest.mark.parametrize("activation", ["silu", "mish", "hard_silu", "gelu", "selu"])
def test_functions_far_below_0(tmp_path, activation):
    network = xpnet.Network([xpnet.Dense(np.eye(1, dtype="f4"), [0.0], activation)], None, "values")
    xpnet.save(network, tmp_path / "model.onnx")
    x = np.linspace(-60, 20, 4001, dtype="f4")[:, None]
    outputs = onnx_outputs(tmp_path / "model.onnx", x, 1)
    report = compare(network, x, {"file": [outputs]}, absolute_errors={"file": ABSOLUTE_ERROR})
    assert report.is_in_bound


def test_what_is_refused(saved):
    network, path = saved
    double = X.astype("f8") + 1e-12
    for rows, n_out, word in ((X[:, :5], 3, "refused"), (X, 4, "4"), (double, 3, "float32")):
        with pytest.raises(WeightsError, match=word):
            onnx_outputs(path, rows, n_out, is_exact=True)
    of_bytes = replace(network, preprocessing=xpnet.Scale(1 / 255))
    xpnet.save(of_bytes, path, force=True, input_dtype="uint8")
    with pytest.raises(WeightsError, match="uint8"):
        onnx_outputs(path, X, 3)
    xpnet.save(network.astype("float64"), path, force=True)
    with pytest.raises(WeightsError, match="float64"):
        onnx_outputs(path, X, 3)
    path.write_bytes(b"\x08\x08nothing")
    with pytest.raises(WeightsError, match="refused"):
        onnx_outputs(path, X, 3)
