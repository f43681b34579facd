"""Written ONNX files: valid, for any batch, including the preprocessing."""

import numpy as np
import pytest

import xpnet
from xpnet import Dense, Network, Scale, Standardize, Whiten
from xpnet.formats.description import describe
from xpnet.formats.onnx import serialize
from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, CLIP_BOUNDS
from xpnet.formats.onnx.writing import model_of
from xpnet.functions.activations import ACTIVATIONS

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

KNOWN = sorted({*ACTIVATION_OPERATORS, *CLIP_BOUNDS, "silu"})
WHITEN = Whiten([1.0, 2.0, 3.0], [[1.0, 2.0, 0.0], [0.1, -1.0, 3.0], [0.0, 0.5, 1.0]])


def make(activation="relu", options=None, dtype="float32", **meaning):
    """Return a network of two layers, 3 -> 4 -> 2."""
    draw = np.random.default_rng(0).standard_normal
    first = Dense(draw((3, 4)), draw(4), activation, options or {})
    return Network([first, Dense(draw((4, 2)), draw(2))], **meaning).astype(dtype)


def parts(network, **options):
    """Return the operators, their version, and the dtype of the input."""
    model = onnx.ModelProto.FromString(serialize(network, **options))
    (given,) = model.graph.input
    dtype = onnx.helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type)
    return [node.op_type for node in model.graph.node], model.opset_import[0].version, str(dtype)


OPERATORS = [
    ("Gemm Relu Gemm", make()),
    ("Gemm Gemm", make("linear")),
    ("Gemm Sigmoid Mul Gemm", make("silu")),
    ("Gemm Clip Gemm", make("relu6")),
    ("Mul Gemm Gemm", make("identity", preprocessing=Scale(0.5))),
    ("Gemm Gemm", make("identity", preprocessing=Scale(1.0))),
    ("Sub Div Gemm Gemm", make("identity", preprocessing=Standardize(1.0, 2.0))),
    ("Sub Gemm Gemm", make("identity", preprocessing=Standardize(1.0))),
    ("Sub MatMul Gemm Relu Gemm", make(preprocessing=WHITEN)),
]


@pytest.mark.parametrize(("operators", "network"), OPERATORS, ids=str)
def test_operators(operators, network):
    assert parts(network) == (operators.split(), 17, "float32")


@pytest.mark.parametrize(("activation", "version"), [("relu", 17), ("mish", 18), ("gelu", 20)])
def test_the_oldest_version_that_has_the_operators(activation, version):
    assert parts(make(activation))[1] == version


def test_inputs_and_outputs():
    network = make(preprocessing=Scale(1 / 255))
    operators = ["Cast", "Mul", "Gemm", "Relu", "Gemm"]
    assert parts(network, input_dtype="uint8") == (operators, 17, "uint8")
    ends = "(float[batch,3] input) => (float[batch,2] logits)"
    assert ends in onnx.printer.to_text(model_of(network).graph)


def test_every_activation(check_agreement, subtests):
    for activation in KNOWN:
        with subtests.test(activation=activation):
            network = make(activation, preprocessing=Standardize(0.5, np.float32([1, 2, 3])))
            check_agreement(network, serialize(network), shape=(100,))


NETWORKS = [
    make("celu", {"alpha": 0.25}),
    make("elu", {"alpha": 0.3}),
    make("gelu", {"approximate": "tanh"}),
    make("leaky_relu", {"negative_slope": 0.2}),
    make(dtype="float16", preprocessing=Scale(0.25)),
    make(dtype="float64", preprocessing=Scale(0.25)),
    make(preprocessing=[Scale(0.5), WHITEN]),
    Network([Dense(np.eye(3), np.zeros(3), "softmax")], output="probabilities").astype("float32"),
    xpnet.load("sample"),
]


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_agreement_with_onnxruntime(check_agreement, opened, network):
    input_dtype = "uint8" if network.n_in == 784 else None
    content = serialize(network, input_dtype=input_dtype)
    check_agreement(network, content, shape=(50,), dtype=input_dtype)
    assert describe(opened(content)) == describe(network)  # not as the graph rounds it


def test_what_onnx_has_not():
    for activation in sorted(set(ACTIVATIONS) - {*KNOWN, "linear"}):
        with pytest.raises(ValueError, match=f"'{activation}'"):
            serialize(make(activation))
    for dtype in ("float16", "float64"):
        with pytest.raises(TypeError, match=f"{dtype}: .*Celu"):
            serialize(make("celu", dtype=dtype))
    for step in (Scale(1e-9), Standardize(1e9), Standardize(0, 1e-9)):
        with pytest.raises(ValueError, match="preprocessing in float16; got 1"):
            serialize(make(dtype="float16", preprocessing=step))
