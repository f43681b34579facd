"""Graphs that are not fully connected networks, or whose operators would be misread."""

import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

# Words of the messages, operators if possible, each with graphs below it.
GRAPHS = """
Conv
    N,1,3,3 | Conv x float32:1,1,1,1 -> y
com.example:Gemm
    com.example:Gemm x W b -> y
Shrink
    Gemm x W b -> h; Shrink(lambd=0.5) h -> y
MatMul
    Gemm x W b -> h; Transpose x -> t; MatMul t h -> y
    MatMul x b -> y
Add
    Gemm x W b -> h; Relu h -> r; Add h r -> y
    2,3 | MatMul x W -> m; Add m float32:2,4 -> y
Relu
    Relu x -> r; Gemm r W b -> y
Tanh
    Gemm x W b -> h; Relu h -> r; Tanh r -> y
Mul
    Gemm x W b -> h; Sigmoid h -> s; Gemm x W b -> g; Mul g s -> y
    Gemm x W b -> h; Sigmoid h -> s; Unsqueeze s int:1 -> u; Mul h u -> y
Div
    Div scale x -> s; Gemm s W b -> y
outputs
    Gemm x W b -> h; Softmax(axis=0) h -> y
    Gemm x W b -> h; Reshape h int:-1,2,2 -> r; Softmax r -> y
    opset=11 | Gemm x W b -> h; Reshape h int:-1,2,2 -> r; Softmax(axis=1) r -> s; Flatten s -> y
    N,2,3 | Transpose(perm=[0, 2, 1]) x -> t; Flatten t -> f; Gemm f sixfour b -> y
    Gemm x W b -> h; Cast(to=7) h -> i; Cast(to=1) i -> y
    Gemm x W b -> h; Cast(to=7) h -> i; Cast(to=1) i -> f; Gemm f V large -> y
    Gemm x W b -> h; Dropout h half yes -> y
    Gemm x W b -> h; BatchNormalization(training_mode=1) h b b b float32:4 -> y m v
shape
    N,2,3 | Sub x float32:2,1 -> s; Flatten s -> f; Gemm f float32:6,4 b -> y
    Add x float32:9,1,1 -> s; Gemm s W b -> y
    N,5 | Gemm x W b -> h; Gemm h V c -> y
    MatMul x float32:3,0 -> y
Sub
    input=uint8 | Sub x uint8:3 -> s; Cast(to=1) s -> f; Gemm f W b -> y
finite
    Gemm x float32:3,3 nan -> y
    Sub x nan -> s; Gemm s W b -> y
    Gemm(alpha=1e39) x W b -> y
    ai.onnx.ml:Scaler(offset=[1.0]) x -> s; Gemm s W b -> y
Gemm
    N,2 | Shape x -> s; Cast(to=1) s -> f; Reshape f int:2,1 -> w; Gemm x w -> y
    Gemm x strings b -> y
    Constant(value_string='text') -> w; Gemm x w -> y
PRelu
    Gemm x W b -> h; PRelu h b -> y
unpack
    Gemm x W b -> h; BatchNormalization h b b -> y
Clip
    Gemm x W b -> h; Clip h zero half -> y
HardSigmoid
    Gemm x W b -> h; HardSigmoid(alpha=0.3) h -> y
alpha
    Gemm x W b -> h; Elu(alpha='text') h -> y
fully connected
    Sub x mean -> y
    Identity W -> y
    Gemm h V c -> y; Gemm x W b -> h
evaluator
    Gemm x W b -> h; Softmax(axis=7) h -> y
before it is used
    Gemm x nowhere b -> y
    Gemm x W b -> g; Add g z -> y; Relu y -> z
one floating-point output
    outputs=y+h | Gemm x W b -> h; Relu h -> r; Gemm r V c -> y
ConstantOfShape
    ConstantOfShape int:1000000,1000000 -> w; Gemm x w -> y
"""


def test_graphs_that_are_refused(error, model_of, graphs, subtests):
    for graph, word in graphs:
        with subtests.test(graph):
            assert word in error(model_of(graph))


def test_constants_that_nothing_uses_are_not_computed(opened, model_of):
    model = model_of("ConstantOfShape int:1000000,1000000 -> huge; Gemm x W b -> y")
    assert opened(model).n_out == 4


def test_two_constants_of_one_name_and_two_inputs(error, model_of):
    model = model_of("Gemm x W b -> y")
    model.graph.initializer.append(model.graph.initializer[0])
    assert "different names" in error(model)
    model = model_of("Gemm x W b -> h; Add h z -> y")
    model.graph.input.append(model.graph.input[0])
    model.graph.input[1].name = "z"
    assert "one input" in error(model)


def test_graphs_within_graphs_and_functions_of_the_file(error, model_of):
    body = [onnx.helper.make_node("Tanh", ["a"], ["b"])]
    for operator in ("If", "Loop", "Scan"):
        model = model_of(f"{operator} zero -> v; Gemm x v b -> y")
        inner = onnx.helper.make_graph(body, "g", [], [])
        model.graph.node[0].attribute.append(onnx.helper.make_attribute("body", inner))
        assert operator in error(model)
    model = model_of("Gemm x W b -> h; Relu h -> y")
    own = onnx.helper.make_function("", "Relu", ["a"], ["b"], body, model.opset_import)
    model.functions.append(own)
    assert "alone" in error(model)
