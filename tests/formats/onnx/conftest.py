"""Small graphs of ONNX, read by xpnet and run by ONNX Runtime."""

import numpy as np
import pytest

import xpnet
from xpnet.files.errors import WeightsError
from xpnet.parity import error_bound

_draw = np.random.default_rng(0).standard_normal
# By the names that the graphs of the tests use: 3 -> 4 -> 2.
NUMBERS = {
    "W": _draw((3, 4)),
    "b": _draw(4),
    "V": _draw((4, 2)),
    "c": _draw(2),
    "mean": _draw(3),
    "scale": np.exp2([1, -2, 3]),
    "half": np.asarray(0.5),
    "zero": np.asarray(0.0),
}
NUMBERS["WT"], NUMBERS["VT"] = NUMBERS["W"].T, NUMBERS["V"].T
NUMBERS["columnb"], NUMBERS["columnc"] = NUMBERS["b"][:, None], NUMBERS["c"][:, None]


def node_of(onnx, operator, inputs, outputs, *rest):
    """Return a node; the names of its inputs are one string, with - for an omitted input."""
    names = [name.replace("-", "") for name in inputs.split()]
    attributes = rest[0] if rest else {}
    result = onnx.helper.make_node(operator, names, outputs.split(), **attributes)
    result.domain = rest[1] if rest[1:] else ""
    return result


@pytest.fixture(scope="session")
def numbers():
    return NUMBERS


@pytest.fixture(scope="session")
def onnx():
    return pytest.importorskip("onnx", reason="the package onnx is not installed")


@pytest.fixture(scope="session")
def model_of(onnx):
    """Return a model of nodes, each as operator, names of inputs and outputs, and attributes."""

    def make(nodes, *, shape=("N", 3), outputs="y", opset=17, dtype="float32", **parts):
        constants = {name: array.astype(dtype) for name, array in NUMBERS.items()}
        constants |= parts.get("constants", {})
        nodes = [node_of(onnx, *node) for node in nodes]
        used = {name for node in nodes for name in node.input}
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(parts.get("input_dtype", dtype)))
        of_floats = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        results = parts.get("result", of_floats)
        graph = onnx.helper.make_graph(
            nodes,
            "graph",
            [onnx.helper.make_tensor_value_info("x", kind, shape)],
            [onnx.helper.make_tensor_value_info(name, results, None) for name in outputs.split()],
            [
                onnx.numpy_helper.from_array(np.asarray(array), name)
                for name, array in constants.items()
                if name in used
            ],
        )
        opsets = [onnx.helper.make_opsetid("", opset)]
        return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)

    return make


@pytest.fixture
def opened(tmp_path):
    """Write a model, or bytes, and read it; any error but the one allowed goes through."""

    def go(model, **options):
        path = tmp_path / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        try:
            return xpnet.load(path, **options)
        except WeightsError as caught:
            error = caught
        assert error.file == str(path)
        assert len(str(error)) <= 390
        assert "\n" not in str(error)
        return error

    return go


@pytest.fixture
def refusal(opened):
    """Return the message about a model that is rejected."""

    def go(model, **options):
        error = opened(model, **options)
        assert isinstance(error, WeightsError)
        return str(error)

    return go


@pytest.fixture
def run():
    """Return the outputs of ONNX Runtime for inputs of the model's shape."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

    def go(model, x):
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        content = model if isinstance(model, bytes) else model.SerializeToString()
        session = runtime.InferenceSession(content, options, ["CPUExecutionProvider"])
        names = [given.name for given in session.get_inputs()]
        return session.run(None, {names[-1]: x})

    return go


@pytest.fixture
def check_agreement(run):
    """Compare a network with ONNX Runtime on random rows, within the derived bound."""

    def go(network, model, *, n_rows=7, shape=(), dtype=None):
        draw = np.random.default_rng(1)
        dtype = np.dtype(dtype or network.dtype)
        x = draw.integers(0, 256, (n_rows, network.n_in)).astype(dtype)
        if dtype.kind == "f":
            x = draw.standard_normal(x.shape).astype(dtype)
        found = run(model, x.reshape(n_rows, *shape) if shape else x)[0]
        expected = error_bound(network, x).stages[-1]
        found = found.reshape(expected.values.shape).astype(np.float64)
        assert np.all(np.abs(found - expected.values) <= expected.bound)
        assert np.max(expected.bound) < np.inf

    return go
