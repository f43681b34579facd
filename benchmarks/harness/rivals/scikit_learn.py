"""scikit-learn's MLPClassifier."""

import importlib
from typing import Any

import numpy as np

from harness.rivals.base import FACTOR, Array, Labeller, Rival
from harness.workload import digits

_ACTIVATIONS = {"sigmoid": "logistic", "relu": "relu", "tanh": "tanh"}


class ScikitLearn(Rival):
    """A classifier with the same parameters."""

    def labeller(self, workload: Any) -> Labeller:
        """Return its method `predict` behind scaling."""
        widths, name = workload.shape.widths, self.activation(workload, _ACTIVATIONS)
        classifier, factor = _classifier(widths[1:-1], name), np.float32(FACTOR)
        # One step makes all attributes; then the parameters are replaced.
        classes = np.arange(widths[-1])
        zeros = np.zeros((len(classes), widths[0]), np.float32)
        classifier.partial_fit(zeros, classes, classes=classes)
        weights, biases = zip(*workload.parameters, strict=True)
        classifier.coefs_, classifier.intercepts_ = list(weights), list(biases)
        return lambda images: np.asarray(classifier.predict(images.astype(np.float32) * factor))


def _classifier(hidden: tuple[int, ...], activation: str, **options: Any) -> Any:
    neural_network = importlib.import_module("sklearn.neural_network")
    return neural_network.MLPClassifier(hidden, activation=activation, **options)


class Training:
    """Training with `partial_fit`, which shuffles by itself."""

    def __init__(self, n_rows: int, device: str, threads: int) -> None:
        del device, threads
        images, self._labels = digits(n_rows)
        self._rows = images.astype(np.float32) * np.float32(FACTOR)
        self._model: Any = None

    def epoch(self, order: Array, batch_size: int, rate: float) -> None:
        """Train on all images."""
        if self._model is None:
            options = {"batch_size": batch_size, "learning_rate_init": rate, "alpha": 0.0}
            self._model = _classifier((50, 100), "logistic", **options)
        self._model.set_params(random_state=int(order[0]))
        self._model.partial_fit(self._rows, self._labels, classes=np.arange(10))
