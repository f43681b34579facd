"""compare finds faults of products, sums, activations and parameters."""

import math
from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.parity import compare, error_bound

F32 = np.float32
ROWS = np.random.default_rng(1).normal(size=(30, 20)).astype(F32)


def compared(network, rows, candidate, **options):
    """Return the agreement of one candidate."""
    return compare(network, rows, {"it": candidate}, **options).candidates["it"]


def stages_with(network, rows, dot=np.matmul, activations=ACTIVATIONS):
    """Return the stages with another matrix product, or with other activations."""
    y = network.inputs(rows, np)
    found = [y]
    for layer in network.layers:
        z = dot(y, layer.weight) + layer.bias
        y = activations[layer.activation](z, np, **layer.options).astype(F32)
        found.append(y)
    return found


def to_tf32(x):
    digits, exponent = np.frexp(x)
    return np.ldexp(np.rint(digits * 2**11) / 2**11, exponent).astype(F32)


def float16_sums(y, weight):
    parts = (y[:, i : i + 4] @ weight[i : i + 4] for i in range(0, len(weight), 4))
    return sum(parts, np.zeros(1, np.float16)).astype(np.float16).astype(F32)


def with_rule(name, wrong):
    return {"activations": {**ACTIVATIONS, name: lambda z, *_, **__: wrong(z)}}


def changed(network, **changes):
    """Return a network with changed parameters of its last layer and its only step."""

    def with_changes(part):
        new = {name: f(getattr(part, name)) for name, f in changes.items() if hasattr(part, name)}
        return replace(part, **new)

    *layers, last = network.layers
    steps = tuple(map(with_changes, network.preprocessing))
    return replace(network, layers=(*layers, with_changes(last)), preprocessing=steps)


def stale(weight):
    random = np.random.default_rng(0).uniform(-1.0, 1.0, weight.shape)
    return weight * (1.0 + 2.0**-12 * random).astype(F32)


FAULTS = {
    "TF32": {"dot": lambda y, weight: to_tf32(y) @ to_tf32(weight)},
    "float16 sums": {"dot": float16_sums},
    "transposed": {"dot": lambda y, w: y @ (w.T if w.shape[0] == w.shape[1] else w)},
    "sigmoid of 10 bits": with_rule("sigmoid", lambda z: to_tf32(xpnet.sigmoid(z))),
    "tanh for sigmoid": with_rule("sigmoid", xpnet.tanh),
    "leaky_relu for relu": with_rule("relu", xpnet.leaky_relu),
    "silu for gelu": with_rule("gelu", xpnet.silu),
    "tanh form of gelu": with_rule("gelu", lambda z: xpnet.gelu(z, approximate="tanh")),
}
# Faults of the parameters of the last layer, or of the preprocessing.
STALE = {
    "a unit": {"weight": lambda w: w[:, [0, 2, *range(2, w.shape[1])]]},
    "a weight": {"weight": lambda w: w * (1.0 + 0.1 * (w == w[3, 4])).astype(F32)},
    "stale weights": {"weight": stale},
    "bias": {"bias": lambda bias: np.roll(bias, 1)},
    "mean": {"mean": lambda x: x.astype(np.float16).astype(F32)},
    "matrix": {"matrix": lambda x: x.astype(np.float16).astype(F32)},
}


@pytest.mark.parametrize("fault", [*FAULTS, *STALE])
@pytest.mark.parametrize("confidence", [1.0 - 1e-6, 1.0], ids=["probabilistic", "worst case"])
def test_faults_are_caught(fault, confidence, random_network):
    rng = np.random.default_rng(0)
    step = xpnet.Whiten(rng.uniform(20, 90, 20), np.eye(20) / 64 + rng.normal(size=(20, 20)) / 512)
    names = ["sigmoid", "relu", "gelu", "identity"]
    network = random_network((20, 16, 16, 10, 5), names, preprocessing=step)
    rows = rng.uniform(0, 255, (200, 20)).astype(F32)
    there = changed(network, **STALE.get(fault, {}))
    wrong = stages_with(there, rows, **FAULTS.get(fault, {}))
    for results, is_wrong in ((stages_with(network, rows), False), (wrong, True)):
        found = compared(network, rows, results, confidence=confidence)
        # Not only in a layer by itself.
        assert any(stage.share > 1.0 for stage in found.stages) == is_wrong
        assert (found.first_out is not None) == is_wrong


NAN_RULES = {
    "relu(NaN) = 0": ("relu", math.nan, lambda z: np.where(z > 0, z, F32(0.0))),
    "relu(-inf) = NaN": ("relu", -math.inf, lambda z: z * (z > 0)),
    "clip eats NaN": ("hard_tanh", math.nan, lambda z: np.fmin(np.fmax(z, F32(-1.0)), F32(1.0))),
    "sigmoid(NaN) = 1/2": ("sigmoid", math.nan, lambda z: xpnet.sigmoid(np.nan_to_num(z))),
}


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize(("activation", "value", "wrong"), NAN_RULES.values(), ids=NAN_RULES)
def test_wrong_nan_rules_are_caught(activation, value, wrong):
    network, rows = xpnet.init_network([20, 16, 10], activation=activation), ROWS.copy()
    rows[3, 7] = value
    assert compared(network, rows, stages_with(network, rows)).first_out is None
    eaten = stages_with(network, rows, **with_rule(activation, wrong))
    report = compare(network, rows, {"it": eaten})
    assert "NaN or infinity on one side, first in row 3, unit " in report.verdict
    stage = report.candidates["it"].stages[1]
    assert (stage.difference, stage.ulp, stage.place[0]) == (math.inf, math.inf, 3)


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_faults_of_one_parameter_are_caught_by_their_effect(kind, random_network, subtests):
    network = random_network()
    first, last = network.layers
    right = error_bound(network, ROWS).stages
    for exponent in range(1, 21):
        values = getattr(first, kind).copy()
        values.flat[5] *= F32(1.0 + 2.0**-exponent)
        faulty = replace(network, layers=(replace(first, **{kind: values}), last))
        found = compared(network, ROWS, faulty)
        # The effect of the fault in float64, as a share of the bounds of both networks.
        pairs = zip(error_bound(faulty, ROWS).stages, right, strict=True)
        _, *layers = [np.abs(x.values - y.values) / (x.bound + y.bound + 1e-300) for x, y in pairs]
        effect = max(map(np.max, layers))
        with subtests.test(exponent=exponent):
            assert (found.first_out is not None) or effect <= 1.0
            assert (found.first_out is None) or effect >= 0.25
