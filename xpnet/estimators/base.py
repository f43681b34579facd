"""What the classifier and the regressor of the scikit-learn face have in common."""

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from math import inf, nan, sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from xpnet.arrays.device import Device
from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer import move, to_numpy
from xpnet.estimators.course import Course, Memory
from xpnet.estimators.inputs import (
    activation_of,
    check_options,
    checked_examples,
    checked_rows,
    checked_weights,
    dtype_of,
    is_elsewhere,
    on_host,
    widths_of,
)
from xpnet.estimators.lesson import Lesson
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network, Output

__all__ = ["BaseMLP"]


@dataclass(eq=False, repr=False)
class BaseMLP(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What a classifier and a regressor have in common.

    A dataclass: its fields become the arguments that scikit-learn looks for in the constructor.
    """

    hidden_layer_sizes: Any = (100,)
    activation: str = "relu"
    _: KW_ONLY
    solver: str = "adam"
    alpha: float = 0.0001
    batch_size: int | str = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-4
    verbose: bool = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    device: str | Device = "cpu"
    predict_batch_size: int | None = None

    @abstractmethod
    def _truth(self, y: NDArray[Any], classes: Any, *, is_first: bool) -> NDArray[Any]:
        """Return class ids or values; note down the classes."""

    @abstractmethod
    def _meaning(self, n_out: int) -> tuple[str, Output, Any]:
        """Return the last activation, and the output and the classes of the network."""

    @abstractmethod
    def _n_out(self, truth: NDArray[Any]) -> int:
        """Return how many units the last layer needs."""

    @abstractmethod
    def _found(self, network: Network, rows: Any) -> Any:
        """Return what is predicted, in terms of `_truth`."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from rows and their answers, in epochs of mini-batches.

        Parameters
        ----------
        X : array, data frame or sparse matrix of shape (n, n_features)
            float32 and float64 are computed as they are, and all else as float64.
        y : array of shape (n,) or (n, n_outputs)
            On the host, or of any library.
        sample_weight : array of shape (n,), optional
            How much each row counts, 0 or more.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If X or y are not of the right kind, shape or value, an option has a value that it
            must not have, or the weights run away.
        DeviceError
            If there is no such `device`.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If ``max_iter`` epochs are over before nothing gets better.
        """
        return self._fit(X, y, sample_weight, goes_on=self.warm_start)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        goes_on: bool,
        is_partial: bool = False,
        classes: Any = None,
    ) -> Self:
        check_options(self)
        if is_partial and self.early_stopping:
            msg = "`early_stopping` must be False for partial_fit; got True"
            raise ValueError(msg)
        is_first = not (goes_on and hasattr(self, "network_"))
        is_regression = isinstance(self, RegressorMixin)
        X, y = checked_examples(self, X, y, is_regression=is_regression, reset=is_first)
        truth = self._truth(y, classes, is_first=is_first)
        truth = truth.astype(dtype_of(X)) if is_regression else truth
        weights = checked_weights(sample_weight, len(truth))
        random = check_random_state(self.random_state)
        network = self._start(X, self._n_out(truth), random) if is_first else self._continued(X)
        self._open_records(is_first=is_first)
        course = Course(self, network, Lesson(X, truth, weights), random, self._score_of)
        if not is_first:
            course.resume(self._memory, with_optimizer=is_partial)
        if is_partial:
            self.n_iter_ = 0
            course.run_epoch()
        else:
            course.run()
        self.network_ = course.learner.network()
        self._memory: Memory = course.memory
        self._is_on_host = not is_elsewhere(X)
        return self

    def _start(self, X: Any, n_out: int, random: np.random.RandomState) -> Network:
        """Return a network that has learned nothing, where the rows are computed."""
        activation = activation_of(self.activation)
        last, output, classes = self._meaning(n_out)
        widths = [int(X.shape[1]), *widths_of(self.hidden_layer_sizes), n_out]
        names = [*[activation] * (len(widths) - 2), last]
        layers = []
        for (n_in, n_units), name in zip(pairwise(widths), names, strict=True):
            bound = sqrt((2.0 if activation == "sigmoid" else 6.0) / (n_in + n_units))
            weight = random.uniform(-bound, bound, (n_in, n_units))
            bias = random.uniform(-bound, bound, n_units)
            layers.append(Dense(weight.astype(dtype_of(X)), bias.astype(dtype_of(X)), name))
        network = Network(layers, output=output, classes=classes)
        if not is_elsewhere(X):
            return network.to(self.device)
        return network.map_arrays(lambda x: move(x, array_namespace(X), device_of(X)))

    def _continued(self, X: Any) -> Network:
        """Return the network as it is, to learn more."""
        network: Network = self.network_
        if is_elsewhere(X):
            array_namespace(X, network.layers[0].weight)  # one library, one device
        hidden = [(layer.n_out, layer.activation) for layer in network.layers[:-1]]
        activation = activation_of(self.activation)
        if [(width, activation) for width in widths_of(self.hidden_layer_sizes)] != hidden:
            msg = (
                f"`hidden_layer_sizes` and `activation` must stay as they were, {hidden}, to go"
                f" on; got {self.hidden_layer_sizes} and {self.activation!r}"
            )
            raise ValueError(msg)
        return network

    def _open_records(self, *, is_first: bool) -> None:
        """Set down that nothing was measured yet; or only of another kind than is now."""
        if is_first:
            self.t_ = 0
            self.loss_curve_: list[float] = []
        if is_first or (getattr(self, "best_loss_", None) is None) != self.early_stopping:
            self.best_loss_ = None if self.early_stopping else inf
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_ = -inf if self.early_stopping else None

    def _score_of(self, network: Network, lesson: Lesson) -> float:
        found = to_numpy(self._found(network, lesson.rows))
        if not np.isfinite(found).all():
            return nan
        return float(self._metric(lesson.truth, found, sample_weight=lesson.weights))

    def _checked(self, X: Any) -> tuple[Network, Any]:
        """Return the fitted network, and rows that suit it."""
        check_is_fitted(self, "network_")
        return self.network_, checked_rows(self, X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, or the R^2 of a regressor.

        The predictions come to the host, where scikit-learn compares them.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        """
        found, y, weights = to_numpy(self.predict(X)), on_host(y), on_host(sample_weight)
        return float(self._metric(y, found, sample_weight=weights))

    @property
    def coefs_(self) -> list[Any]:
        """The weights of each layer, of shape (n_in, n_out), of the library of X."""
        return [self._shown(layer.weight) for layer in self.network_.layers]

    @property
    def intercepts_(self) -> list[Any]:
        """The biases of each layer, of shape (n_out,), of the library of X."""
        return [self._shown(layer.bias) for layer in self.network_.layers]

    def _shown(self, x: Any) -> Any:
        return to_numpy(x) if self._is_on_host else x

    @property
    def n_layers_(self) -> int:
        """How many layers there are, the inputs included."""
        return len(self.network_.layers) + 1

    @property
    def n_outputs_(self) -> int:
        """How many units the last layer has."""
        return self.network_.n_out

    @property
    def out_activation_(self) -> str:
        """The activation of the outputs: 'softmax', 'logistic' or 'identity'."""
        network = self.network_
        if network.output == "values":
            return "identity"
        return "softmax" if network.n_out > 1 and network.output == "logits" else "logistic"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
