"""Graphs that are not fully connected networks, rejected with operator and node."""

import re

import numpy as np
import pytest

from xpnet import Network

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

FIRST = ("Gemm", "x W b", "h")
LAST = ("Gemm", "h V c", "y")


def float32(*shape):
    return np.ones(shape, np.float32)


def whole(*numbers):
    return np.asarray(numbers, np.int64)


def after(operator, *node):
    """Return a graph of a layer and another operation, and the name that the error contains."""
    return [FIRST, (operator, *node)]


GRAPHS = {
    "a convolution": (
        [("Conv", "x k", "y")],
        {"shape": ("N", 1, 3, 3), "constants": {"k": float32(1, 1, 1, 1)}},
        "ONNX operator Conv ('y'): not part of a network of fully connected layers",
    ),
    "an operator of a foreign domain": (
        [("Gemm", "x W b", "y", {}, "com.example")],
        {},
        "ONNX operator com.example:Gemm ('y'): not part",
    ),
    "a layer of two inputs": (
        [FIRST, ("Transpose", "x", "t"), ("MatMul", "t h", "y")],
        {},
        "MatMul ('y'): it must have one input that depends on the images, and a constant",
    ),
    "a branch": (
        [FIRST, ("Relu", "h", "r"), ("Add", "h r", "y")],
        {},
        "Add ('y'): it must have one input that depends on the images",
    ),
    "an activation of the inputs": (
        [("Relu", "x", "r"), ("Gemm", "r W b", "y")],
        {},
        "Relu ('r'): an activation must follow a fully connected layer",
    ),
    "two activations": (
        [FIRST, ("Relu", "h", "r"), ("Tanh", "r", "y")],
        {},
        "Tanh ('y'): an activation must follow a fully connected layer",
    ),
    "a bias behind an activation": (
        [FIRST, ("Relu", "h", "r"), ("Add", "r b", "y")],
        {},
        "Add ('y'): after a layer, only its bias may be added",
    ),
    "a product after a layer": (after("Mul", "h b", "y"), {}, "only its bias may be added"),
    "a difference from a bias": (after("Sub", "b h", "y"), {}, "only its bias may be added"),
    "silu in pieces that do not belong": (
        [FIRST, ("Sigmoid", "h", "s"), ("Gemm", "x W b", "g"), ("Mul", "g s", "y")],
        {},
        "Mul ('y'): it must have one input",
    ),
    "an activation in pieces, as older versions have gelu": (
        [FIRST, ("Mul", "h half", "d"), ("Erf", "d", "y")],
        {},
        "Mul ('d'): after a layer, only its bias may be added",
    ),
    "silu in another shape": (
        [
            FIRST,
            ("Sigmoid", "h", "s"),
            ("Unsqueeze", "s one", "u"),
            ("Mul", "h u", "y"),
        ],
        {"constants": {"one": whole(1)}},
        "Mul ('y'): it must have one input",
    ),
    "a softmax of the batch": (
        after("Softmax", "h", "y", {"axis": 0}),
        {},
        "Softmax ('y'): its axis 0 must be that of the units; rows have shape (N, 4)",
    ),
    "an old softmax of all": (
        after("Softmax", "h", "y", {"axis": 0}),
        {"opset": 11},
        "Softmax ('y'): its axis 0 must be that of the units",
    ),
    "a softmax of one unit over the batch": (
        [("Gemm", "x column", "h"), ("Softmax", "h", "y", {"axis": 0})],
        {"constants": {"column": float32(3, 1)}},
        "Softmax ('y'): its axis 0 must be that of the units; rows have shape (N, 1)",
    ),
    "an old softmax of a batch that was moved": (
        [FIRST, ("Unsqueeze", "h", "u", {"axes": [0]}), ("Softmax", "u", "y", {"axis": 1})],
        {"opset": 11},
        "Softmax ('y'): its axis 1 must be that of the units; rows have shape (1, N, 4)",
    ),
    "a softmax of a batch that a constant moved": (
        [FIRST, ("Add", "h far", "u"), ("Softmax", "u", "y", {"axis": 1})],
        {"opset": 11, "constants": {"far": float32(1, 1, 4)}},
        "Softmax ('y'): its axis 1 must be that of the units; rows have shape (1, N, 4)",
    ),
    "a softmax of part of a row": (
        [FIRST, ("Reshape", "h to", "r"), ("Softmax", "r", "y")],
        {"constants": {"to": whole(-1, 2, 2)}},
        "Softmax ('y'): its axis -1 must be that of the units; rows have shape (N, 2, 2)",
    ),
    "an axis that is none": (
        after("Softmax", "h", "y", {"axis": 7}),
        {},
        "Softmax ('y'): its axis 7 must be one of 2",
    ),
    "an argmax of the batch": (
        after("ArgMax", "h", "y", {"axis": 0}),
        {},
        "ArgMax ('y'): its axis 0 must be that of the units",
    ),
    "an argmax that chooses the last": (
        after("ArgMax", "h", "y", {"axis": 1, "select_last_index": 1}),
        {},
        "ArgMax ('y'): it must choose the first of equal outputs",
    ),
    "a layer behind an argmax": (
        [FIRST, ("ArgMax", "h", "a", {"axis": 1}), ("MatMul", "a V", "y")],
        {},
        "MatMul ('y'): nothing may follow an ArgMax",
    ),
    "an activation behind an argmax": (
        [FIRST, ("ArgMax", "h", "a", {"axis": 1}), ("PRelu", "a slope", "y")],
        {"constants": {"slope": whole(0)}},
        "PRelu ('y'): nothing may follow an ArgMax",
    ),
    "a choice of inputs": (
        [("ArrayFeatureExtractor", "x two", "s", {}, "ai.onnx.ml"), ("Gemm", "s V c", "y")],
        {"constants": {"two": whole(0, 1)}},
        "ArrayFeatureExtractor ('s'): it must choose from a constant by the index of the largest",
    ),
    "a sum of strings": (
        [("Add", "s s", "t"), ("Gemm", "x t b", "y")],
        {"constants": {"s": np.asarray(["a" * 1000] * 2, object)}},
        "Add ('t'): its constants must be numbers",
    ),
    "a weight of strings": (
        [("Gemm", "x s b", "y")],
        {"constants": {"s": np.asarray([["a"] * 4] * 3, object)}},
        "Gemm ('y'): its weight and input must have one float dtype; got object, float32",
    ),
    "rows that get into another": (
        [
            ("Transpose", "x", "t"),
            ("Reshape", "t to", "r"),
            ("Gemm", "r W b", "y"),
        ],
        {"constants": {"to": whole(-1, 3)}},
        "Reshape ('r'): rows of shape (3, N) cannot have the shape (N, 3)",
    ),
    "a picture that is turned": (
        [("Transpose", "x", "t", {"perm": [0, 2, 1]}), ("Flatten", "t", "f"), FIRST],
        {"shape": ("N", 2, 3), "outputs": "f"},
        "Transpose ('t'): it must not move the values of a row",
    ),
    "half of a row": (
        [("Reshape", "x to", "r"), ("Gemm", "r W b", "y")],
        {"shape": ("N", 6), "constants": {"to": whole(-1, 3)}},
        "Gemm ('y'): its weight of shape (3, 4) does not fit rows of shape",
    ),
    "a bias for each row of a fixed batch": (
        [("MatMul", "x W", "m"), ("Add", "m many", "y")],
        {"shape": (2, 3), "constants": {"many": float32(2, 4)}},
        "Add ('y'): its constant of shape (2, 4) does not fit rows of shape (N, 4)",
    ),
    "a sum that grows": (
        [("Add", "x column", "s"), ("Gemm", "s W b", "y")],
        {"constants": {"column": float32(9, 1, 1)}},
        "Add ('s'): its constant of shape (9, 1, 1) does not fit rows of shape (N, 3)",
    ),
    "an old sum": (
        [("MatMul", "x W", "m"), ("Add", "m b", "y", {"axis": 1, "broadcast": 1})],
        {"opset": 6},
        "ONNX must have operators in one version, from 7 to ",
    ),
    "an attribute of an old sum": (
        [("MatMul", "x W", "m"), ("Add", "m b", "y", {"broadcast": 1})],
        {"opset": 7},
        "Add ('y'): its attribute 'broadcast' is unknown in version 7, which has none",
    ),
    "weights of another dtype": (
        [("Gemm", "x v b", "y")],
        {"constants": {"v": np.ones((3, 4), "f8")}},
        "Gemm ('y'): its weight and input must have one float dtype; got float64, float32",
    ),
    "a bias of another dtype": (
        [("Gemm", "x W d", "y")],
        {"constants": {"d": np.ones(4, "f8")}},
        "Gemm ('y'): its bias must have the dtype float32; got float64",
    ),
    "preprocessing in whole numbers": (
        [("Sub", "x i", "s"), ("Cast", "s", "f", {"to": 1}), ("Gemm", "f W b", "y")],
        {"input_dtype": "uint8", "constants": {"i": np.ones(3, "u1")}},
        "Sub ('s'): its constant and input must have one float dtype; got uint8, uint8",
    ),
    "preprocessing that rounds to half": (
        [("Sub", "x mean", "s"), ("Cast", "s", "h", {"to": 10}), ("Gemm", "h v", "y")],
        {"constants": {"v": np.ones((3, 4), "f2")}},
        "Cast ('h'): it rounds from float32 to float16 within the network",
    ),
    "preprocessing in half": (
        [("Sub", "x m", "s"), ("Cast", "s", "h", {"to": 1}), ("Gemm", "h W b", "y")],
        {"input_dtype": "float16", "constants": {"m": np.ones(3, "f2")}},
        "Cast ('h'): it rounds from float16 to float32 within the network",
    ),
    "layers of two dtypes": (
        [FIRST, ("Cast", "h", "d", {"to": 11}), ("Gemm", "d v", "y")],
        {"constants": {"v": np.ones((4, 2), "f8")}},
        "ONNX must have weights of one dtype; got float32, float64",
    ),
    "a product with zero": (
        [("Mul", "x zero", "s"), ("Gemm", "s W b", "y")],
        {},
        "Mul ('s'): its constant must be finite, and not zero for a product or quotient",
    ),
    "a quotient by inputs": (
        [("Div", "scale x", "s"), ("Gemm", "s W b", "y")],
        {},
        "Div ('s'): a constant divided by inputs is not preprocessing",
    ),
    "a mean that is NaN": (
        [("Sub", "x nan", "s"), ("Gemm", "s W b", "y")],
        {"constants": {"nan": np.asarray([0, np.nan, 0], "f4")}},
        "Sub ('s'): its constant must be finite",
    ),
    "a factor without an inverse": (
        [("Mul", "x tiny", "s"), ("Gemm", "s W b", "y")],
        {"constants": {"tiny": np.asarray([1, 1e-40, 1], "f4")}},
        "Mul ('s'): its constant must have an inverse in float32",
    ),
    "a whole number divided by zero": (
        [
            ("Shape", "x", "s"),
            ("Div", "s zeros", "to"),
            ("Reshape", "x to", "r"),
            ("Gemm", "r W b", "y"),
        ],
        {"constants": {"zeros": whole(0, 0)}},
        "Div ('to'): it divides by zero",
    ),
    "weights out of the number of rows": (
        [
            ("Shape", "x", "s"),
            ("Cast", "s", "f", {"to": 1}),
            ("Reshape", "f to", "w"),
            ("Gemm", "x w", "y"),
        ],
        {"shape": ("N", 2), "constants": {"to": whole(2, 1)}},
        "Cast ('f'): the number of rows must not enter the arithmetic",
    ),
    "a training dropout": (
        [FIRST, ("Dropout", "h half yes", "y")],
        {"constants": {"yes": np.asarray(True)}},  # noqa: FBT003 (a tensor)
        "Dropout ('y'): it must not be in training mode",
    ),
    "a mask of dropout": (
        [FIRST, ("Dropout", "h", "d y")],
        {},
        "Dropout ('y'): only its first output is supported",
    ),
    "slopes of several units": (
        after("PRelu", "h b", "y"),
        {},
        "PRelu ('y'): its slope must be the same for all units",
    ),
    "slopes that grow": (
        after("PRelu", "h slopes", "y"),
        {"constants": {"slopes": float32(5, 1, 1)}},
        "PRelu ('y'): its constant of shape (5, 1, 1) does not fit rows of shape (N, 4)",
    ),
    "a slope that adds an axis": (
        after("PRelu", "h slopes", "y"),
        {"constants": {"slopes": float32(1, 1, 1)}},
        "PRelu ('y'): its slope of shape (1, 1, 1) must not add axes",
    ),
    "a clip that is no activation": (
        after("Clip", "h zero half", "y"),
        {},
        "Clip ('y'): xpnet has no activation that clips to 0.0 .. 0.5",
    ),
    "a hard sigmoid of other numbers": (
        after("HardSigmoid", "h", "y", {"alpha": 0.3}),
        {},
        "HardSigmoid ('y'): xpnet does not support it with alpha=0.3",
    ),
    "a hard sigmoid of NaN": (
        after("HardSigmoid", "h", "y", {"alpha": float("nan")}),
        {},
        "HardSigmoid ('y'): xpnet does not support it with alpha=nan",
    ),
    "a hard sigmoid of text": (
        after("HardSigmoid", "h", "y", {"alpha": "text"}),
        {},
        "HardSigmoid ('y'): its attribute 'alpha' must be FLOAT",
    ),
    "an unknown attribute": (
        after("Relu", "h", "y", {"slope": 0.5}),
        {},
        "Relu ('y'): its attribute 'slope' is unknown in version 14, which has none",
    ),
    "a text as an axis": (
        [("Flatten", "x", "f", {"axis": "one"}), ("Gemm", "f W b", "y")],
        {},
        "Flatten ('f'): its attribute 'axis' must be INT",
    ),
    "no inputs of a sum": ([("Add", "", "y")], {"outputs": "y"}, "must have one input; got none"),
    "an operation of too many inputs": (
        [("Add", "x b b", "y")],
        {},
        "Add ('y'): it must have 2 inputs in version 14; got 3",
    ),
    "an operation of too few inputs": ([("MatMul", "x", "y")], {}, "MatMul ('y'): it must have"),
    "a node without its input": ([FIRST, ("Relu", "-", "y"), LAST], {"outputs": "y h"}, "twice"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_that_are_refused(refusal, model_of, name):
    nodes, parts, text = GRAPHS[name]
    assert text in refusal(model_of(nodes, **parts))


def test_two_inputs(refusal, model_of):
    model = model_of([FIRST, ("Add", "h z", "y")])
    model.graph.input.add().CopyFrom(model.graph.input[0])
    model.graph.input[1].name = "z"
    assert "ONNX must have one input; got 'x', 'z'" in refusal(model)


@pytest.mark.parametrize("operator", ["If", "Loop", "Scan"])
def test_graphs_within_graphs(refusal, model_of, operator):
    model = model_of([("Cast", "x", "yes", {"to": 9}), (operator, "yes", "y")])
    inner = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["z"])], "g", [], [])
    for name in ("then_branch", "else_branch", "body"):
        model.graph.node[1].attribute.append(onnx.helper.make_attribute(name, inner))
    assert re.search(rf"operator (Cast|{operator}) \('(yes|y)'\)", refusal(model))
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
    model = model_of([FIRST, ("Relu", "h", "y", {}, domain)])
    body = [onnx.helper.make_node("Tanh", ["a"], ["b"])]
    model.functions.append(
        onnx.helper.make_function(domain, "Relu", ["a"], ["b"], body, model.opset_import)
    )
    assert text in refusal(model)


def test_domains_that_nothing_uses(opened, model_of):
    model = model_of([FIRST, LAST])
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    assert isinstance(opened(model), Network)
