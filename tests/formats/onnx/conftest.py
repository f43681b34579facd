"""Small graphs of ONNX, written as text, read by xpnet and run by ONNX Runtime."""

import ast
import re

import numpy as np
import pytest

from xpnet.parity import error_bound

_draw = np.random.default_rng(0).standard_normal
# By the names that the graphs of the tests use: 3 -> 4 -> 2.
NUMBERS = {"W": _draw((3, 4)), "b": _draw(4), "V": _draw((4, 2)), "c": _draw(2), "mean": _draw(3)}
NUMBERS |= {f"{name}T": NUMBERS[name].T for name in "WV"}
NUMBERS |= {f"column{name}": NUMBERS[name][:, None] for name in "bc"}
SCALARS = {"half": 0.5, "zero": 0.0, "six": 6.0, "low": -1.0, "high": 1.0, "index": 0}
NUMBERS |= {name: np.asarray(x) for name, x in SCALARS.items()}
NUMBERS |= {
    "scale": np.exp2([1, -2, 3]),
    "slope": np.full(4, 0.25),
    "large": np.full(2, 2e5),
    "sixfour": NUMBERS["W"].repeat(2, axis=0).cumsum(axis=0),
    "nan": np.asarray([0.0, np.nan, 0.0], "f4"),
    "strings": np.asarray([["a"] * 4] * 3, object),
    "yes": np.asarray(1, bool),
}
_OWN_DTYPE = {"nan", "strings", "yes", "index"}
_NODE = re.compile(r"(?:(?P<domain>[a-z.]+):)?(?P<operator>\w+)(?P<options>\(.*\))?(?P<inputs>.*)")


def nodes_of(onnx, text):
    """Return nodes such as ``Gemm(transB=1) x WT b -> h; Relu h -> y``."""
    nodes = []
    for part in text.split("; "):
        before, outputs = part.split("->")
        match = _NODE.fullmatch(before)
        call = ast.parse(f"f{match['options'] or '()'}", mode="eval").body
        options = {x.arg: ast.literal_eval(x.value) for x in call.keywords}
        names = match["inputs"].split(), outputs.split()
        node = onnx.helper.make_node(match["operator"], *names, domain=match["domain"], **options)
        nodes.append(node)
    return nodes


def constant_of(name, dtype):
    """Return a named constant, numbers such as ``int:-1,3``, or ones such as ``float32:3,4``."""
    if name in NUMBERS:
        return NUMBERS[name] if name in _OWN_DTYPE else NUMBERS[name].astype(dtype)
    kind, _, numbers = name.partition(":")
    values = [int(x) for x in numbers.split(",") if x]
    return np.asarray(values, np.int64) if kind == "int" else np.ones(values, kind)


@pytest.fixture
def graphs(request):
    """Return the graphs of the table `GRAPHS` of a module, each with the line that is above them.

    A line that ends with a semicolon goes on in the next one.
    """
    pairs, expected = [], ""
    for line in request.module.GRAPHS.replace(";\n   ", ";").splitlines():
        if line.startswith(" "):
            pairs.append((line.strip(), expected))
        else:
            expected = line
    return pairs


@pytest.fixture(scope="session")
def numbers():
    return NUMBERS


@pytest.fixture(scope="session")
def onnx():
    return pytest.importorskip("onnx", reason="the package onnx is not installed")


@pytest.fixture(scope="session")
def model_of(onnx):
    """Return a model of nodes, with a shape and options such as opset=11 before a bar."""

    def make(text, **given):
        before, _, after = text.rpartition(" | ")
        parts = {"shape": ("N", 3), "outputs": "y", "opset": 17, "dtype": "float32", **given}
        for word in before.split():
            name, _, value = word.partition("=")
            if value:
                parts[name] = int(value) if value.isdigit() else value
            else:
                parts["shape"] = [int(x) if x.isdigit() else x for x in name.split(",")]
        dtype, nodes = parts["dtype"], nodes_of(onnx, after)
        used = dict.fromkeys(name for node in nodes for name in node.input)
        known = {x: constant_of(x, dtype) for x in used if ":" in x or x in NUMBERS}
        known |= parts.get("constants", {})
        describe, type_of = onnx.helper.make_tensor_value_info, onnx.helper.np_dtype_to_tensor_dtype
        kind, result = (type_of(np.dtype(x)) for x in (parts.get("input", dtype), dtype))
        inputs = [describe("x", kind, parts["shape"])]
        outputs = [describe(name, result, None) for name in parts["outputs"].split("+")]
        tensors = [onnx.numpy_helper.from_array(x, name) for name, x in known.items()]
        graph = onnx.helper.make_graph(nodes, "graph", inputs, outputs, tensors)
        versions = {"": parts["opset"]} | {node.domain: 1 for node in nodes if node.domain}
        opsets = [onnx.helper.make_opsetid(*pair) for pair in versions.items()]
        return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)

    return make


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


@pytest.fixture
def run():
    """Return the first output of ONNX Runtime for inputs of the model's shape."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

    def go(model, x):
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        content = model if isinstance(model, bytes) else model.SerializeToString()
        session = runtime.InferenceSession(content, options, ["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[-1].name: x})[0]

    return go


@pytest.fixture
def check_agreement(run):
    """Compare a network with ONNX Runtime on random rows, within the derived bound."""

    def go(network, model, *, shape=(7,), dtype=None):
        draw = np.random.default_rng(1)
        dtype = np.dtype(dtype or network.dtype)
        x = draw.integers(0, 256, (shape[0], network.n_in)).astype(dtype)
        if dtype.kind == "f":
            x = draw.standard_normal(x.shape).astype(dtype)
        found = run(model, x.reshape(shape) if shape[1:] else x)
        expected = error_bound(network, x).stages[-1]
        found = found.reshape(expected.values.shape).astype(np.float64)
        assert np.all(np.abs(found - expected.values) <= expected.bound)
        assert np.max(expected.bound) < np.inf

    return go
