"""NumPy by hand: the book's code, float32 code, and code in place."""

from math import sqrt
from typing import Any

import numpy as np

from harness.rivals.base import FACTOR, Array, Labeller, Rival
from harness.workload import digits, untrained

_ACTIVATIONS = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
}


class Book(Rival):
    """The code of the book's chapter 3: float64, softmax, then argmax."""

    def labeller(self, workload: Any) -> Labeller:
        """Return its function `predict`."""
        # Its pickle has float32 weights in Fortran order.
        network = [(np.asfortranarray(weight), bias) for weight, bias in workload.parameters]
        activation = self.activation(workload, _ACTIVATIONS)

        def predict(images: Array) -> Array:
            z = images / 255.0
            for weight, bias in network[:-1]:
                z = activation(np.dot(z, weight) + bias)
            a = np.dot(z, network[-1][0]) + network[-1][1]
            e = np.exp(a - np.max(a, axis=1, keepdims=True))
            y = e / np.sum(e, axis=1, keepdims=True)
            return np.asarray(np.argmax(y, axis=1))

        return predict


class ByHand(Rival):
    """Float32 code by hand."""

    def labeller(self, workload: Any) -> Labeller:
        """Return a function of a few lines."""
        activation = self.activation(workload, _ACTIVATIONS)
        *hidden, last = workload.parameters
        factor = np.float32(FACTOR)

        def predict(images: Array) -> Array:
            x = images.astype(np.float32) * factor
            for weight, bias in hidden:
                x = activation(x @ weight + bias)
            return np.asarray((x @ last[0] + last[1]).argmax(axis=1))

        return predict


class InPlace(Rival):
    """Float32 code written for speed: scaling in the first weights, and no array but products."""

    def labeller(self, workload: Any) -> Labeller:
        """Return a function of a few lines."""
        known = {
            "sigmoid": _sigmoid,
            "relu": lambda x: np.maximum(x, 0, out=x),
            "tanh": lambda x: np.tanh(x, out=x),
        }
        activation = self.activation(workload, known)
        *hidden, last = workload.folded_parameters

        def predict(images: Array) -> Array:
            x = images.astype(np.float32)
            for weight, bias in hidden:
                x = x @ weight
                x += bias
                activation(x)
            x = x @ last[0]
            x += last[1]
            return np.asarray(x.argmax(axis=1))

        return predict


def _sigmoid(x: Array) -> None:
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1
    np.reciprocal(x, out=x)


class Training:
    """Training written for speed: one vector of parameters, updated in place."""

    def __init__(self, n_rows: int, device: str, threads: int) -> None:
        del device, threads
        self._images, self._labels = digits(n_rows)
        arrays = [p for layer in untrained().layers for p in (layer.weight, layer.bias)]
        self._vector = np.concatenate([p.reshape(-1) for p in arrays])
        shape = (4, len(self._vector))
        self._gradient, self._kept, self._mean, self._square = np.zeros(shape, np.float32)
        self._parameters = _views(self._vector, arrays)
        self._gradients = _views(self._gradient, arrays)
        self._n_steps = 0

    def epoch(self, order: Array, batch_size: int, rate: float) -> None:
        """Train on the images in this order."""
        for first in range(0, len(order), batch_size):
            chosen = order[first : first + batch_size]
            x = self._images[chosen].astype(np.float32)
            x *= np.float32(FACTOR)
            self._set_gradient(x, self._labels[chosen])
            self._step(rate)

    def _set_gradient(self, x: Array, labels: Array) -> None:
        layers = list(zip(self._parameters[::2], self._parameters[1::2], strict=True))
        values = [x]
        for i, (weight, bias) in enumerate(layers):
            y = values[-1] @ weight
            y += bias
            if i < len(layers) - 1:
                np.maximum(y, -88.0, out=y)
                _sigmoid(y)
            values.append(y)
        slope = values[-1]
        slope -= slope.max(axis=1, keepdims=True)
        np.exp(slope, out=slope)
        slope /= slope.sum(axis=1, keepdims=True)
        slope[np.arange(len(x)), labels] -= 1.0
        slope /= len(x)
        for i in reversed(range(len(layers))):
            np.matmul(values[i].T, slope, out=self._gradients[2 * i])
            slope.sum(axis=0, out=self._gradients[2 * i + 1])
            if i > 0:
                slope = slope @ layers[i][0].T
                slope *= values[i]
                np.subtract(1.0, values[i], out=values[i])
                slope *= values[i]

    def _step(self, rate: float) -> None:
        """Take a step of Adam."""
        gradient, kept = self._gradient, self._kept
        self._n_steps += 1
        correction = sqrt(1.0 - 0.999**self._n_steps)
        self._mean *= 0.9
        np.multiply(gradient, 0.1, out=kept)
        self._mean += kept
        self._square *= 0.999
        gradient *= gradient
        gradient *= 0.001
        self._square += gradient
        np.sqrt(self._square, out=gradient)
        gradient += 1e-8 * correction
        np.divide(self._mean, gradient, out=gradient)
        gradient *= rate * correction / (1.0 - 0.9**self._n_steps)
        self._vector -= gradient

    def parameters(self) -> list[Array]:
        """Return weights and biases."""
        return self._parameters


def _views(vector: Array, like: list[Array]) -> list[Array]:
    """Return parts of a vector in the shapes of other arrays."""
    ends = np.cumsum([p.size for p in like])
    return [vector[end - p.size : end].reshape(p.shape) for p, end in zip(like, ends, strict=True)]
