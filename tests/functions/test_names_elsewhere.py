"""Names in torch and ONNX: the functions of these libraries give the same values."""

import importlib

import numpy as np
import pytest
from function_cases import CASES, ROWS, assert_near

# ONNX's reference overflows on its way.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:onnx")
X = np.concatenate([np.linspace(-8, 8, 101), [-40.0, -20.0, 20.0, 40.0]]).reshape(5, 21)


def values(name, **options):
    with np.errstate(over="ignore"):
        return ROWS[name](X, np, **options)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.torch])
def test_torch(name, subtests):
    torch = pytest.importorskip("torch", reason="compares with torch")
    cases = [options for case, options in CASES if case == name] or [{}]
    for options in cases:
        with subtests.test(**options):
            axis = {} if ROWS[name].is_elementwise else {"dim": -1}
            found = getattr(torch.nn, ROWS[name].torch)(**axis, **options)(torch.asarray(X))
            # torch's 1 / 6 is of float32, and its gelu loses digits far below 0.
            assert_near(X, found.numpy(), values(name, **options), rtol=1e-7, atol=1e-13)


def by_onnx(operator, attributes):
    onnx, reference = map(importlib.import_module, ["onnx", "onnx.reference"])
    x, y = (onnx.helper.make_tensor_value_info(name, 1, X.shape) for name in "xy")
    node = onnx.helper.make_node(operator.name, ["x"], ["y"], **attributes)
    graph = onnx.helper.make_graph([node], "graph", [x], [y])
    opset = [onnx.helper.make_opsetid("", max(operator.since, 13))]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=10)
    onnx.checker.check_model(model)
    return reference.ReferenceEvaluator(model).run(None, {"x": X.astype(np.float32)})[0]


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.onnx])
def test_onnx(name, subtests):
    pytest.importorskip("onnx", reason="compares with ONNX's reference")
    operator = ROWS[name].onnx
    # Omitted attributes have ONNX's defaults, and options their own values.
    omitted = {word: operator.defaults[key] for key, word in operator.options.items()}
    own = {key: x for key, x in operator.fixed.items() if operator.defaults.get(key) != x}
    for options in [{}, *(options for case, options in CASES if case == name and options)]:
        with subtests.test(**options):
            given = {
                key: options[word] for key, word in operator.options.items() if word in options
            }
            found = by_onnx(operator, {**own, **given})
            expected = values(name, **{**omitted, **options})
            assert_near(X, found, expected, rtol=3e-6, atol=2e-6)
