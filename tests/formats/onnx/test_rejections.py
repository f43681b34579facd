"""Graphs that are not fully connected networks, rejected with operator and node if possible."""

import re

import pytest

from xpnet import Network

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

FIRST, LAST = "Gemm x W b -> h; ", "Gemm h V c -> y"
# Graphs, each with a part of the message below it.
GRAPHS = r"""
N,1,3,3 | Conv x ones:1,1,1,1 -> y
    Conv ('y'): not part of a network of fully connected layers
com.example:Gemm x W b -> y
    com.example:Gemm ('y'): not part of a network of fully connected layers
Gemm x W b -> h; Erf h -> y
    Erf ('y')
Gemm x W b -> h; Shrink(lambd=0.5) h -> y
    Shrink ('y')
Gemm x W b -> h; ThresholdedRelu h -> y
    ThresholdedRelu ('y')
Gemm x W b -> h; Transpose x -> t; MatMul t h -> y
    MatMul ('y'): it must have one input that depends on the images, and a constant
Gemm x W b -> h; Relu h -> r; Add h r -> y
    Add ('y'): it must have one input that depends on the images, and a constant
Relu x -> r; Gemm r W b -> y
    Relu ('r') must follow a fully connected layer
Gemm x W b -> h; Relu h -> r; Tanh r -> y
    Tanh ('y') must follow a fully connected layer
Gemm x W b -> h; Relu h -> r; Add r b -> y
    Add ('y'): after a layer, only its bias may be added
Gemm x W b -> h; Mul h b -> y
    Mul ('y'): after a layer, only its bias may be added
Gemm x W b -> h; Sub b h -> y
    Sub ('y'): after a layer, only its bias may be added
Gemm x W b -> h; Sigmoid h -> s; Gemm x W b -> g; Mul g s -> y
    Mul ('y'): it must have one input that depends on the images, and a constant
Gemm x W b -> h; Mul h half -> d; Tanh d -> y
    Mul ('d'): after a layer, only its bias may be added
Gemm x W b -> h; Sigmoid h -> s; Unsqueeze s int:1 -> u; Mul h u -> y
    Mul ('y'): it must have one input that depends on the images, and a constant
Gemm x W b -> h; Softmax(axis=0) h -> y
    Softmax ('y'): its axis 0 must be that of the units; a row has the shape (1, 4)
opset=11 | Gemm x W b -> h; Softmax(axis=0) h -> y
    the network must give the model's outputs for random rows; got
Gemm x ones:3,1 -> h; Softmax(axis=0) h -> y
    the network must give the model's outputs for random rows; got
opset=11 | Gemm x W b -> h; Unsqueeze(axes=[0]) h -> u; Softmax(axis=1) u -> y
    the network must give the model's outputs for random rows; got
opset=11 | Gemm x W b -> h; Add h ones:1,1,4 -> u; Softmax(axis=1) u -> y
    the network must give the model's outputs for random rows; got
Gemm x W b -> h; Reshape h int:-1,2,2 -> r; Softmax r -> y
    Softmax ('y'): its axis -1 must be that of the units; a row has the shape (1, 2, 2
Gemm x W b -> h; Softmax(axis=7) h -> y
    Softmax ('y'): 'axis' must be in [-2 , 1]. Its actual value is: 7
Gemm x W b -> h; ArgMax(axis=0) h -> y
    ArgMax ('y'): its axis 0 must be that of the units; a row has the shape (1, 4)
Gemm x W b -> h; ArgMax(axis=1, select_last_index=1) h -> y
    ArgMax ('y'): it must choose the first of equal outputs
Gemm x W b -> h; ArgMax(axis=1) h -> a; MatMul a V -> y
    MatMul ('y'): Incompatible dimensions for matrix multiplication
Gemm x W b -> h; ArgMax(axis=1) h -> a; PRelu a int:0 -> y
    PRelu ('y'): nothing may follow an ArgMax
ml:ArrayFeatureExtractor x int:0,1 -> s; Gemm s V c -> y
    Gemm ('y'): its weight for 4 values does not fit the shape of the input 'x'
Add strings strings -> t; Gemm x t b -> y
    Add ('t'): A typestr: T, has unsupported type: tensor(string)
Gemm x strings b -> y
    Gemm ('y'): B typestr: T, has unsupported type: tensor(string)
Transpose x -> t; Reshape t int:-1,3 -> r; Gemm r W b -> y
    the network must give the model's outputs for random rows; got
N,2,3 outputs=f | Transpose(perm=[0, 2, 1]) x -> t; Flatten t -> f; Gemm x W b -> h
    ONNX must have fully connected layers; got none before output 'f'
N,6 | Reshape x int:-1,3 -> r; Gemm r W b -> y
    Gemm ('y'): its weight for 3 values does not fit the shape of the input 'x'
2,3 | MatMul x W -> m; Add m ones:2,4 -> y
    Add ('y'): its constant of shape (2, 4) does not fit a row of shape (1, 4)
Add x ones:9,1,1 -> s; Gemm s W b -> y
    Gemm ('y'): Input 0 expected to have rank 2 but has rank 3 in node Gemm
opset=6 | MatMul x W -> m; Add(axis=1, broadcast=1) m b -> y
    ONNX must have operators in one version, from 7 to
opset=7 | MatMul x W -> m; Add(broadcast=1) m b -> y
    Add ('y'): Unrecognized attribute: broadcast for operator Add
Gemm x float64:3,4 b -> y
    Gemm ('y'): B has inconsistent type tensor(double)
Gemm x W float64:4 -> y
    Gemm ('y'): C has inconsistent type tensor(double)
input=uint8 | Sub x uint8:3 -> s; Cast(to=1) s -> f; Gemm f W b -> y
    Sub ('s'): its inputs must be floating-point numbers; got uint8
Sub x mean -> s; Cast(to=10) s -> h; Gemm h float16:3,4 -> y
    Cast ('h'): it rounds from float32 to float16 within the network
input=float16 | Sub x float16:3 -> s; Cast(to=1) s -> h; Gemm h W b -> y
    Cast ('h'): it rounds from float16 to float32 within the network
Gemm x W b -> h; Cast(to=11) h -> d; Gemm d float64:4,2 -> y
    `layers` must have one dtype; got float32 in layer 0 and float64 in layer 1
Mul x zero -> s; Gemm s W b -> y
    Mul ('s'): its constant must be finite, and not zero for a product or quotient
Div scale x -> s; Gemm s W b -> y
    Div ('s'): a constant divided by inputs is not preprocessing
Sub x nan -> s; Gemm s W b -> y
    Sub ('s'): its constant must be finite, and not zero for a product or quotient
Mul x tiny -> s; Gemm s W b -> y
    Mul ('s'): its constant must have an inverse in float32
Shape x -> s; Div s int:0,0 -> to; Reshape x to -> r; Gemm r W b -> y
    Div ('to'): it divides by zero
N,2 | Shape x -> s; Cast(to=1) s -> f; Reshape f int:2,1 -> w; Gemm x w -> y
    ONNX must have fully connected layers; got none before output 'y'
Gemm x W b -> h; Dropout h half yes -> y
    Dropout ('y'): it must not be in training mode
Gemm x W b -> h; Dropout h -> d y
    Dropout ('d'): only its first output is supported
Gemm x W b -> h; PRelu h b -> y
    PRelu ('y'): its slope must be the same for all units
Gemm x W b -> h; PRelu h ones:5,1,1 -> y
    PRelu ('y'): its constant of shape (5, 1, 1) does not fit a row of shape (1, 4)
Gemm x W b -> h; PRelu h ones:1,1,1 -> y
    PRelu ('y'): its slope of shape (1, 1, 1) must not add axes
N,2,3 | Transpose(perm=[0, 2, 1]) x -> t; Flatten t -> f; Gemm f ones:6,4 b -> y
    Transpose ('t'): it must not move the values of a row
Gemm x W b -> h; BatchNormalization(training_mode=1) h b b b b -> y m v
    BatchNormalization ('y'): it must not be in training mode
Gemm x W b -> h; Relu h -> r; BatchNormalization r b b b ones:4 -> y
    a fully connected layer after ONNX operator BatchNormalization ('y')
Gemm x W b -> h; BatchNormalization h half half half half -> y
    BatchNormalization ('y'):
ml:Scaler(offset=[1.0], scale=[2.0]) x -> s; Neg s -> n; Gemm n strings -> y
    Gemm ('y'): B typestr: T, has unsupported type: tensor(string)
Gemm x W b -> h; Neg h -> y
    Neg ('y'): it is not preprocessing here
dtype=float64 | ml:Scaler(offset=[1.0], scale=[2.0]) x -> s; Gemm s W b -> y
    has inconsistent type
Gemm x W b -> h; ArgMax(axis=1) h -> a; Neg a -> y
    Neg ('y'): nothing may follow an ArgMax
opset=11 | Gemm x W b -> h; Softmax(axis=7) h -> y
    Softmax ('y'):
opset=11 | Gemm x W b -> h; Gemm h W b -> y
    Gemm ('y'): its weight of shape (3, 4) does not fit a row of shape (1, 4)
N,4 | Gemm x V c -> h; Reshape h int:1,4 -> r; Gemm r V c -> y
    Reshape ('r'): its sizes must fit; its inputs have the shapes (1, 2), (2,)
result=7 | Gemm x ones:3,1 -> h; ArgMax(axis=0) h -> y
    ONNX's labels must be those of the largest outputs for random rows
Gemm x W b -> h; Clip h zero half -> y
    Clip ('y'): xpnet has no activation that clips to 0.0 .. 0.5
Gemm x W b -> h; HardSigmoid(alpha=0.3) h -> y
    HardSigmoid ('y'): xpnet does not support it with beta=0.5, alpha=0.3
Gemm x W b -> h; HardSigmoid(alpha=1e39) h -> y
    HardSigmoid ('y'): xpnet does not support it with beta=0.5, alpha=inf
Gemm x W b -> h; HardSigmoid(alpha='text') h -> y
    HardSigmoid ('y'): Mismatched attribute type in ' : alpha'. Expected: 'FLOAT', act
Gemm x W b -> h; Relu(slope=0.5) h -> y
    Relu ('y'): Unrecognized attribute: slope for operator Relu
Flatten(axis='one') x -> f; Gemm f W b -> y
    Flatten ('f'): Mismatched attribute type in ' : axis'. Expected: 'INT', actual: 'S
outputs=y | Add -> y
    Add ('y'): Node with schema(::Add:14) has input size 0 not in range [min=2, max=2]
Add x b b -> y
    Add ('y'): Node with schema(::Add:14) has input size 3 not in range [min=2, max=2]
MatMul x -> y
    MatMul ('y'): Node with schema(::MatMul:13) has input size 1 not in range [min=2,
outputs=y+h | Gemm x W b -> h; Relu - -> y; Gemm h V c -> y
    ONNX must produce each value once; got 'y' twice
MatMul x b -> y
    MatMul ('y'): its weight must be a matrix; got the shape (4,)
MatMul x ones:3,0 -> y
    MatMul ('y'): its weight must be a matrix; got the shape (3, 0)
Gemm x W b -> h; Gemm h W b -> y
    Gemm ('y'): Dimension mismatch in unification between 3 and 4
N,5 | Gemm x W b -> h; Gemm h V c -> y
    Gemm ('h'): its weight for 3 values does not fit the shape of the input 'x'
N,1,3 outputs=h | Gemm x W b -> h
    Gemm ('h'): Input 0 expected to have rank 2 but has rank 3 in node Gemm
scalar | MatMul x W -> y
    MatMul ('y'): its weight for 3 values does not fit the shape of the input 'x'
Reshape x int:0,0,0 -> r; Gemm r W b -> y
    Reshape ('r'): Invalid position of 0; its inputs have the shapes (1, 3), (3,)
Reshape x int:-2,3 -> r; Gemm r W b -> y
    Reshape ('r'): Invalid dimension value: -2
Reshape x int:-1,-1 -> r; Gemm r W b -> y
    Reshape ('r'): Target shape may not have multiple -1 dimensions
Reshape x half -> r; Gemm r W b -> y
    Reshape ('r'): shape input must be 1D tensor
Unsqueeze x many -> r; Gemm r W b -> y
    Unsqueeze ('r'): its sizes must fit; its inputs have the shapes (1, 3), (100000,)
Constant(value_string='text') -> w; Gemm x w -> y
    Constant ('w'): it must hold a tensor of numbers
Constant -> w; Gemm x w -> y
    Constant ('w'): it must hold a tensor of numbers
Cast(to=8) x -> t; Gemm t W b -> y
    Cast ('t'): its result must hold numbers; got type STRING
Sub x mean -> y
    ONNX must have fully connected layers; got none before output 'y'
Identity W -> y
    ONNX must have one input; got none
Gemm x nowhere b -> y
    ONNX must produce every value that it uses; 'nowhere' has no producer
Gemm x W b -> g; Add g z -> y; Relu y -> z
    ONNX must not have cycles; got one through 'y'
Gemm x W b -> h; Relu h -> y; Tanh h -> y
    ONNX must produce each value once; got 'y' twice
Identity x -> W; Gemm x W b -> y
    ONNX must produce each value once; got 'W' twice
outputs=x | Gemm x W b -> x
    ONNX must produce each value once; got 'x' twice
outputs=y+h | Gemm x W b -> h; Relu h -> r; Gemm r V c -> y
    ONNX must have one output; got 'y', 'h'
outputs=y+s | Gemm x W b -> h; Gemm h V c -> y; Sin h -> s
    Sin ('s'): not part of a network of fully connected layers
outputs= | Gemm x W b -> h
    ONNX must have one input; got none
"""


def test_graphs_that_are_refused(refusal, model_of, graphs, subtests):
    for graph, text in graphs:
        with subtests.test(graph):
            assert text in refusal(model_of(graph))


def test_two_inputs(refusal, model_of):
    model = model_of(f"{FIRST}Add h z -> y")
    model.graph.input.add().CopyFrom(model.graph.input[0])
    model.graph.input[1].name = "z"
    assert "ONNX must have one input; got 'x', 'z'" in refusal(model)


@pytest.mark.parametrize("operator", ["If", "Loop", "Scan"])
def test_graphs_within_graphs(refusal, model_of, operator):
    model = model_of(f"Cast(to=9) x -> condition; {operator} condition -> y")
    inner = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["z"])], "g", [], [])
    for name in ("then_branch", "else_branch", "body"):
        model.graph.node[1].attribute.append(onnx.helper.make_attribute(name, inner))
    assert re.search(rf"operator (Cast|{operator}) \('(condition|y)'\)", refusal(model))
    model.graph.node[1].input[0] = "x"
    assert f"ONNX operator {operator} ('y'): not part of a network" in refusal(model)


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        ("", "ONNX must not redefine its own operators; got 'Relu'"),
        ("ai.onnx", "ONNX must not redefine its own operators; got 'Relu'"),
        ("com.example", "ONNX operator com.example:Relu ('y'): not part of a network"),
    ],
)
def test_functions_of_the_file(refusal, model_of, domain, text):
    model = model_of(f"{FIRST}{domain}{':' if domain else ''}Relu h -> y")
    body = [onnx.helper.make_node("Tanh", ["a"], ["b"])]
    model.functions.append(
        onnx.helper.make_function(domain, "Relu", ["a"], ["b"], body, model.opset_import)
    )
    assert text in refusal(model)


def test_domains_that_nothing_uses(opened, model_of):
    model = model_of(f"{FIRST}{LAST}")
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    assert isinstance(opened(model), Network)
