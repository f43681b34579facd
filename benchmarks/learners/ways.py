"""Other ways to train a network, each as its users would write it, by Adam and in batches.

Each is made of the number of rows and of threads; ``epoch(order)`` learns from all rows in an
order, and ``parameters()`` are weights and biases, layer by layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

import xpnet
from learners.lesson import BATCH_SIZE, FACTOR, RATE, examples, start

__all__ = ["OURS", "WAYS"]

Order = NDArray[np.int64]
OURS = "xpnet"


class Xpnet:
    """`xpnet.train`, with all that it measures and shows."""

    def __init__(self, n_rows: int, threads: int) -> None:
        del threads
        self._images, self._labels = examples(n_rows)
        self._network = start()

    def epoch(self, order: Order) -> None:
        """Learn from all images, in an order of its own."""
        run = xpnet.train(
            self._network,
            self._images,
            self._labels,
            epochs=1,
            batch_size=BATCH_SIZE,
            learning_rate=RATE,
            schedule="constant",
            seed=int(order[0]),
        )
        self._network = run.network


class Steps:
    """The steps of `xpnet.train` alone, in the given order."""

    def __init__(self, n_rows: int, threads: int) -> None:
        from xpnet.training.backward import Objective
        from xpnet.training.examples import Examples
        from xpnet.training.loop import Trainer

        del threads
        self._examples = Examples(*examples(n_rows))
        self._learner = Trainer(Objective(start()), xpnet.Adam())

    def epoch(self, order: Order) -> None:
        """Learn from the images in this order."""
        from xpnet.training.examples import batches

        objective = self._learner.objective
        for batch in batches(self._examples, order, objective, BATCH_SIZE):
            self._learner.step(batch, RATE)

    def parameters(self) -> list[NDArray[Any]]:
        """Return weights and biases."""
        network = self._learner.network()
        return [p for layer in network.layers for p in (layer.weight, layer.bias)]


class ByHand:
    """NumPy as it is written for speed: one vector of parameters, all of it written in place."""

    def __init__(self, n_rows: int, threads: int) -> None:
        del threads
        self._images, self._labels = examples(n_rows)
        arrays = [p for layer in start().layers for p in (layer.weight, layer.bias)]
        self._vector = np.concatenate([p.reshape(-1) for p in arrays])
        self._gradient, self._kept, self._mean, self._square = np.zeros(
            (4, len(self._vector)), np.float32
        )
        self._parameters = _views(self._vector, arrays)
        self._gradients = _views(self._gradient, arrays)
        self._n_steps = 0

    def epoch(self, order: Order) -> None:
        """Learn from the images in this order."""
        for first in range(0, len(order), BATCH_SIZE):
            chosen = order[first : first + BATCH_SIZE]
            x = self._images[chosen].astype(np.float32)
            x *= np.float32(FACTOR)
            self._learn(x, self._labels[chosen])
            self._step()

    def _learn(self, x: NDArray[np.float32], labels: Order) -> None:
        layers = list(zip(self._parameters[::2], self._parameters[1::2], strict=True))
        values = [x]
        for i, (weight, bias) in enumerate(layers):
            y = values[-1] @ weight
            y += bias
            if i < len(layers) - 1:
                np.negative(y, out=y)
                np.minimum(y, 88.0, out=y)
                np.exp(y, out=y)
                y += 1.0
                np.reciprocal(y, out=y)
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

    def _step(self) -> None:
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
        gradient *= RATE * correction / (1.0 - 0.9**self._n_steps)
        self._vector -= gradient

    def parameters(self) -> list[NDArray[Any]]:
        """Return weights and biases."""
        return self._parameters


def _views(vector: NDArray[Any], like: list[NDArray[Any]]) -> list[NDArray[Any]]:
    ends = np.cumsum([p.size for p in like])
    return [vector[end - p.size : end].reshape(p.shape) for p, end in zip(like, ends, strict=True)]


class Torch:
    """torch, with rows that are numbers of float32 already."""

    is_fused = False

    def __init__(self, n_rows: int, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._torch = torch
        images, labels = examples(n_rows)
        self._rows = torch.from_numpy(images).to(torch.float32) * FACTOR
        self._labels = torch.from_numpy(labels)
        layers: list[Any] = []
        with torch.no_grad():
            for layer in start().layers:
                linear = torch.nn.Linear(layer.n_in, layer.n_out)
                linear.weight.copy_(torch.from_numpy(layer.weight.T))
                linear.bias.copy_(torch.from_numpy(layer.bias))
                layers += [linear, torch.nn.Sigmoid()]
        self._model = torch.nn.Sequential(*layers[:-1])
        options = {"fused": True} if self.is_fused else {}
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=RATE, **options)

    def epoch(self, order: Order) -> None:
        """Learn from the images in this order."""
        torch, indices = self._torch, self._torch.from_numpy(order)
        for first in range(0, len(order), BATCH_SIZE):
            chosen = indices[first : first + BATCH_SIZE]
            outputs = self._model(self._rows[chosen])
            loss = torch.nn.functional.cross_entropy(outputs, self._labels[chosen])
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()

    def parameters(self) -> list[NDArray[Any]]:
        """Return weights and biases."""
        return [p.detach().numpy().T for p in self._model.parameters()]


class TorchFused(Torch):
    """torch, with its fused Adam."""

    is_fused = True


class ScikitLearn:
    """scikit-learn's classifier, which shuffles by itself."""

    def __init__(self, n_rows: int, threads: int) -> None:
        from sklearn.neural_network import MLPClassifier

        del threads
        images, self._labels = examples(n_rows)
        self._rows = images.astype(np.float32) * np.float32(FACTOR)
        self._model = MLPClassifier(
            (50, 100),
            activation="logistic",
            batch_size=BATCH_SIZE,
            learning_rate_init=RATE,
            alpha=0.0,
        )

    def epoch(self, order: Order) -> None:
        """Learn from all images, in an order of its own."""
        self._model.set_params(random_state=int(order[0]))
        self._model.partial_fit(self._rows, self._labels, classes=np.arange(10))


class Jax:
    """JAX, a step compiled by its jit."""

    def __init__(self, n_rows: int, threads: int) -> None:
        del threads
        import jax
        import jax.numpy as jnp

        images, labels = examples(n_rows)
        rows, all_labels = jnp.asarray(images, jnp.float32) * FACTOR, jnp.asarray(labels)
        arrays = [p for layer in start().layers for p in (layer.weight, layer.bias)]
        self._state = (
            [jnp.asarray(p) for p in arrays],
            [jnp.zeros(p.shape) for p in arrays] * 2,
            0,
        )

        def loss(parameters: Any, x: Any, truth: Any) -> Any:
            for i in range(0, len(parameters), 2):
                x = x @ parameters[i] + parameters[i + 1]
                x = jax.nn.sigmoid(x) if i < len(parameters) - 2 else x
            chosen = jnp.take_along_axis(jax.nn.log_softmax(x), truth[:, None], axis=1)
            return -jnp.mean(chosen)

        def step(state: Any, chosen: Any) -> Any:
            parameters, moments, n_steps = state
            gradients = jax.grad(loss)(parameters, rows[chosen], all_labels[chosen])
            n_steps, n = n_steps + 1, len(parameters)
            means = [0.9 * m + 0.1 * g for m, g in zip(moments[:n], gradients, strict=True)]
            squares = [
                0.999 * v + 0.001 * g * g for v, g in zip(moments[n:], gradients, strict=True)
            ]
            correction = jnp.sqrt(1.0 - 0.999**n_steps)
            rate = RATE * correction / (1.0 - 0.9**n_steps)
            parameters = [
                p - rate * m / (jnp.sqrt(v) + 1e-8 * correction)
                for p, m, v in zip(parameters, means, squares, strict=True)
            ]
            return parameters, [*means, *squares], n_steps

        self._take_step = jax.jit(step)

    def epoch(self, order: Order) -> None:
        """Learn from the images in this order."""
        for first in range(0, len(order), BATCH_SIZE):
            self._state = self._take_step(self._state, order[first : first + BATCH_SIZE])
        self._state[0][0].block_until_ready()

    def parameters(self) -> list[NDArray[Any]]:
        """Return weights and biases."""
        return [np.asarray(p) for p in self._state[0]]


@dataclass(frozen=True)
class Way:
    """A way to train, and the package that it needs."""

    make: Any
    package: str


WAYS: Mapping[str, Way] = {
    OURS: Way(Xpnet, "numpy"),
    "xpnet, steps alone": Way(Steps, "numpy"),
    "NumPy by hand, in place": Way(ByHand, "numpy"),
    "torch, fused Adam": Way(TorchFused, "torch"),
    "torch, Adam": Way(Torch, "torch"),
    "scikit-learn": Way(ScikitLearn, "scikit-learn"),
    "JAX jit": Way(Jax, "jax"),
}
