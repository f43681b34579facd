"""JAX, compiled by its jit."""

import os
from functools import partial
from typing import Any

import numpy as np

from harness.rivals.base import FACTOR, Array, Labeller, Rival
from harness.workload import digits, untrained


def _import_jax(device: str) -> Any:
    """Return JAX, with the device as its default, and most of a GPU's memory left to others."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")  # not TF32 on a GPU
    return jax


class Jax(Rival):
    """A compiled function; its threads are those that the system gives."""

    def __init__(self, device: str, threads: int, **options: Any) -> None:
        super().__init__(device, threads, **options)
        self._jax = _import_jax(device)

    def obstacle(self) -> str:
        """Return why it cannot use the device; an empty string if it can."""
        has_device = self._jax.devices()[0].platform == self.device
        return "" if has_device else "this JAX finds no GPU"

    def labeller(self, workload: Any) -> Labeller:
        """Return the forward pass, from the cast to argmax."""
        import jax.numpy as jnp

        nn = self._jax.nn
        known = {
            "sigmoid": nn.sigmoid,
            "relu": nn.relu,
            "tanh": jnp.tanh,
            "gelu": partial(nn.gelu, approximate=False),
        }
        activation = self.activation(workload, known)
        *hidden, last = [tuple(map(jnp.asarray, pair)) for pair in workload.parameters]

        def label(images: Any) -> Any:
            x = images.astype(jnp.float32) * FACTOR
            for weight, bias in hidden:
                x = activation(x @ weight + bias)
            return (x @ last[0] + last[1]).argmax(axis=1)

        labels = self._jax.jit(label)
        return lambda images: np.asarray(labels(images))


class Training:
    """Training by Adam, with a compiled step."""

    def __init__(self, n_rows: int, device: str, threads: int) -> None:
        del threads
        jax = _import_jax(device)
        import jax.numpy as jnp

        images, labels = digits(n_rows)
        rows, all_labels = jnp.asarray(images, jnp.float32) * FACTOR, jnp.asarray(labels)
        arrays = [p for layer in untrained().layers for p in (layer.weight, layer.bias)]
        moments = [jnp.zeros(p.shape) for p in arrays] * 2
        self._state: Any = ([jnp.asarray(p) for p in arrays], moments, 0)

        def loss(parameters: Any, x: Any, truth: Any) -> Any:
            for i in range(0, len(parameters), 2):
                x = x @ parameters[i] + parameters[i + 1]
                x = jax.nn.sigmoid(x) if i < len(parameters) - 2 else x
            chosen = jnp.take_along_axis(jax.nn.log_softmax(x), truth[:, None], axis=1)
            return -jnp.mean(chosen)

        def step(state: Any, chosen: Any, rate: float) -> Any:
            parameters, moments, n_steps = state
            gradients = jax.grad(loss)(parameters, rows[chosen], all_labels[chosen])
            n_steps, n = n_steps + 1, len(parameters)
            pairs = zip(moments[:n], gradients, strict=True)
            means = [0.9 * m + 0.1 * g for m, g in pairs]
            pairs = zip(moments[n:], gradients, strict=True)
            squares = [0.999 * v + 0.001 * g * g for v, g in pairs]
            correction = jnp.sqrt(1.0 - 0.999**n_steps)
            rate = rate * correction / (1.0 - 0.9**n_steps)
            parameters = [
                p - rate * m / (jnp.sqrt(v) + 1e-8 * correction)
                for p, m, v in zip(parameters, means, squares, strict=True)
            ]
            return parameters, [*means, *squares], n_steps

        self._take_step = jax.jit(step, static_argnums=2)

    def epoch(self, order: Array, batch_size: int, rate: float) -> None:
        """Train on the images in this order."""
        for first in range(0, len(order), batch_size):
            self._state = self._take_step(self._state, order[first : first + batch_size], rate)
        self._state[0][0].block_until_ready()

    def parameters(self) -> list[Array]:
        """Return weights and biases."""
        return [np.asarray(p) for p in self._state[0]]
