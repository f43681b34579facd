"""Gradients by the chain rule, on every backend."""

from itertools import pairwise

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.training.backward import loss_and_gradients

LEARNABLE = [name for name, row in ACTIVATIONS.items() if row.is_learnable]
OPTIONS = {
    "celu": {"alpha": 0.5},
    "elu": {"alpha": 0.5},
    "gelu": {"approximate": "tanh"},
    "hard_shrink": {"threshold": 0.25},
    "leaky_relu": {"negative_slope": 0.25},
    "soft_shrink": {"threshold": 0.25},
    "softplus": {"beta": 2.0},
    "squareplus": {"b": 1.0},
    "threshold": {"threshold": 0.25, "value": -0.5},
}
CASES = [(name, {}) for name in LEARNABLE] + list(OPTIONS.items())


def with_options(network, options):
    """Return the network with these options in its hidden layer."""
    hidden, last = network.layers
    hidden = xpnet.Dense(hidden.weight, hidden.bias, hidden.activation, options)
    return xpnet.Network([hidden, last], preprocessing=network.preprocessing)


def make(xp_backend, activation, options, dtype, random):
    sizes = (5, 4, 3)
    arrays = {}
    for i, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
        arrays[f"W{i}"] = random.normal(size=(n_in, n_out))
        arrays[f"b{i}"] = random.normal(size=n_out)

    def build(values):
        network = xpnet.Network.from_arrays(
            {name: xp_backend.asarray(value, dtype) for name, value in values.items()},
            activation=activation,
            preprocessing=xpnet.Scale(0.5),
        )
        return with_options(network, options)

    return arrays, build


@pytest.mark.parametrize(("activation", "options"), CASES)
def test_gradients_equal_difference_quotients(xp_backend, activation, options):
    random = np.random.default_rng(7)
    arrays, build = make(xp_backend, activation, options, "float64", random)
    rows = xp_backend.asarray(random.normal(size=(6, 5)), "float64")
    labels = xp_backend.asarray(random.integers(0, 3, 6), "int64")
    loss, gradients = loss_and_gradients(build(arrays), rows, labels, xp_backend.xp)
    direct = xpnet.cross_entropy(xpnet.forward(build(arrays), rows), labels)
    np.testing.assert_array_equal(
        xp_backend.check(loss, dtype="float64", shape=()),
        xp_backend.check(direct, dtype="float64", shape=()),
    )

    def loss_at(change):
        moved = {name: arrays[name] + change[name] for name in arrays}
        value = xpnet.cross_entropy(xpnet.forward(build(moved), rows), labels)
        return float(xp_backend.check(value, dtype="float64", shape=()))

    values = {
        name: xp_backend.check(gradient, dtype="float64", shape=arrays[name].shape)
        for pair, names in zip(gradients, (("W1", "b1"), ("W2", "b2")), strict=True)
        for gradient, name in zip(pair, names, strict=True)
    }
    # A few directions tell as much as every element, in a fraction of the time.
    h = 1e-6
    for _ in range(3):
        direction = {name: random.normal(size=value.shape) for name, value in arrays.items()}
        ahead, behind = (
            loss_at({name: sign * h * d for name, d in direction.items()}) for sign in (1, -1)
        )
        expected = sum(np.sum(values[name] * direction[name]) for name in arrays)
        assert (ahead - behind) / (2 * h) == pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(("activation", "options"), CASES)
def test_gradients_equal_torchs(activation, options):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(8)
    values = [random.normal(size=shape) for shape in ((5, 4), (4,), (4, 3), (3,))]
    tensors = [torch.tensor(value, requires_grad=True) for value in values]
    rows, labels = random.normal(size=(6, 5)), random.integers(0, 3, 6)
    weight1, bias1, weight2, bias2 = tensors
    # torch differentiates our own function; that it is torch's own is for the derivatives' tests.
    apply = getattr(xpnet, ACTIVATIONS[activation].name)
    hidden = apply(torch.tensor(rows) @ weight1 + bias1, **options)
    torch.nn.functional.cross_entropy(hidden @ weight2 + bias2, torch.tensor(labels)).backward()
    network = xpnet.Network.from_arrays(
        dict(zip(("W1", "b1", "W2", "b2"), values, strict=True)), activation=activation
    )
    _, gradients = loss_and_gradients(with_options(network, options), rows, labels, np)
    ours = [gradient for pair in gradients for gradient in pair]
    for gradient, tensor in zip(ours, tensors, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_nothing_is_written_into_the_parameters():
    network = xpnet.init_network([4, 3, 2], scheme="he")
    for layer in network.layers:
        layer.weight.flags.writeable = layer.bias.flags.writeable = False
    loss, _ = loss_and_gradients(network, np.ones((2, 4)), np.asarray([0, 1]), np)
    assert np.isfinite(loss)


def test_a_step_cannot_be_learned_through():
    network = xpnet.init_network([4, 3, 2], activation="step")
    with pytest.raises(ValueError, match="activation 'step' has no derivative to learn by"):
        loss_and_gradients(network, np.ones((2, 4)), np.asarray([0, 1]), np)
