"""Versions and attributes of operators: models that ONNX Runtime rejects are rejected."""

import numpy as np
import pytest

import xpnet
from xpnet import Network
from xpnet.files.errors import WeightsError

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

FIRST, LAST = "Gemm x W b -> h; ", "Gemm h V c -> y"
SCALED = "ml:Scaler(offset=[1.0, 2.0, 3.0], scale=[1.0, 2.0, 4.0]) x -> s; MatMul s W -> y"
NEWEST = onnx.defs.onnx_opset_version()


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
    model = model_of(f"{FIRST}{LAST}")
    del model.opset_import[:]
    model.opset_import.extend(opsets(*imports))
    expected = f"ONNX must have operators in one version, from 7 to {NEWEST}; got {shown}"
    assert expected in refusal(model)


@pytest.mark.parametrize(
    "imports", [[("ai.onnx", 17)], [("", 17), ("ai.onnx", 17)], [("", NEWEST)], [("", 7)]]
)
def test_versions_that_are_read(opened, model_of, check_agreement, imports):
    model = model_of(f"{FIRST}{LAST}")
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


@pytest.mark.parametrize(("version", "other"), [(3, 2), (onnx.IR_VERSION, onnx.IR_VERSION + 1)])
def test_a_format_too_old_or_newer_than_the_package(refusal, opened, model_of, version, other):
    model = model_of(f"{FIRST}{LAST}")
    model.ir_version = version
    assert isinstance(opened(model), Network)
    model.ir_version = other
    assert f"of format version 3 to {onnx.IR_VERSION}; got {other}" in refusal(model)


def attribute(name, **fields):
    return onnx.AttributeProto(name=name, **fields)


FLOAT, INT, TENSOR_TYPE = (getattr(onnx.AttributeProto, x) for x in ("FLOAT", "INT", "TENSOR"))
# No file is looked for, neither before nor after the other attributes are validated.
TENSOR = onnx.TensorProto(
    name="t",
    dims=[1],
    data_type=1,
    data_location=1,
    external_data=[{"key": "location", "value": "/"}],
)


@pytest.mark.parametrize(
    ("place", "attributes", "text"),
    [
        (1, [attribute("alpha", i=1, type=INT)], "'FLOAT', actual: 'INT'"),
        (1, [attribute("alpha", f=0.5)], "Field 'type' of 'attr' is required but missing"),
        (1, [attribute("alpha", i=1, type=FLOAT)], "type field and data field mismatch"),
        (1, [attribute("alpha", f=0.5, i=1, type=FLOAT)], "type field and data field mismatch"),
        (1, [attribute("alpha", f=0.5, type=FLOAT)] * 2, "'alpha' appeared multiple times"),
        (1, [attribute("", f=0.5, type=FLOAT)], "is required to be non-empty"),
        (1, [attribute("alpha", t=TENSOR, type=TENSOR_TYPE)], "must be numbers or strings"),
        (1, [attribute("alpha", t=TENSOR, type=FLOAT)], "type field and data field mismatch"),
        (0, [attribute("transA", f=0.0, type=FLOAT)], "Expected: 'INT', actual: 'FLOAT'"),
        (0, [attribute("axis", i=1, type=INT)], "Unrecognized attribute: axis"),
    ],
)
def test_attributes_that_are_refused(refusal, model_of, place, attributes, text):
    model = model_of(f"{FIRST}LeakyRelu h -> g; Gemm g V c -> y")
    model.graph.node[place].attribute.extend(attributes)
    name = ["Gemm ('h')", "LeakyRelu ('g')"][place]
    found = refusal(model)
    assert f"ONNX operator {name}: " in found
    assert text in found


# Graphs, each with a part of the message below it.
GRAPHS = r"""
opset=19 | Gemm x W b -> h; Gelu h -> y
    Gelu ('y'): the operator is missing in version 19
Gemm x W b -> h; Gemm h V c -> y; Nothing x -> z
    Nothing ('z'): the operator is missing in version 17
Gemm x W b -> h; Gemm h V c -> y; Upsample x -> z
    Upsample ('z'): it was removed in version 10
Gemm x W b -> h; Gemm h V c -> y; com.example:Gemm x -> z
    com.example:Gemm ('z'): not part of a network of fully connected layers
Gemm x W b -> h; Gemm h V c -> y; Relu(slope=0.5) x -> z
    Relu ('z'): Unrecognized attribute: slope for operator Relu
opset=11 | Gemm x W b -> h; Clip(min=0.0) h -> y
    Clip ('y'): Unrecognized attribute: min for operator Clip
opset=10 | Gemm x W b -> h; Clip h zero -> y
    Clip ('y'): Node with schema(::Clip:6) has input size 2 not in range [min=1, max=1
opset=10 | Gemm x W -> y
    Gemm ('y'): Node with schema(::Gemm:9) has input size 2 not in range [min=3, max=3
Gemm x W b -> h; Relu h -> y z
    Relu ('y'): Node with schema(::Relu:14) has output size 2 not in range [min=1, max
Concat b b -> w; Gemm x W w -> y
    Concat ('w'): Required attribute 'axis' is missing
dtype=float64 | Gemm x W b -> h; Celu h -> y
    Celu ('y'): X typestr: T, has unsupported type: tensor(double)
Gemm x W b -> h; Clip h float64: -> y
    Clip ('y'): min has inconsistent type tensor(double)
opset=10 | Flatten(axis=-1) x -> f; Gemm f W b -> y
    Flatten ('f'): Invalid value(-1) for attribute 'axis'
Flatten(axis=3) x -> f; Gemm f W b -> y
    Flatten ('f'): Invalid value(3) for attribute 'axis'
Unsqueeze x int:0,0 -> u; Gemm u W b -> y
    Unsqueeze ('u'): Axis 0 is referred to more than once
Unsqueeze x int:0,-4 -> u; Gemm u W b -> y
    Unsqueeze ('u'): Axis 0 is referred to more than once
Squeeze x int: -> s; Gemm s W b -> y
    Squeeze ('s'): its axes must be omitted or not empty
Gemm x W ones:1,1,4 -> y
    Gemm ('y'): its bias must have at most two axes; got the shape (1, 1, 4)
Gemm(beta=0.0) x W ones:5,4 -> y
    Gemm ('y'): its constant of shape (5, 4) does not fit a row of shape (1, 4)
MatMul x ones:1,3,4 -> m; Gemm m V c -> y
    Gemm ('y'): Input 0 expected to have rank 2 but has rank 3 in node Gemm
N | Gemm x W b -> h; Gemm h V c -> y
    Gemm ('h'): Input 0 expected to have rank 2 but has rank 1 in node Gemm
N,M | Add x ones:1,1,3 -> a; Gemm a W b -> y
    Gemm ('y'): Input 0 expected to have rank 2 but has rank 3 in node Gemm
ml:Scaler(scale=[2.0]) x -> s; Gemm s W b -> y
    ai.onnx.ml:Scaler ('s'): its offset and scale must be given, of one length, before
ml:Scaler(scale=[2.0], offset=[1.0, 2.0]) x -> s; MatMul s W -> y
    ai.onnx.ml:Scaler ('s'): its offset and scale must be given, of one length, before
Gemm x W b -> h; Dropout h ones:1 -> y
    Dropout ('y'): Ratio of Dropout must be a scalar
Gemm x W b -> h; Clip h ones:1,1 -> y
    Clip ('y'): its bounds must be scalars
Constant(value_int=1, value_float=2.0) -> k; Mul x k -> y
    Constant ('k'): it must hold a tensor of numbers
0,3 | Gemm x W b -> h; Gemm h V c -> y
    ONNX must have an input with values; got a length of 0 in 'x'
"""


def test_graphs_that_are_refused(refusal, model_of, graphs, subtests):
    for graph, text in graphs:
        with subtests.test(graph):
            assert text in refusal(model_of(graph))


def test_the_runtime_refuses_them_too(model_of, run, graphs, subtests):
    for graph, text in graphs:
        if "must be omitted or not empty" in text or "a tensor of numbers" in text:
            continue  # the specification leaves these cases open; the runtime decides in one way
        model = model_of(graph)
        kind = model.graph.input[0].type.tensor_type
        shape = [7 if i == 0 else 3 for i in range(len(kind.shape.dim))]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        with subtests.test(graph), pytest.raises(Exception, match="ONNXRuntimeError"):
            run(model, np.ones(shape, dtype))


def test_nodes_of_one_name(refusal, model_of):
    model = model_of(f"{FIRST}{LAST}")
    for node in model.graph.node:
        node.name = "same"
    assert "ONNX must have unique names of nodes; got 'same' twice" in refusal(model)


# Graphs whose operators changed over time, and those that no version has.
VARIED = """
Gemm x W b -> h; Clip(min=0.0, max=6.0) h -> y
Gemm x W b -> h; Clip h zero six -> y
Gemm x W b -> h; PRelu h half -> y
Gemm x W b -> h; ArgMax(axis=1) h -> y
Gemm x W b -> h; ArgMax(axis=-1) h -> y
Gemm x W b -> h; ArgMax(axis=1, select_last_index=0) h -> y
Add x scale -> s; Gemm s W b -> y
Sub x scale -> s; Gemm s W b -> y
Mul x scale -> s; Gemm s W b -> y
Div x scale -> s; Gemm s W b -> y
Neg x -> s; MatMul s W -> y
Gemm x W -> y
Gemm(transB=1, alpha=0.5, beta=2.0) x WT b -> y
Gemm x W b -> h; Dropout(ratio=0.5) h -> y
Gemm x W b -> h; Dropout h half -> y
Cast(to=1) x -> s; MatMul s W -> y
Flatten(axis=-1) x -> f; MatMul f W -> y
Reshape x int:-1,3 -> r; MatMul r W -> y
Reshape(allowzero=1) x int:-1,3 -> r; MatMul r W -> y
Squeeze(axes=[0]) ones:1,4 -> s; Gemm x W s -> y
Squeeze ones:1,4 int:0 -> s; Gemm x W s -> y
Unsqueeze(axes=[0]) b -> u; Gemm x W u -> y
Unsqueeze b int:0 -> u; Gemm x W u -> y
Transpose WT -> t; Gemm x t b -> y
Concat(axis=0) b b -> w; Gather w int:0,1,2,3 -> u; Gemm x W u -> y
Shape x -> n; Reshape x n -> r; MatMul r W -> y
Shape(start=0) x -> n; Reshape x n -> r; MatMul r W -> y
Constant(value_floats=[1.0, 2.0, 4.0]) -> k; Mul x k -> s; MatMul s W -> y
ml:Scaler(offset=[1.0, 2.0, 3.0], scale=[1.0, 2.0, 4.0]) x -> s; MatMul s W -> y
"""
ACTIVATIONS = """
Celu
Elu
Exp
Gelu
HardSigmoid(alpha=0.1666667)
HardSwish
Identity
LeakyRelu
LogSoftmax
Mish
Relu
Selu
Sigmoid
Softmax
Softplus
Softsign
Tanh
"""
NEVER = """
Add(broadcast=1) x scale -> s; MatMul s W -> y
Gemm(broadcast=1) x W b -> y
Gemm(alpha=2) x W b -> y
Gemm x W b -> h; Dropout(is_test=1) h -> y
Cast(to='FLOAT') x -> s; MatMul s W -> y
Reshape(shape=[-1, 3]) x -> r; MatMul r W -> y
"""


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


@pytest.mark.parametrize(
    "graph",
    [
        *[f"{FIRST}{call} h -> y" for call in ACTIVATIONS.split()],
        *(VARIED + NEVER).strip().replace("\n\n", "\n").splitlines(),
    ],
)
def test_every_version_as_the_runtime_has_it(tmp_path, model_of, run, versions, graph):
    path = tmp_path / "model.onnx"
    x = np.random.default_rng(3).standard_normal((7, 3)).astype("f4")
    answers = set()
    for version in versions:
        kind = onnx.TensorProto.INT64 if "ArgMax" in graph else onnx.TensorProto.FLOAT
        model = model_of(graph, opset=version, result=kind)
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
    assert answers == ({"refused"} if graph in NEVER else {"refused", "read"})
