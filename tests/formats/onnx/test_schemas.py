"""Versions and attributes of operators: models that ONNX Runtime rejects are rejected."""

import numpy as np
import pytest

import xpnet
from xpnet import Network
from xpnet.files.errors import WeightsError
from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

FIRST = ("Gemm", "x W b", "h")
LAST = ("Gemm", "h V c", "y")
SCALED = [
    ("Scaler", "x", "s", {"offset": [1.0, 2.0, 3.0], "scale": [1.0, 2.0, 4.0]}, "ai.onnx.ml"),
    ("MatMul", "s W", "y"),
]
NEWEST = onnx.defs.onnx_opset_version()


def whole(*numbers):
    return np.asarray(numbers, np.int64)


def opsets(*pairs):
    return [onnx.helper.make_opsetid(domain, version) for domain, version in pairs]


@pytest.mark.parametrize(
    ("imports", "shown"),
    [
        ([], "none"),
        ([("", 0)], "0"),
        ([("", -1)], "-1"),
        ([("", 6)], "6"),
        ([("", NEWEST + 1)], str(NEWEST + 1)),
        ([("", 1 << 40)], str(1 << 40)),
        ([("com.example", 17)], "none"),
        ([("", 11), ("", 17)], "11 and 17"),
        ([("ai.onnx", 17), ("", 11)], "11 and 17"),
    ],
)
def test_versions_that_are_refused(refusal, model_of, imports, shown):
    model = model_of([FIRST, LAST])
    del model.opset_import[:]
    model.opset_import.extend(opsets(*imports))
    expected = f"ONNX must have operators in one version, from 7 to {NEWEST}; got {shown}"
    assert expected in refusal(model)


@pytest.mark.parametrize(
    "imports", [[("ai.onnx", 17)], [("", 17), ("ai.onnx", 17)], [("", NEWEST)], [("", 7)]]
)
def test_versions_that_are_read(opened, model_of, check_agreement, imports):
    model = model_of([FIRST, LAST])
    del model.opset_import[:]
    model.opset_import.extend(opsets(*imports))
    check_agreement(opened(model), model)


@pytest.mark.parametrize("version", [0, 99])
def test_versions_of_the_other_domain(refusal, opened, model_of, check_agreement, version):
    model = model_of(SCALED)
    check_agreement(opened(model), model)  # without one, it is the newest
    model.opset_import.extend(opsets(("ai.onnx.ml", version)))
    expected = "ONNX must have operators of ai.onnx.ml in one version, from 1 to "
    assert f"{expected}{onnx.defs.onnx_ml_opset_version()}; got {version}" in refusal(model)


def test_a_format_that_is_newer_than_the_package(refusal, opened, model_of):
    model = model_of([FIRST, LAST])
    model.ir_version = onnx.IR_VERSION
    assert isinstance(opened(model), Network)
    model.ir_version += 1
    expected = f"of format version {onnx.IR_VERSION} or older; got {onnx.IR_VERSION + 1}"
    assert expected in refusal(model)


def attribute(name, **fields):
    return onnx.AttributeProto(name=name, **fields)


FLOAT, INT = onnx.AttributeProto.FLOAT, onnx.AttributeProto.INT


@pytest.mark.parametrize(
    ("place", "attributes", "text"),
    [
        (1, [attribute("alpha", i=1, type=INT)], "its attribute 'alpha' must be FLOAT"),
        (1, [attribute("alpha", f=0.5)], "its attribute 'alpha' must be FLOAT"),
        (1, [attribute("alpha", i=1, type=FLOAT)], "its attribute 'alpha' must be FLOAT"),
        (1, [attribute("alpha", f=0.5, i=1, type=FLOAT)], "its attribute 'alpha' must be FLOAT"),
        (1, [attribute("alpha", f=0.5, type=FLOAT)] * 2, "its attribute 'alpha' is given twice"),
        (1, [attribute("", f=0.5, type=FLOAT)], "its attribute '' is unknown in version 16"),
        (0, [attribute("transA", f=0.0, type=FLOAT)], "its attribute 'transA' must be INT"),
        (0, [attribute("axis", i=1, type=INT)], "in version 13, which has alpha, beta, transA"),
    ],
)
def test_attributes_that_are_refused(refusal, model_of, place, attributes, text):
    model = model_of([FIRST, ("LeakyRelu", "h", "g"), ("Gemm", "g V c", "y")])
    model.graph.node[place].attribute.extend(attributes)
    name = ["Gemm ('h')", "LeakyRelu ('g')"][place]
    found = refusal(model)
    assert f"ONNX operator {name}: its attribute " in found
    assert text in found


GRAPHS = {
    "an operator that comes later": (
        [FIRST, ("Gelu", "h", "y")],
        {"opset": 19},
        "Gelu ('y'): the operator is missing in version 19",
    ),
    "an operator that nothing uses": (
        [FIRST, LAST, ("Nothing", "x", "z")],
        {},
        "Nothing ('z'): the operator is missing in version 17",
    ),
    "a removed operator that nothing uses": (
        [FIRST, LAST, ("Upsample", "x", "z")],
        {},
        "Upsample ('z'): it was removed in version 10",
    ),
    "a foreign operator that nothing uses": (
        [FIRST, LAST, ("Gemm", "x", "z", {}, "com.example")],
        {},
        "com.example:Gemm ('z'): not part of a network of fully connected layers",
    ),
    "an attribute of a node that nothing uses": (
        [FIRST, LAST, ("Relu", "x", "z", {"slope": 0.5})],
        {},
        "Relu ('z'): its attribute 'slope' is unknown in version 14, which has none",
    ),
    "bounds that became inputs": (
        [FIRST, ("Clip", "h", "y", {"min": 0.0})],
        {"opset": 11},
        "Clip ('y'): its attribute 'min' is unknown in version 11, which has none",
    ),
    "bounds that are no inputs yet": (
        [FIRST, ("Clip", "h zero", "y")],
        {"opset": 10},
        "Clip ('y'): it must have 1 input in version 6; got 2",
    ),
    "a bias that may not be left out yet": (
        [("Gemm", "x W", "y")],
        {"opset": 10},
        "Gemm ('y'): it must have 3 inputs in version 9; got 2",
    ),
    "an output too many": (
        [FIRST, ("Relu", "h", "y z")],
        {},
        "Relu ('y'): it must have 1 output in version 14; got 2",
    ),
    "a missing attribute": (
        [("Concat", "b b", "w"), ("Gemm", "x W w", "y")],
        {},
        "Concat ('w'): its attribute 'axis' is missing",
    ),
    "a dtype that comes later": (
        [FIRST, ("Celu", "h", "y")],
        {"dtype": "float64"},
        "Celu ('y'): it does not accept float64 as its input 1 in version 12",
    ),
    "bounds of another dtype": (
        [FIRST, ("Clip", "h low", "y")],
        {"constants": {"low": np.zeros(())}},
        "Clip ('y'): its inputs must be of one dtype; got float32, float64",
    ),
    "a negative axis before there were any": (
        [("Flatten", "x", "f", {"axis": -1}), ("Gemm", "f W b", "y")],
        {"opset": 10},
        "Flatten ('f'): its axis -1 must not be negative before version 11",
    ),
    "an axis behind all": (
        [("Flatten", "x", "f", {"axis": 3}), ("Gemm", "f W b", "y")],
        {},
        "Flatten ('f'): its axis 3 must be one of 2",
    ),
    "the same axis twice": (
        [("Unsqueeze", "x twice", "u"), ("Gemm", "u W b", "y")],
        {"constants": {"twice": whole(0, 0)}},
        "Unsqueeze ('u'): its axes [0, 0] must differ",
    ),
    "an axis once from either end": (
        [("Unsqueeze", "x twice", "u"), ("Gemm", "u W b", "y")],
        {"constants": {"twice": whole(0, -4)}},
        "Unsqueeze ('u'): its axes [0, -4] must differ",
    ),
    "no axes": (
        [("Squeeze", "x none", "s"), ("Gemm", "s W b", "y")],
        {"constants": {"none": whole()}},
        "Squeeze ('s'): its axes must be omitted or not empty; got an empty list",
    ),
    "a bias of three axes": (
        [("Gemm", "x W cube", "y")],
        {"constants": {"cube": np.ones((1, 1, 4), "f4")}},
        "Gemm ('y'): its bias must have at most two axes; got the shape (1, 1, 4)",
    ),
    "a bias that counts nothing, but does not fit": (
        [("Gemm", "x W many", "y", {"beta": 0.0})],
        {"constants": {"many": np.ones((5, 4), "f4")}},
        "Gemm ('y'): its constant of shape (5, 4) does not fit rows of shape (N, 4)",
    ),
    "a matrix of rows in front of a Gemm": (
        [("MatMul", "x cube", "m"), ("Gemm", "m V c", "y")],
        {"constants": {"cube": np.ones((1, 3, 4), "f4")}},
        "Gemm ('y'): its input must be a matrix; got rows of shape (1, N, 4)",
    ),
    "a Gemm of a vector of unknown length": (
        [FIRST, LAST],
        {"shape": ("N",)},
        "Gemm ('h'): its input must be a matrix; got rows of shape (3)",
    ),
    "more axes than a Gemm takes, of unknown length": (
        [("Add", "x cube", "a"), ("Gemm", "a W b", "y")],
        {"shape": ("N", "M"), "constants": {"cube": np.ones((1, 1, 3), "f4")}},
        "Add ('a'): its constant of shape (1, 1, 3) does not fit a row",
    ),
    "a scale alone": (
        [("Scaler", "x", "s", {"scale": [2.0]}, "ai.onnx.ml"), ("Gemm", "s W b", "y")],
        {},
        "ai.onnx.ml:Scaler ('s'): its offset and scale must be given, and of one length",
    ),
    "an offset of another length": (
        [(*SCALED[0][:3], {"scale": [2.0], "offset": [1.0, 2.0]}, "ai.onnx.ml"), SCALED[1]],
        {},
        "ai.onnx.ml:Scaler ('s'): its offset and scale must be given, and of one length",
    ),
    "a ratio of dropout in a vector": (
        [FIRST, ("Dropout", "h ratio", "y")],
        {"constants": {"ratio": np.ones(1, "f4")}},
        "Dropout ('y'): its ratio and mode must be scalars",
    ),
    "bounds in a matrix": (
        [FIRST, ("Clip", "h low", "y")],
        {"constants": {"low": np.zeros((1, 1), "f4")}},
        "Clip ('y'): its bounds must be scalars; got the shape (1, 1)",
    ),
    "a constant of two values": (
        [("Constant", "", "k", {"value_int": 1, "value_float": 2.0}), ("Mul", "x k", "y")],
        {},
        "Constant ('k'): it must hold a tensor of numbers",
    ),
    "an input of no length": ([FIRST, LAST], {"shape": (0, 3)}, "got a length of 0 in 'x'"),
}


# The specification leaves these cases open; the runtime decides them in one way.
OPEN = {"no axes", "a constant of two values"}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_that_are_refused(refusal, model_of, name):
    nodes, parts, text = GRAPHS[name]
    assert text in refusal(model_of(nodes, **parts))


@pytest.mark.parametrize("name", [name for name in GRAPHS if name not in OPEN])
def test_the_runtime_refuses_them_too(model_of, run, name):
    nodes, parts, _ = GRAPHS[name]
    shape = [7 if n in {"N", 0} else 3 for n in parts.get("shape", ("N", 3))]
    with pytest.raises(Exception, match="ONNXRuntimeError"):
        run(model_of(nodes, **parts), np.ones(shape, parts.get("dtype", "f4")))


def test_nodes_of_one_name(refusal, model_of):
    model = model_of([FIRST, LAST])
    for node in model.graph.node:
        node.name = "same"
    assert "ONNX must have unique names of nodes; got 'same' twice" in refusal(model)


# By operator, a graph with it; the numbers of its inputs and its attributes changed over time.
VARIED = {
    **{
        operator.name: [FIRST, (operator.name, "h", "y", attributes)]
        for operator in ACTIVATION_OPERATORS.values()
        for attributes in [{"alpha": 1 / 6} if operator.name == "HardSigmoid" else {}]
    },
    "Clip of attributes": [FIRST, ("Clip", "h", "y", {"min": 0.0, "max": 6.0})],
    "Clip of inputs": [FIRST, ("Clip", "h zero six", "y")],
    "PRelu": [FIRST, ("PRelu", "h half", "y")],
    "ArgMax": [FIRST, ("ArgMax", "h", "y", {"axis": 1})],
    "ArgMax from the end": [FIRST, ("ArgMax", "h", "y", {"axis": -1})],
    "ArgMax of the first": [FIRST, ("ArgMax", "h", "y", {"axis": 1, "select_last_index": 0})],
    **{
        operator: [(operator, "x scale", "s"), ("Gemm", "s W b", "y")]
        for operator in ("Add", "Sub", "Mul", "Div")
    },
    "Add of old": [("Add", "x scale", "s", {"broadcast": 1}), ("MatMul", "s W", "y")],
    "Neg": [("Neg", "x", "s"), ("MatMul", "s W", "y")],
    "Gemm without a bias": [("Gemm", "x W", "y")],
    "Gemm of old": [("Gemm", "x W b", "y", {"broadcast": 1})],
    "Gemm turned": [("Gemm", "x WT b", "y", {"transB": 1, "alpha": 0.5, "beta": 2.0})],
    "Gemm of a whole factor": [("Gemm", "x W b", "y", {"alpha": 2})],
    "Dropout of an attribute": [FIRST, ("Dropout", "h", "y", {"ratio": 0.5})],
    "Dropout of inputs": [FIRST, ("Dropout", "h half", "y")],
    "Dropout of old": [FIRST, ("Dropout", "h", "y", {"is_test": 1})],
    "Cast": [("Cast", "x", "s", {"to": 1}), ("MatMul", "s W", "y")],
    "Cast to a name": [("Cast", "x", "s", {"to": "FLOAT"}), ("MatMul", "s W", "y")],
    "Flatten from the end": [("Flatten", "x", "f", {"axis": -1}), ("MatMul", "f W", "y")],
    "Reshape of an attribute": [("Reshape", "x", "r", {"shape": [-1, 3]}), ("MatMul", "r W", "y")],
    "Reshape of an input": [("Reshape", "x rows", "r"), ("MatMul", "r W", "y")],
    "Reshape of zeros": [("Reshape", "x rows", "r", {"allowzero": 1}), ("MatMul", "r W", "y")],
    "Squeeze of an attribute": [("Squeeze", "rowb", "s", {"axes": [0]}), ("Gemm", "x W s", "y")],
    "Squeeze of an input": [("Squeeze", "rowb first", "s"), ("Gemm", "x W s", "y")],
    "Unsqueeze of an attribute": [("Unsqueeze", "b", "u", {"axes": [0]}), ("Gemm", "x W u", "y")],
    "Unsqueeze of an input": [("Unsqueeze", "b first", "u"), ("Gemm", "x W u", "y")],
    "Transpose": [("Transpose", "WT", "t"), ("Gemm", "x t b", "y")],
    "Concat": [
        ("Concat", "b b", "w", {"axis": 0}),
        ("Gather", "w four", "u"),
        ("Gemm", "x W u", "y"),
    ],
    "Shape": [("Shape", "x", "n"), ("Reshape", "x n", "r"), ("MatMul", "r W", "y")],
    "Shape from": [
        ("Shape", "x", "n", {"start": 0}),
        ("Reshape", "x n", "r"),
        ("MatMul", "r W", "y"),
    ],
    "Constant": [
        ("Constant", "", "k", {"value_floats": [1.0, 2.0, 4.0]}),
        ("Mul", "x k", "s"),
        ("MatMul", "s W", "y"),
    ],
    "Scaler": SCALED,
}
NEVER = {
    "Add of old",
    "Cast to a name",
    "Dropout of old",
    "Gemm of a whole factor",
    "Gemm of old",
    "Reshape of an attribute",
}
CONSTANTS = {
    "six": np.float32(6),
    "rows": whole(-1, 3),
    "first": whole(0),
    "four": whole(0, 1, 2, 3),
    "rowb": np.ones((1, 4), "f4"),
}


@pytest.fixture(scope="module")
def versions():
    """Return the versions of operators that both ONNX Runtime and the package onnx support."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

    def loads(version):
        nodes = [onnx.helper.make_node("Identity", ["x"], ["y"])]
        x, y = (onnx.helper.make_tensor_value_info(name, 1, ["N"]) for name in "xy")
        graph = onnx.helper.make_graph(nodes, "g", [x], [y])
        model = onnx.helper.make_model(graph, ir_version=9, opset_imports=opsets(("", version)))
        try:
            runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        except Exception:  # noqa: BLE001 (the runtime's errors have no common class but this one)
            return False
        return True

    return [version for version in range(1, NEWEST + 1) if loads(version)]


@pytest.mark.parametrize("name", VARIED)
def test_every_version_as_the_runtime_has_it(tmp_path, model_of, run, versions, name):
    path = tmp_path / "model.onnx"
    x = np.random.default_rng(3).standard_normal((7, 3)).astype("f4")
    answers = set()
    for version in versions:
        kind = onnx.TensorProto.INT64 if "ArgMax" in name else onnx.TensorProto.FLOAT
        model = model_of(VARIED[name], opset=version, constants=CONSTANTS, result=kind)
        path.write_bytes(model.SerializeToString())
        try:
            network = xpnet.load(path)
        except WeightsError:
            answers.add("refused")
            continue
        found = run(model, x)[0]  # which raises if xpnet reads a model that the runtime rejects
        expected = network(x)
        if kind == onnx.TensorProto.INT64:
            expected = expected.argmax(axis=1)[:, None]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        answers.add("read")
    assert answers == ({"refused"} if name in NEVER else {"refused", "read"})
