"""xpnet itself."""

from typing import Any

import numpy as np

import xpnet
from harness.rivals.base import Array, Labeller, Rival
from harness.workload import digits, untrained
from xpnet.training.backward import Objective
from xpnet.training.examples import Examples, batches
from xpnet.training.loop import Trainer


class Xpnet(Rival):
    """`xpnet.predict`; with the option ``is_reproducible``, of a reproducible network."""

    is_tiled = True

    def labeller(self, workload: Any) -> Labeller:
        """Return `predict`."""
        network = workload.network.to(self.device)
        if self.options.get("is_reproducible", False):
            network = xpnet.reproducible(network)
        return lambda images: np.asarray(xpnet.predict(network, images))


class Training:
    """`xpnet.train`, with all its reporting; it shuffles by itself."""

    def __init__(self, n_rows: int, device: str, threads: int) -> None:
        del threads
        self._images, self._labels = digits(n_rows)
        self._network = untrained().to(device)

    def epoch(self, order: Array, batch_size: int, rate: float) -> None:
        """Train on all images."""
        options: Any = {"epochs": 1, "optimizer": "adam", "learning_rate": rate}
        options |= {"schedule": "constant", "batch_size": batch_size, "seed": int(order[0])}
        self._network = xpnet.train(self._network, self._images, self._labels, **options).network


class Steps:
    """The steps of `xpnet.train` alone, in a given order.

    xpnet has no public name for one step: only this class uses the internal ones.
    """

    def __init__(self, n_rows: int, device: str, threads: int, dtype: str = "float32") -> None:
        del threads
        self._examples = Examples(*digits(n_rows))
        self._trainer = Trainer(Objective(untrained(dtype).to(device)), xpnet.Adam())
        self._to_numpy = xpnet.Device(device).to_numpy

    def epoch(self, order: Array, batch_size: int, rate: float) -> None:
        """Train on the images in this order."""
        trainer = self._trainer
        with trainer.blas_limit(batch_size):
            for batch in batches(self._examples, order, trainer.objective, batch_size):
                trainer.step(batch, rate)

    def parameters(self) -> list[Array]:
        """Return all parameters as one vector."""
        return [self._to_numpy(self._trainer.parameters)]
