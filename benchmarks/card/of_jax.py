"""JAX as a contestant, in its own process."""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from card.cells import N_CHECKED, Cell, folded_parameters
from card.turns import mean_seconds

__all__ = ["JAX", "OfJax"]

JAX = "JAX jit"
# JAX computes float32 with TF32, unless it is told otherwise.
_PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32"}


class OfJax:
    """Rows on the device through a compiled function.

    JAX computes on a stream of its own, which events of others do not see: its time is that of a
    clock on the host, from the first call until all results are there.

    Parameters
    ----------
    word : str
        ``"gpu"``; in a rehearsal ``"cpu"``.
    """

    def __init__(self, word: str) -> None:
        # It would take most of the device's memory, and others could not be measured beside it.
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        self._platform = word
        if word == "cpu":
            os.environ["JAX_PLATFORMS"] = "cpu"
        self._call: Callable[[], Any] | None = None

    def ways(self) -> dict[str, str]:
        """Return the ways to compute rows on the device; a reason for each that there is not."""
        import jax

        has_device = jax.devices()[0].platform == self._platform
        return {JAX: "" if has_device else "this JAX sees no GPU"}

    def begin(self, cell: Cell) -> None:
        """Take a cell in place of the one before."""
        self._call, self._cell = None, cell

    def prepare(self, _: str) -> NDArray[Any]:
        """Make ready to compute the cell; return the labels of the first rows."""
        import jax
        import jax.numpy as jnp

        cell = self._cell
        kinds = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu, "tanh": jnp.tanh}
        activation = kinds[cell.shape.activation]
        # As arguments, not as constants: those would be compiled into the function.
        *hidden, last = [
            (jax.device_put(weight), jax.device_put(bias))
            for weight, bias in folded_parameters(cell.shape)
        ]
        rows = jax.device_put(cell.rows)

        def compute(hidden: Any, last: Any, x: Any) -> Any:
            x = x.astype(jnp.float32)
            for weight, bias in hidden:
                x = activation(x @ weight + bias)
            return x @ last[0] + last[1]

        function = jax.jit(compute)
        self._call = lambda: function(hidden, last, rows)
        with self._precision():
            logits = [jax.block_until_ready(self._call()) for _ in range(3)][-1]
        return np.asarray(logits)[:N_CHECKED].argmax(axis=1)

    def time(self, _: str, turn: float) -> float:
        """Return the mean seconds of calls, which take about so long together."""
        call = self._call
        if call is None:
            msg = "nothing was made ready"
            raise LookupError(msg)
        import jax

        latest: list[Any] = [None]

        def compute() -> None:
            latest[0] = call()

        def seconds(action: Callable[[], None]) -> float:
            start = time.perf_counter()
            action()
            # What one device is given, it does in order.
            jax.block_until_ready(latest[0])
            return time.perf_counter() - start

        with self._precision():
            return mean_seconds(seconds, compute, turn)

    def _precision(self) -> Any:
        """Return the context of the cell's precision; outside it, all would be compiled again."""
        import jax

        return jax.default_matmul_precision(_PRECISIONS[self._cell.precision])
