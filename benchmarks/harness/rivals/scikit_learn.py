"""scikit-learn's MLPClassifier."""

import importlib
import pickle
from typing import Any

import numpy as np

from harness.rivals.base import FACTOR, Array, Labeller, Rival


class ScikitLearn(Rival):
    """A classifier with the same parameters, unpickled."""

    def labeller(self, workload: Any) -> Labeller:
        """Return its method `predict` behind scaling."""
        classifier, factor = pickle.loads(workload.classifier), np.float32(FACTOR)  # noqa: S301
        return lambda images: np.asarray(classifier.predict(images.astype(np.float32) * factor))


class Training:
    """Training with `partial_fit`, which shuffles by itself."""

    def __init__(self, n_rows: int, device: str, threads: int) -> None:
        from harness.workload import digits

        del device, threads
        images, self._labels = digits(n_rows)
        self._rows = images.astype(np.float32) * np.float32(FACTOR)
        self._model: Any = None

    def epoch(self, order: Array, batch_size: int, rate: float) -> None:
        """Train on all images."""
        if self._model is None:
            self._model = importlib.import_module("sklearn.neural_network").MLPClassifier(
                (50, 100),
                activation="logistic",
                batch_size=batch_size,
                learning_rate_init=rate,
                alpha=0.0,
            )
        self._model.set_params(random_state=int(order[0]))
        self._model.partial_fit(self._rows, self._labels, classes=np.arange(10))
