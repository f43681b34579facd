"""Gradients by the chain rule, on every backend."""

from itertools import pairwise

import numpy as np
import pytest

import xpnet
from xpnet.training.backward import loss_and_gradients

ACTIVATIONS = ("sigmoid", "relu", "tanh", "identity")


def make(backend, activation, dtype, random):
    sizes = (5, 4, 3)
    arrays = {}
    for i, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
        arrays[f"W{i}"] = random.normal(size=(n_in, n_out))
        arrays[f"b{i}"] = random.normal(size=n_out)
    return arrays, lambda values: xpnet.Network.from_arrays(
        {name: backend.asarray(value, dtype) for name, value in values.items()},
        activation=activation,
        preprocessing=xpnet.Scale(0.5),
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_difference_quotients(backend, activation):
    random = np.random.default_rng(7)
    arrays, build = make(backend, activation, "float64", random)
    rows = backend.asarray(random.normal(size=(6, 5)), "float64")
    labels = backend.asarray(random.integers(0, 3, 6), "int64")
    loss, gradients = loss_and_gradients(build(arrays), rows, labels, backend.xp)
    direct = xpnet.cross_entropy(xpnet.forward(build(arrays), rows), labels)
    np.testing.assert_array_equal(
        backend.check(loss, dtype="float64", shape=()),
        backend.check(direct, dtype="float64", shape=()),
    )

    def loss_at(name, change):
        moved = {**arrays, name: arrays[name] + change}
        value = xpnet.cross_entropy(xpnet.forward(build(moved), rows), labels)
        return float(backend.check(value, dtype="float64", shape=()))

    names = [("W1", "b1"), ("W2", "b2")]
    for pair, layer_names in zip(gradients, names, strict=True):
        for gradient, name in zip(pair, layer_names, strict=True):
            values = backend.check(gradient, dtype="float64", shape=arrays[name].shape)
            # Three directions tell as much as every element, in a fraction of the time.
            for direction in random.normal(size=(3, *arrays[name].shape)):
                h = 1e-6
                quotient = (loss_at(name, h * direction) - loss_at(name, -h * direction)) / (2 * h)
                assert np.sum(values * direction) == pytest.approx(quotient, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_torchs(activation):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(8)
    values = [random.normal(size=shape) for shape in ((5, 4), (4,), (4, 3), (3,))]
    tensors = [torch.tensor(value, requires_grad=True) for value in values]
    rows, labels = random.normal(size=(6, 5)), random.integers(0, 3, 6)
    weight1, bias1, weight2, bias2 = tensors
    apply = {"identity": lambda x: x}.get(activation) or getattr(torch, activation)
    hidden = apply(torch.tensor(rows) @ weight1 + bias1)
    torch.nn.functional.cross_entropy(hidden @ weight2 + bias2, torch.tensor(labels)).backward()
    network = xpnet.Network.from_arrays(
        dict(zip(("W1", "b1", "W2", "b2"), values, strict=True)), activation=activation
    )
    _, gradients = loss_and_gradients(network, rows, labels, np)
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
