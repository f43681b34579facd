"""Graphs of fully connected layers in all equivalent forms."""

import numpy as np
import pytest

from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS

PLAIN = "3 -> 4 identity -> 2 identity; logits; float32, numpy"
# Parts of the expected networks, each with graphs below it.
GRAPHS = """
PLAIN
    Gemm x W b -> h; Gemm h V c -> y
    Gemm(transB=1) x WT b -> h; Gemm(transB=1) h VT c -> y
    Gemm(alpha=0.5, beta=4.0) x W b -> h; Gemm h V c -> y
    Gemm(beta=0.0) x W b -> h; Gemm h V c -> y
    Gemm x W half -> h; Gemm h V c -> y
    Gemm x W -> g; Add g b -> h; Gemm h V c -> y
    Transpose x -> t; Gemm(transA=1) t W b -> h; Gemm h V c -> y
    Transpose(perm=[1, 0]) x -> t; Gemm(transA=1) W t columnb -> h; Gemm VT h columnc -> u;
    Transpose u -> y
    MatMul x W -> m; Add m b -> h; Gemm h V c -> y
    MatMul x W -> m; Add b m -> h; Gemm h V c -> y
    MatMul x W -> m; Sub m b -> h; Gemm h V c -> y
    MatMul x W -> h; Gemm h V c -> y
    Transpose x -> t; MatMul WT t -> m; Add m columnb -> h; Transpose h -> k; Gemm k V c -> y
    N,1,3 | MatMul x W -> m; Add m b -> h; MatMul h V -> n; Add n c -> y
    N,1,3,1 | Flatten x -> f; Gemm f W b -> h; Gemm h V c -> y
    N,3,1 | Reshape x int:0,-1 -> f; Gemm f W b -> h; Gemm h V c -> y
    N,1,3 | Shape x -> s; Gather(axis=0) s index -> n; Unsqueeze n int:0 -> u;
    Concat(axis=0) u int:-1 -> to; Reshape x to -> f; Gemm f W b -> h; Gemm h V c -> y
    N,3,1 | Div int:-3,7 int:2,2 -> to; Reshape x to -> f; Gemm f W b -> h; Gemm h V c -> y
    1,3 | Gemm x W b -> h; Gemm h V c -> y
    7,1,3 | Reshape x int:7,3 -> f; Gemm f W b -> h; Gemm h V c -> y
    N,1,3 | Squeeze x int:1 -> s; MatMul s W -> h; Unsqueeze h int:1 -> u; MatMul u V -> m;
    Squeeze m int:1 -> y
    Identity x -> i; Gemm i W b -> g; Dropout g -> d; Identity V -> v; Cast(to=1) d -> h;
    Gemm h v c -> y
    Gemm x W b -> h; Gemm h V c -> y; Sin x -> unused
    Mul W half -> v; Gemm x v b -> h; Gemm h V c -> y
    input=uint8 | Cast(to=1) x -> f; Gemm f W b -> h; Gemm h V c -> y
    Gemm x W b -> h; Mul h half -> m; Sub b m -> n; Neg n -> h2; Gemm h2 V c -> y
    MatMul x W -> m; BatchNormalization m float32:4 b b float32:4 -> h; Gemm h V c -> y
3 -> 3 identity; logits
    Gemm(beta=0.0) x float32:3,3 nan -> y
3 -> 4 identity -> 2 identity; Standardize(3 means, 3 scales); logits; float32, numpy
    Sub x mean -> s; Div s scale -> d; Gemm d W b -> h; Gemm h V c -> y
    Add x mean -> s; Mul scale s -> d; Gemm d W b -> h; Gemm h V c -> y
2 identity; Scale(0.5); logits
    Mul half x -> s; Gemm s W b -> h; Gemm h V c -> y
Standardize(mean=0.5, scale=-1.0); Scale(-1.0); logits
    Sub half x -> s; Neg s -> n; Gemm n W b -> h; Gemm h V c -> y
2 softmax; probabilities
    Gemm x W b -> h; Gemm h V c -> l; Softmax(axis=1) l -> y
    opset=11 | Gemm x W b -> h; Gemm h V c -> l; Softmax l -> y
    opset=11 | Gemm x W b -> h; Gemm h V c -> l; Reshape l int:-1,2,1 -> r; Softmax(axis=1) r -> y
3 -> 1 sigmoid; probabilities
    Gemm x float32:3,1 -> l; Sigmoid l -> y
2 identity; logits; float64, numpy
    dtype=float64 | Gemm x W b -> h; Gemm h V c -> y
2 identity; logits; float16, numpy
    dtype=float16 | Gemm x W b -> h; Gemm h V c -> y
2 identity; Standardize(3 means, 3 scales); logits
    ai.onnx.ml:Scaler(offset=[0.5, 1.0, -2.0], scale=[0.3, 4.0, 0.1]) x -> s; Gemm s W b -> h;
    Gemm h V c -> y
    BatchNormalization x scale mean mean scale -> n; Gemm n W b -> h; Gemm h V c -> y
3 -> 4 relu -> 2 identity; logits
    Gemm x W b -> h; Relu h -> r; BatchNormalization r float32:4 b b float32:4 -> n; Gemm n V c -> y
    Gemm x W b -> h; Relu h -> r; Mul r half -> m; Add m b -> n; Gemm n V c -> y
3 -> 4 relu; logits
    opset=7 | Gemm x W b -> h; Clip(min=0.0, max=3.4028234663852886e38) h -> y
3 -> 4 relu6; logits
    opset=7 | Gemm x W b -> h; Clip(min=0.0, max=6.0) h -> y
"""
# Nodes from h to a, and the activation.
ACTIVATIONS = {f"{operator.name} h -> a": name for name, operator in ACTIVATION_OPERATORS.items()}
del ACTIVATIONS["HardSigmoid h -> a"]  # its defaults are another function
ACTIVATIONS |= {
    "HardSigmoid(alpha=0.16666667) h -> a": "hard_sigmoid",
    "Elu(alpha=0.3) h -> a": "elu(alpha=0.3)",
    "Celu(alpha=0.3) h -> a": "celu(alpha=0.3)",
    "LeakyRelu(alpha=0.3) h -> a": "leaky_relu(negative_slope=0.3)",
    "Gelu(approximate='tanh') h -> a": "gelu(approximate=tanh)",
    "Sigmoid h -> s; Mul h s -> a": "silu",
    "Sigmoid h -> s; Mul s h -> a": "silu",
    "HardSigmoid(alpha=0.16666667) h -> s; Mul h s -> a": "hard_silu",
    "PRelu h slope -> a": "leaky_relu(negative_slope=0.25)",
    "Clip h zero -> a": "relu",
    "Clip h zero six -> a": "relu6",
    "Clip h low high -> a": "hard_tanh",
}


def test_graphs(opened, model_of, check_agreement, graphs, subtests):
    for graph, text in graphs:
        with subtests.test(graph):
            model = model_of(graph)
            network = opened(model)
            assert (PLAIN if text == "PLAIN" else text) in repr(network)
            kind = model.graph.input[0].type.tensor_type
            first, *others = [dim.dim_value for dim in kind.shape.dim]
            dtype = {2: "uint8"}.get(kind.elem_type)
            check_agreement(network, model, shape=(first or 7, *others), dtype=dtype)


def test_activations(onnx, opened, model_of, check_agreement, subtests):
    for nodes, name in ACTIVATIONS.items():
        with subtests.test(nodes):
            if "Gelu" in nodes and onnx.__version__ < "1.23":
                pytest.skip("the evaluator of ONNX before 1.23 has no Gelu")
            model = model_of(f"opset=20 | Gemm x W b -> h; {nodes}; Gemm a V c -> y")
            network = opened(model)
            assert f"4 {name}" in repr(network)
            check_agreement(network, model)


def test_bfloat16_becomes_float32(opened, model_of, numbers):
    bfloat16 = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed").bfloat16
    network = opened(model_of("Cast(to=16) x -> h; Gemm h W b -> y", dtype=bfloat16))
    assert network.dtype == np.float32
    expected = numbers["W"].astype(bfloat16).astype(np.float32)
    assert np.array_equal(network.layers[0].weight, expected)


def test_inputs_that_are_columns(opened, model_of, run):
    row = np.asarray([0.5, -1.0, 2.0], np.float32)
    for shape in ((3, 1), (3, "N"), (3,), (1, 3, 1), ("N", 3, 1)):
        bias = "b" if len(shape) == 1 else "columnb"
        model = model_of(f"MatMul WT x -> m; Add m {bias} -> y", shape=shape)
        given = row.reshape([1 if n == "N" else n for n in shape])
        assert np.allclose(run(model, given).reshape(-1), opened(model)(row), rtol=1e-6)


def test_inputs_of_unknown_length(opened, model_of):
    for shape in (None, ("N", "m"), (1, "m"), (7, "m"), ("N", 3, "a")):
        model = model_of("Flatten x -> f; MatMul f W -> m; Add m b -> y", shape=shape)
        assert "Network(3 -> 4 identity; " in repr(opened(model))
