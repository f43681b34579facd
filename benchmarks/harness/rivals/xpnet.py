"""xpnet itself."""

from typing import Any

import numpy as np

from harness.rivals.base import Array, Labeller, Rival
from harness.rivals.numpy import Products


class Xpnet(Rival):
    """`xpnet.predict`, and a prepared network that is called.

    The options ``is_prepared`` and ``is_reproducible`` are for `predict`; with the latter, networks
    are not prepared.
    """

    is_tiled = True

    def __init__(self, device: str, threads: int, **options: Any) -> None:
        import xpnet

        super().__init__(device, threads, **options)
        self._xpnet, self._device, self._predict = xpnet, xpnet.Device(device), xpnet.predict

    def labeller(self, workload: Any) -> Labeller:
        """Return `predict`."""
        network = workload.network.to(self._device)
        if self.options.get("is_reproducible", False):
            network = self._xpnet.reproducible(network)
        elif self.options.get("is_prepared", True):
            network = self._xpnet.prepare(network)
        threads, predict = self.threads if self.device == "cpu" else None, self._predict
        return lambda images: np.asarray(predict(network, images, threads=threads))


class ProductsInBlocks(Products):
    """xpnet's matrix products alone: layers without activations, of biases that are zero."""

    def labeller(self, workload: Any) -> Labeller:
        """Return the products."""
        import xpnet

        layers = [xpnet.Dense(w, np.zeros_like(b)) for w, b in workload.parameters]
        network = xpnet.prepare(xpnet.Network(layers))
        return lambda x: np.asarray(network(x))


class Training:
    """`xpnet.train`, with all its reporting; it shuffles by itself."""

    def __init__(self, n_rows: int, device: str, threads: int) -> None:
        from harness.workload import digits, untrained

        del threads
        self._images, self._labels = digits(n_rows)
        self._network = untrained().to(device)

    def epoch(self, order: Array, batch_size: int, rate: float) -> None:
        """Train on all images."""
        import xpnet

        run = xpnet.train(
            self._network,
            self._images,
            self._labels,
            epochs=1,
            batch_size=batch_size,
            learning_rate=rate,
            schedule="constant",
            seed=int(order[0]),
        )
        self._network = run.network


class Steps:
    """The steps of `xpnet.train` alone, in a given order.

    xpnet has no public name for one step: only this class uses the internal ones.
    """

    def __init__(self, n_rows: int, device: str, threads: int, dtype: str = "float32") -> None:
        import xpnet
        from harness.workload import digits, untrained
        from xpnet.training.backward import Objective
        from xpnet.training.examples import Examples
        from xpnet.training.trainer import Trainer

        del threads
        self._examples = Examples(*digits(n_rows))
        self._trainer = Trainer(Objective(untrained(dtype).to(device)), xpnet.Adam())
        self._to_numpy = xpnet.Device(device).to_numpy

    def epoch(self, order: Array, batch_size: int, rate: float) -> None:
        """Train on the images in this order."""
        from xpnet.training.examples import batches

        trainer = self._trainer
        with trainer.blas_limit(batch_size):
            for batch in batches(self._examples, order, trainer.objective, batch_size):
                trainer.step(batch, rate)

    def parameters(self) -> list[Array]:
        """Return all parameters as one vector."""
        return [self._to_numpy(self._trainer.parameters)]
