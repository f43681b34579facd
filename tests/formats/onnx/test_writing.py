"""Written ONNX files: valid, for any batch, including the preprocessing."""

import numpy as np
import pytest

import xpnet
from xpnet import Dense, Network, Scale, Standardize, Whiten
from xpnet.formats.description import arrays_by_name, describe
from xpnet.formats.onnx import serialize
from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, CLIP_BOUNDS
from xpnet.functions.activations import ACTIVATIONS

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

KNOWN = sorted({*ACTIVATION_OPERATORS, *CLIP_BOUNDS, "silu"})
WHITEN = Whiten([1.0, 2.0, 3.0], [[1.0, 2.0, 0.0], [0.1, -1.0, 3.0], [0.0, 0.5, 1.0]])


def make(activation="relu", options=None, dtype="float32", **meaning):
    """Return a network of two layers, 3 -> 4 -> 2."""
    draw = np.random.default_rng(0).standard_normal
    first = Dense(draw((3, 4)).astype(dtype), draw(4).astype(dtype), activation, options or {})
    return Network([first, Dense(draw((4, 2)).astype(dtype), draw(2).astype(dtype))], **meaning)


def parts(network, **options):
    """Return the operators, their version, and the dtype of the input."""
    model = onnx.ModelProto.FromString(serialize(network, **options))
    (given,) = model.graph.input
    dtype = onnx.helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type)
    return [node.op_type for node in model.graph.node], model.opset_import[0].version, str(dtype)


@pytest.mark.parametrize(
    ("network", "operators"),
    [
        (make(), ["Gemm", "Relu", "Gemm"]),
        (make("linear"), ["Gemm", "Gemm"]),
        (make("silu"), ["Gemm", "Sigmoid", "Mul", "Gemm"]),
        (make("relu6"), ["Gemm", "Clip", "Gemm"]),
        (make("identity", preprocessing=Scale(0.5)), ["Mul", "Gemm", "Gemm"]),
        (make("identity", preprocessing=Scale(1.0)), ["Gemm", "Gemm"]),
        (make("identity", preprocessing=Standardize(1.0, 2.0)), ["Sub", "Div", "Gemm", "Gemm"]),
        (make("identity", preprocessing=Standardize(1.0)), ["Sub", "Gemm", "Gemm"]),
        (make(preprocessing=WHITEN), ["Sub", "MatMul", "Gemm", "Relu", "Gemm"]),
    ],
    ids=str,
)
def test_operators(network, operators):
    assert parts(network) == (operators, 17, "float32")


@pytest.mark.parametrize(("activation", "version"), [("relu", 17), ("mish", 18), ("gelu", 20)])
def test_the_oldest_version_that_has_the_operators(activation, version):
    assert parts(make(activation))[1] == version


def test_bytes_as_inputs():
    operators = ["Cast", "Mul", "Gemm", "Relu", "Gemm"]
    network = make(preprocessing=Scale(1 / 255))
    assert parts(network, input_dtype="uint8") == (operators, 17, "uint8")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_files_are_valid(dtype, subtests):
    for activation in KNOWN:
        if (activation, dtype) in {("celu", "float16"), ("celu", "float64")}:
            continue
        with subtests.test(activation=activation):
            model = onnx.ModelProto.FromString(serialize(make(activation, dtype=dtype)))
            onnx.checker.check_model(model, full_check=True)
            given = model.graph.input[0].type.tensor_type.shape
            assert [dim.dim_param for dim in given.dim] == ["batch", ""]
            assert model.graph.output[0].name == "logits"


def test_agreement_with_onnxruntime(check_agreement, run, subtests):
    x = np.random.default_rng(3).standard_normal((500, 3)).astype(np.float32)
    for activation in KNOWN:
        with subtests.test(activation=activation):
            network = make(activation, preprocessing=Standardize(0.5, np.float32([1, 2, 3])))
            model = serialize(network)
            check_agreement(network, model, n_rows=100)
            assert np.array_equal(run(model, x)[0].argmax(axis=1), network(x).argmax(axis=1))


def test_whitening_by_onnxruntime(check_agreement):
    network = make(preprocessing=[Scale(0.5), WHITEN])
    check_agreement(network, serialize(network), n_rows=100)


@pytest.mark.parametrize(
    ("activation", "options"),
    [
        ("celu", {"alpha": 0.25}),
        ("elu", {"alpha": 0.3}),
        ("gelu", {"approximate": "tanh"}),
        ("leaky_relu", {"negative_slope": 0.2}),
    ],
)
def test_options(check_agreement, activation, options):
    network = make(activation, options)
    check_agreement(network, serialize(network))


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_dtypes(check_agreement, dtype):
    network = make(dtype=dtype, preprocessing=Scale(0.25))
    check_agreement(network, serialize(network))


@pytest.mark.parametrize("n_rows", [1, 256])
def test_raw_pixels(check_agreement, n_rows):
    network = xpnet.load("sample")
    model = serialize(network, input_dtype="uint8")
    check_agreement(network, model, n_rows=n_rows, dtype="uint8")


def test_probabilities(check_agreement):
    layer = Dense(np.eye(3, dtype="f4"), np.zeros(3, "f4"), "softmax")
    network = Network([layer], output="probabilities")
    model = onnx.ModelProto.FromString(serialize(network))
    assert model.graph.output[0].name == "probabilities"
    check_agreement(network, model)


def test_activations_that_onnx_has_not():
    for activation in sorted(set(ACTIVATIONS) - {*KNOWN, "linear"}):
        with pytest.raises(ValueError, match=f"'{activation}', only for .*, sigmoid, silu, "):
            serialize(make(activation))


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_dtypes_that_an_operator_has_not(dtype):
    with pytest.raises(TypeError, match=f"ONNX lacks an operator for {dtype}: .*Celu"):
        serialize(make("celu", dtype=dtype))


@pytest.mark.parametrize("step", [Scale(1e-9), Standardize(1e9), Standardize(0, 1e-9)])
def test_preprocessing_that_the_dtype_has_not(step):
    with pytest.raises(ValueError, match="ONNX must hold the preprocessing in float16; got 1"):
        serialize(make(dtype="float16", preprocessing=step))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_they_come_back(tmp_path, dtype, subtests):
    """Every activation and step, of which a graph rounds the numbers, with bytes as inputs too."""
    path, vector = tmp_path / "model.onnx", np.asarray([1.5, 0.1, 3.0])
    steps = {
        "none": (),
        "scale": Scale(1 / 255),
        "standardize": (Standardize(0.1307, 0.3081), Standardize(vector, vector)),
        "whiten": (Scale(-0.1), WHITEN),
    }
    for activation in KNOWN:
        for name, step in steps.items():
            if activation == "celu" and dtype != "float32":
                continue
            with subtests.test(activation=activation, step=name):
                facts = {"classes": ["no", "yes"], "metadata": {"author": "me"}}
                options = {"alpha": 1 / 3} if activation in {"elu", "celu"} else None
                network = make(activation, options, dtype, preprocessing=step, **facts)
                input_dtype = "uint8" if name == "scale" else None
                xpnet.save(network, path, input_dtype=input_dtype, force=True)
                again = xpnet.load(path)
                assert describe(again) == describe(network)
                arrays, expected = arrays_by_name(again), arrays_by_name(network)
                assert list(arrays) == list(expected)
                assert all(x.tobytes() == expected[key].tobytes() for key, x in arrays.items())
                assert {x.dtype for x in arrays.values()} == {np.dtype(dtype)}
