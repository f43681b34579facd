"""Outputs by the runtimes that files were made for, compared with xpnet's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xpnet
from xpnet.formats.model_file import ModelFile
from xpnet.parity import original_runtimes
from xpnet.parity.original_runtimes import outputs_by_original_runtime
from xpnet.parity.verification import verify

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
X = np.random.default_rng(0).normal(size=(7, 6)).astype("f4")


def network_of(activation: str = "relu", **meaning: Any) -> xpnet.Network:
    draw = np.random.default_rng(1).normal
    layers = [
        xpnet.Dense(draw(size=(6, 5)).astype("f4"), draw(size=5).astype("f4"), activation),
        xpnet.Dense(draw(size=(5, 3)).astype("f4"), draw(size=3).astype("f4")),
    ]
    return xpnet.Network(layers, **meaning)


def with_input_shape(path: Path, shape: list[int | str]) -> None:
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


@pytest.fixture
def onnx_runtime() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.mark.usefixtures("onnx_runtime")
@pytest.mark.parametrize(
    "shape",
    [["n", 6], ["n", 2, 3], [1, 6], [1, 3, 2], [4, 6], [7, 6], [6, 1], [6], [1, 6, 1]],
    ids=str,
)
def test_onnx_runtime(tmp_path: Path, shape: list[int | str]) -> None:
    path = tmp_path / "model.onnx"
    network = network_of(preprocessing=xpnet.Scale(0.5))
    xpnet.save(network, path)
    with_input_shape(path, shape)
    name, y = outputs_by_original_runtime(path, ModelFile(network, "ONNX", is_own=False), X)
    assert name.startswith("onnxruntime ")
    assert verify(network, X, {name: y})[name].is_in_bound


@pytest.mark.usefixtures("onnx_runtime")
def test_invalid_onnx_is_computed_in_float64(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x08nothing")
    network = network_of()
    name, y = outputs_by_original_runtime(path, ModelFile(network, "ONNX", is_own=False), X)
    assert (name, y.dtype) == ("float64", np.float64)
    assert verify(network, X, {name: y})[name].agreement.stages[0].share < 1e-6


@pytest.mark.parametrize(
    "name", ["relu", "elu", "gelu", "softmax", "threshold", "silu", "hard_tanh"]
)
def test_torch(name: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    network = network_of(name, preprocessing=xpnet.Scale(0.5))
    contents = ModelFile(network, "safetensors", is_own=False)
    by, y = outputs_by_original_runtime(Path("x"), contents, X)
    assert by.startswith("torch ")
    assert verify(network, X, {by: y})[by].is_in_bound


@pytest.mark.parametrize(("name", "is_here"), [("squareplus", True), ("relu", False)])
def test_networks_without_a_runtime_are_computed_in_float64(monkeypatch, name, is_here):
    monkeypatch.setattr(original_runtimes, "find_spec", lambda _: object() if is_here else None)
    network = network_of(name)
    for kind in ("safetensors", "ONNX")[: 1 if is_here else 2]:
        by, y = outputs_by_original_runtime(Path("x"), ModelFile(network, kind, is_own=False), X)
        assert (by, y.dtype) == ("float64", np.float64)
