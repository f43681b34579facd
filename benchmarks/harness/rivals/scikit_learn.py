"""scikit-learn's MLPClassifier."""

import importlib
import pickle
from typing import Any

import numpy as np

import xpnet
from harness.rivals.base import FACTOR, Array, Labeller, Rival

_ACTIVATIONS = {"sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}


def classifier_of(network: xpnet.Network) -> bytes:
    """Return the pickle of a classifier with the weights of a network, without scaling."""
    widths = [layer.n_out for layer in network.layers]
    model = importlib.import_module("sklearn.neural_network").MLPClassifier(
        widths[:-1], activation=_ACTIVATIONS[network.layers[0].activation]
    )
    row = np.zeros((1, network.n_in), np.float32)
    model.partial_fit(row, [0], classes=np.arange(network.n_out))  # sets what is no weight
    model.coefs_ = [layer.weight for layer in network.layers]
    model.intercepts_ = [layer.bias for layer in network.layers]
    return pickle.dumps(model)


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
