"""Graphs whose parts do not fit, or without a path from input to output."""

import numpy as np
import pytest

FIRST = ("Gemm", "x W b", "h")
LAST = ("Gemm", "h V c", "y")


def float32(*shape):
    return np.ones(shape, np.float32)


def whole(*numbers):
    return np.asarray(numbers, np.int64)


GRAPHS = {
    "a weight that is no matrix": (
        [("MatMul", "x b", "y")],
        {},
        "MatMul ('y'): its weight must be a matrix; got the shape (4,)",
    ),
    "a weight of nothing": (
        [("MatMul", "x v", "y")],
        {"constants": {"v": float32(3, 0)}},
        "MatMul ('y'): its weight must not be empty; got the shape (3, 0)",
    ),
    "layers that do not fit": (
        [FIRST, ("Gemm", "h W b", "y")],
        {},
        "Gemm ('y'): its weight of shape (3, 4) does not fit rows of shape (N, 4)",
    ),
    "a layer of another number of inputs": (
        [FIRST, LAST],
        {"shape": ("N", 5)},
        "Gemm ('h'): its weight of shape (3, 4) does not fit rows of shape (N, 5)",
    ),
    "a layer of a tensor": (
        [FIRST],
        {"shape": ("N", 1, 3), "outputs": "h"},
        "Gemm ('h'): its input must be a matrix; got rows of shape (N, 1, 3)",
    ),
    "a turned input of unknown shape": (
        [("Gemm", "x W b", "y", {"transA": 1})],
        {"shape": None},
        "Gemm ('y'): the shape of its input must be known",
    ),
    "a scalar input": ([("MatMul", "x W", "y")], {"shape": ()}, "does not fit rows of shape ()"),
    "a shape of zero": (
        [("Reshape", "x to", "r"), ("Gemm", "r W b", "y")],
        {"constants": {"to": whole(0, 0, 0)}},
        "Reshape ('r'): rows of shape (N, 3) cannot have the shape (N, 3, 0)",
    ),
    "a shape of less than zero": (
        [("Reshape", "x to", "r"), ("Gemm", "r W b", "y")],
        {"constants": {"to": whole(-2, 3)}},
        "Reshape ('r'): its shape must be known; got [-2, 3]",
    ),
    "a shape that is open twice": (
        [("Reshape", "x to", "r"), ("Gemm", "r W b", "y")],
        {"constants": {"to": whole(-1, -1)}},
        "Reshape ('r'): its shape must be known; got [-1, -1]",
    ),
    "a shape of fractions": (
        [("Reshape", "x half", "r"), ("Gemm", "r W b", "y")],
        {},
        "Reshape ('r'): its shape must be at most 64 integers",
    ),
    "a shape of too many axes": (
        [("Unsqueeze", "x many", "r"), ("Gemm", "r W b", "y")],
        {"constants": {"many": np.arange(100_000)}},
        "Unsqueeze ('r'): its axes must be at most 64 integers",
    ),
    "a constant of text": (
        [("Constant", "", "w", {"value_string": "text"}), ("Gemm", "x w", "y")],
        {},
        "Constant ('w'): it must hold a tensor of numbers",
    ),
    "a constant of graphs": (
        [("Constant", "", "w", {}), ("Gemm", "x w", "y")],
        {},
        "Constant ('w'): it must hold a tensor of numbers",
    ),
    "a cast to text": (
        [("Cast", "x", "t", {"to": 8}), ("Gemm", "t W b", "y")],
        {},
        "Cast ('t'): ValueError: the result of the cast must hold numbers; got type STRING",
    ),
    "no layers at all": (
        [("Sub", "x mean", "y")],
        {},
        "ONNX must have fully connected layers; got none before output 'y'",
    ),
    "no input": ([("Identity", "W", "y")], {}, "ONNX must have one input; got none"),
    "a value from nowhere": (
        [("Gemm", "x nowhere b", "y")],
        {},
        "ONNX must produce every value that it uses; 'nowhere' has no producer",
    ),
    "a cycle": (
        [("Gemm", "x W b", "g"), ("Add", "g z", "y"), ("Relu", "y", "z")],
        {},
        "ONNX must not have cycles; got one through 'y'",
    ),
    "a value that is made twice": (
        [FIRST, ("Relu", "h", "y"), ("Tanh", "h", "y")],
        {},
        "ONNX must produce each value once; got 'y' twice",
    ),
    "a value with the name of a weight": (
        [("Identity", "x", "W"), ("Gemm", "x W b", "y")],
        {},
        "ONNX must produce each value once; got 'W' twice",
    ),
    "a value with the name of the input": (
        [("Gemm", "x W b", "x")],
        {"outputs": "x"},
        "ONNX must produce each value once; got 'x' twice",
    ),
    "several outputs": (
        [FIRST, ("Relu", "h", "r"), ("Gemm", "r V c", "y")],
        {"outputs": "y h"},
        "ONNX must have one output; got 'y', 'h'",
    ),
    "an output beside it that is no network": (
        [FIRST, LAST, ("Sin", "h", "s")],
        {"outputs": "y s"},
        "ONNX operator Sin ('s'): not part",
    ),
    "no output": ([FIRST], {"outputs": ""}, "ONNX must have one input; got none"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_that_are_refused(refusal, model_of, name):
    nodes, parts, text = GRAPHS[name]
    assert text in refusal(model_of(nodes, **parts))
