"""Activations after a layer, in all forms of ONNX."""

import numpy as np
import pytest

from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, CLIP_BOUNDS

FIRST = "Gemm x W b -> h; "
ACTIVATIONS = {
    **{name: operator.name for name, operator in ACTIVATION_OPERATORS.items()},
    "hard_sigmoid": "HardSigmoid(alpha=0.16666667)",
}


def test_activations(opened, model_of, check_agreement, subtests):
    for name, call in ACTIVATIONS.items():
        with subtests.test(name):
            model = model_of(f"opset=20 | {FIRST}{call} h -> a; Gemm a V c -> y")
            network = opened(model)
            assert network.layers[0].activation == name
            check_agreement(network, model)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("Elu(alpha=0.3)", "elu(alpha=0.3)"),
        ("Celu(alpha=0.3)", "celu(alpha=0.3)"),
        ("LeakyRelu(alpha=0.3)", "leaky_relu(negative_slope=0.3)"),
        ("Gelu(approximate='tanh')", "gelu(approximate=tanh)"),
    ],
)
def test_options(opened, model_of, call, text):
    network = opened(model_of(f"opset=20 | {FIRST}{call} h -> y"))
    assert repr(network) == f"Network(3 -> 4 {text}; logits; float32, numpy)"


@pytest.mark.parametrize("name", CLIP_BOUNDS)
def test_clips(opened, model_of, check_agreement, name):
    low, high = CLIP_BOUNDS[name]
    names = f"h low {'-' if high == np.inf else 'high'}"
    constants = {"low": np.float32(low), "high": np.float32(high)}
    model = model_of(f"{FIRST}Clip {names} -> a; Gemm a V c -> y", constants=constants)
    network = opened(model)
    assert network.layers[0].activation == name
    check_agreement(network, model)


def test_an_old_clip(opened, model_of):
    largest = float(np.finfo(np.float32).max)
    model = model_of(f"opset=7 | {FIRST}Clip(min=0.0, max={largest}) h -> y")
    assert "4 relu; logits" in repr(opened(model))


@pytest.mark.parametrize("inputs", ["h s", "s h"])
@pytest.mark.parametrize("activation", ["silu", "hard_silu"])
def test_gates(opened, model_of, check_agreement, inputs, activation):
    gate = "HardSigmoid(alpha=0.16666667)" if activation == "hard_silu" else "Sigmoid"
    model = model_of(f"{FIRST}{gate} h -> s; Mul {inputs} -> a; Gemm a V c -> y")
    network = opened(model)
    assert network.layers[0].activation == activation
    check_agreement(network, model)


def test_prelu_of_one_slope(opened, model_of, check_agreement):
    constants = {"slope": np.full(4, 0.25, "f4")}
    model = model_of(f"{FIRST}PRelu h slope -> a; Gemm a V c -> y", constants=constants)
    network = opened(model)
    assert "leaky_relu(negative_slope=0.25)" in repr(network)
    check_agreement(network, model)
