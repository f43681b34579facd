"""Activations after a layer, in all forms of ONNX."""

import numpy as np
import pytest

from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, CLIP_BOUNDS

LARGEST = float(np.finfo(np.float32).max)
# Nodes from h to a, and the activation.
FORMS = {
    **{f"{operator.name} h -> a": name for name, operator in ACTIVATION_OPERATORS.items()},
    "HardSigmoid(alpha=0.16666667) h -> a": "hard_sigmoid",
    "Elu(alpha=0.3) h -> a": "elu(alpha=0.3)",
    "Celu(alpha=0.3) h -> a": "celu(alpha=0.3)",
    "LeakyRelu(alpha=0.3) h -> a": "leaky_relu(negative_slope=0.3)",
    "Gelu(approximate='tanh') h -> a": "gelu(approximate=tanh)",
    "Sigmoid h -> s; Mul h s -> a": "silu",
    "Sigmoid h -> s; Mul s h -> a": "silu",
    "HardSigmoid(alpha=0.16666667) h -> s; Mul h s -> a": "hard_silu",
    "PRelu h slope -> a": "leaky_relu(negative_slope=0.25)",
    "Clip h zero -> a": "relu",
    "Clip h zero six -> a": "relu6",
    "Clip h low high -> a": "hard_tanh",
}
del FORMS["HardSigmoid h -> a"]  # its defaults are another function


def test_activations(opened, model_of, check_agreement, subtests):
    numbers = {"slope": np.full(4, 0.25), "low": -1.0, "high": 1.0}
    constants = {name: np.float32(x) for name, x in numbers.items()}
    for nodes, name in FORMS.items():
        with subtests.test(nodes):
            graph = f"opset=20 | Gemm x W b -> h; {nodes}; Gemm a V c -> y"
            model = model_of(graph, constants=constants)
            network = opened(model)
            assert f"4 {name}" in repr(network)
            check_agreement(network, model)


@pytest.mark.parametrize("high", [LARGEST, 6.0])
def test_an_old_clip(opened, model_of, high):
    network = opened(model_of(f"opset=7 | Gemm x W b -> h; Clip(min=0.0, max={high}) h -> y"))
    assert CLIP_BOUNDS[network.layers[0].activation] == (0.0, high if high < LARGEST else np.inf)
