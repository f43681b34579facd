"""Training in float32 is as near to the exact one as its roundings allow."""

import numpy as np
import pytest

import xpnet

ROUNDING = 2.0**-24  # relative error of an operation in float32
FUNCTION = 16 * ROUNDING  # error of a function, relative to the larger of its value and 1


class Rounded:
    """Exact numbers, and a bound of how far float32 is off: each operation adds its rounding."""

    def __init__(self, x, off=0.0):
        self.x, self.off = np.asarray(x), np.broadcast_to(off, np.shape(x))

    @property
    def most(self):
        return np.abs(self.x) + self.off

    def transposed(self):
        return Rounded(self.x.T, self.off.T)

    def __add__(self, y):
        off = self.off + y.off
        return Rounded(self.x + y.x, off + ROUNDING * (np.abs(self.x + y.x) + off))

    def __mul__(self, y):
        off = self.off * np.abs(y.x) + self.most * y.off
        return Rounded(self.x * y.x, off + ROUNDING * self.most * y.most)

    def __matmul__(self, y):
        # A sum of n products is off by gamma(n): Higham, "Accuracy and stability", chapter 3.
        gamma = (self.x.shape[1] + 2) * ROUNDING * 1.01
        off = self.off @ np.abs(y.x) + self.most @ y.off
        return Rounded(self.x @ y.x, off + gamma * self.most @ y.most)

    def through(self, function, steepest):
        y = function(self.x)
        return Rounded(y, steepest * self.off + FUNCTION * np.maximum(1.0, np.abs(y)))

    def softmax(self):
        # Logits that are off by e change no share by more than the factor exp(2 e).
        y = xpnet.softmax(self.x, axis=1)
        factor = np.expm1(2 * self.off.max(axis=1, keepdims=True)) + (y.shape[1] + 16) * ROUNDING
        return Rounded(y, y * factor)


def constant(x):
    return Rounded(x, ROUNDING * np.abs(x))


# An activation, how steep it is, its derivative, and how steep that is at most.
HIDDEN = {
    "sigmoid": (xpnet.sigmoid, 0.25, lambda z: xpnet.sigmoid(z) * xpnet.sigmoid(-z), 0.0963),
    "softplus": (xpnet.softplus, 1.0, xpnet.sigmoid, 0.25),
    "softsign": (xpnet.softsign, 1.0, lambda z: (1 + np.abs(z)) ** -2, 2.0),
    "tanh": (np.tanh, 1.0, lambda z: 1 - np.tanh(z) ** 2, 0.770),
}


def descended(network, rows, targets, rate, n_steps):
    """Return the parameters after steps of gradient descent, each of all rows."""
    function, steep, derivative, curved = HIDDEN[network.layers[0].activation]
    pairs = [(layer.weight, layer.bias[None, :]) for layer in network.layers]
    parameters = [Rounded(x.astype(np.float64)) for pair in pairs for x in pair]
    rows = constant(rows) * constant(1 / 255)
    ones, share = Rounded(np.ones((1, len(rows.x)))), constant(1 / len(rows.x))
    for _ in range(n_steps):
        weight, bias, last_weight, last_bias = parameters
        weighted = rows @ weight + bias
        hidden = weighted.through(function, steep)
        outputs = hidden @ last_weight + last_bias
        if network.output == "values":
            slope = (outputs + Rounded(-targets)) * constant(2 / targets.shape[1]) * share
        elif network.output == "probabilities":
            slope = outputs.through(xpnet.sigmoid, 0.25) + Rounded(-targets)
            slope = slope * constant(1 / targets.shape[1]) * share
        else:
            slope = (outputs.softmax() + Rounded(-targets)) * share
        before = (slope @ last_weight.transposed()) * weighted.through(derivative, curved)
        gradient = [
            rows.transposed() @ before,
            ones @ before,
            hidden.transposed() @ slope,
            ones @ slope,
        ]
        step = constant(-rate)
        parameters = [x + step * g for x, g in zip(parameters, gradient, strict=True)]
    return parameters


@pytest.mark.parametrize("activation", HIDDEN)
@pytest.mark.parametrize("output", ["logits", "probabilities", "values"])
def test_every_backend_descends_alike(xp_backend, to_backend, activation, output):
    images, labels = (x[:60] for x in xpnet.sample())
    rows, targets = images[:, ::4, ::4].reshape(60, 49), np.eye(10)[labels]
    hidden, last = xpnet.init_network([49, 8, 10], activation=activation).layers
    ending = "sigmoid" if output == "probabilities" else "identity"
    layers = [hidden, xpnet.Dense(last.weight, last.bias, ending)]
    host = xpnet.Network(layers, preprocessing=xpnet.Scale(1 / 255), output=output)
    options = {"optimizer": "sgd", "learning_rate": 0.5, "schedule": "constant", "batch_size": 60}
    answers = labels if output == "logits" else targets
    run = xpnet.train(to_backend(host), rows, answers, epochs=3, **options)
    found = [x for layer in run.network.layers for x in (layer.weight, layer.bias)]
    before = [x for layer in host.layers for x in (layer.weight, layer.bias)]
    for x, old, exact in zip(found, before, descended(host, rows, targets, 0.5, 3), strict=True):
        values = xp_backend.check(x, dtype="float32", shape=old.shape)
        assert np.all(np.abs(values - exact.x.reshape(old.shape)) <= exact.off.reshape(old.shape))
        # The bound is small enough to see a wrong step.
        assert np.abs(exact.x.reshape(old.shape) - old).max() > 100 * exact.off.max()
