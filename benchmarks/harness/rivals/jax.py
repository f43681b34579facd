"""Training in JAX, compiled by its jit."""

import os
from typing import Any

import numpy as np

from harness.rivals.base import FACTOR, Array
from harness.workload import digits, untrained


class Training:
    """Training by Adam, with a compiled step; its threads are those that the system gives."""

    def __init__(self, n_rows: int, device: str, threads: int) -> None:
        del threads
        if device == "cpu":
            os.environ["JAX_PLATFORMS"] = "cpu"
        import jax
        from jax.example_libraries.optimizers import adam

        jax.config.update("jax_default_matmul_precision", "highest")  # not TF32 on a GPU
        images, labels = map(jax.numpy.asarray, digits(n_rows))
        rows = images.astype(np.float32) * FACTOR
        start, _, self._parameters_of = adam(0.0)
        pairs = ((layer.weight, layer.bias) for layer in untrained().layers)
        self._state = start([jax.numpy.asarray(p) for pair in pairs for p in pair])
        self._n_steps = 0

        def loss(parameters: Any, x: Any, truth: Any) -> Any:
            for i in range(0, len(parameters), 2):
                x = x @ parameters[i] + parameters[i + 1]
                x = jax.nn.sigmoid(x) if i < len(parameters) - 2 else x
            return -jax.nn.log_softmax(x)[jax.numpy.arange(len(truth)), truth].mean()

        def step(n_steps: Any, state: Any, chosen: Any, rate: float) -> Any:
            gradients = jax.grad(loss)(self._parameters_of(state), rows[chosen], labels[chosen])
            return adam(rate)[1](n_steps, gradients, state)

        self._take_step = jax.jit(step)

    def epoch(self, order: Array, batch_size: int, rate: float) -> None:
        """Train on the images in this order."""
        for first in range(0, len(order), batch_size):
            chosen = order[first : first + batch_size]
            self._state = self._take_step(self._n_steps, self._state, chosen, rate)
            self._n_steps += 1
        self._parameters_of(self._state)[0].block_until_ready()

    def parameters(self) -> list[Array]:
        """Return weights and biases."""
        return [np.asarray(p) for p in self._parameters_of(self._state)]
