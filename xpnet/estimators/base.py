"""Base class of `MLPClassifier` and `MLPRegressor`, which train by the loop of `xpnet.train`."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from math import inf, sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from xpnet.arrays.device import Device
from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer import move, to_numpy
from xpnet.estimators.fitting import FitState, Fitting
from xpnet.estimators.validation import (
    check_options,
    dtype_of,
    hidden_widths,
    is_other_library,
    on_host,
    validate_examples,
    validate_rows,
    validate_weights,
    xpnet_activation,
)
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network, Output
from xpnet.training.examples import Examples
from xpnet.training.run import Epoch

__all__ = ["BaseMLP"]


@dataclass(eq=False, repr=False)
class BaseMLP(BaseEstimator):
    """Options, fitting and fitted attributes common to the classifier and the regressor.

    The dataclass generates the constructor that scikit-learn inspects: one argument per option.
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
    device: str | Device = "cpu"
    predict_batch_size: int | None = None

    @abstractmethod
    def _encode(self, y: NDArray[Any], classes: Any, *, is_first: bool) -> NDArray[Any]:
        """Validate targets; return class ids, or values. If `is_first`, set the classes."""

    @abstractmethod
    def _output_layer(self, answers: NDArray[Any]) -> tuple[int, str, Output, Any]:
        """Return width and activation of the last layer, and output and classes of the network."""

    @abstractmethod
    def _predict(self, rows: Any) -> Any:
        """Return the predictions for validated rows."""

    @abstractmethod
    def _validation_score(self, epoch: Epoch, held_out: Examples) -> float:
        """Return the score on the held-out rows after an epoch."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the network to rows and their targets.

        Parameters
        ----------
        X : array or data frame of shape (n, n_features)
            Computed in its dtype if that is float32 or float64, else in float64.
        y : array of shape (n,) or (n, n_outputs)
            On the host, or of any library.
        sample_weight : array of shape (n,), optional
            Weight of each row, 0 or more.

        Raises
        ------
        TypeError, ValueError
            If an argument or an option is invalid.
        RunawayError
            If training diverges: lower `learning_rate_init`, or scale X.
        DeviceError
            If `device` is not available.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If training has not converged after ``max_iter`` epochs.
        """
        return self._fit(X, y, sample_weight)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, is_partial: bool = False, classes: Any = None
    ) -> Self:
        """Fit the network; if `is_partial`, for one epoch, from the fitted weights if any."""
        check_options(self)
        if is_partial and self.early_stopping:
            msg = "`early_stopping` must be False for partial_fit; got True"
            raise ValueError(msg)
        is_first = not ((is_partial or self.warm_start) and hasattr(self, "network_"))
        is_regression = isinstance(self, RegressorMixin)
        X, y = validate_examples(self, X, y, is_regression=is_regression, reset=is_first)
        answers = self._encode(y, classes, is_first=is_first)
        if answers.dtype.kind == "f":
            answers = answers.astype(dtype_of(X))
        weights = validate_weights(sample_weight, len(answers))
        random = check_random_state(self.random_state)
        network = self._initial_network(X, answers, random) if is_first else self._fitted_network(X)
        if is_other_library(X):
            answers = move(answers, array_namespace(X), device_of(X))
        if is_first:
            self.t_ = 0
            self.loss_curve_: list[float] = []
        if is_first or not is_partial:
            self._fit_state = FitState()
        if is_first or not is_partial or self.best_loss_ is None:
            self.best_loss_: float | None = None if self.early_stopping else inf
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_ = -inf if self.early_stopping else None
        fitting = Fitting(self, self._fit_state, self._validation_score)
        examples = Examples(X, answers, weights)
        self.network_ = fitting.run(network, examples, random, is_partial=is_partial)
        self._set_parameters(self.network_, is_on_host=not is_other_library(X))
        return self

    def _set_parameters(self, network: Network, *, is_on_host: bool) -> None:
        """Set the attributes that describe the network, with arrays in the library of X."""
        in_library_of_x = to_numpy if is_on_host else (lambda x: x)
        self.coefs_ = [in_library_of_x(layer.weight) for layer in network.layers]
        self.intercepts_ = [in_library_of_x(layer.bias) for layer in network.layers]
        self.n_layers_, self.n_outputs_ = len(network.layers) + 1, network.n_out
        if network.output == "values":
            self.out_activation_ = "identity"
        else:
            is_softmax = network.n_out > 1 and network.output == "logits"
            self.out_activation_ = "softmax" if is_softmax else "logistic"

    def _initial_network(
        self, X: Any, answers: NDArray[Any], random: np.random.RandomState
    ) -> Network:
        """Return a network on the device that computes, with the weights of scikit-learn's."""
        activation = xpnet_activation(self.activation)
        n_out, last, output, classes = self._output_layer(answers)
        widths = [int(X.shape[1]), *hidden_widths(self.hidden_layer_sizes), n_out]
        names = [*[activation] * (len(widths) - 2), last]
        layers = []
        for (n_in, n_units), name in zip(pairwise(widths), names, strict=True):
            bound = sqrt((2.0 if activation == "sigmoid" else 6.0) / (n_in + n_units))
            weight = random.uniform(-bound, bound, (n_in, n_units))
            bias = random.uniform(-bound, bound, n_units)
            layers.append(Dense(weight.astype(dtype_of(X)), bias.astype(dtype_of(X)), name))
        network = Network(layers, output=output, classes=classes)
        if not is_other_library(X):
            return network.to(self.device)
        return network.map_arrays(lambda x: move(x, array_namespace(X), device_of(X)))

    def _fitted_network(self, X: Any) -> Network:
        """Return the fitted network; raise an error if the rows or the options do not fit it."""
        network: Network = self.network_
        if is_other_library(X):
            array_namespace(X, network.layers[0].weight)  # raises if library or device differ
        hidden = [(layer.n_out, layer.activation) for layer in network.layers[:-1]]
        activation = xpnet_activation(self.activation)
        if [(width, activation) for width in hidden_widths(self.hidden_layer_sizes)] != hidden:
            rule = "must not change between calls of fit with warm_start=True or of partial_fit"
            got = f"{self.hidden_layer_sizes} and {self.activation!r}"
            msg = f"`hidden_layer_sizes` and `activation` {rule}: expected {hidden}; got {got}"
            raise ValueError(msg)
        return network

    def _computed(self, compute: Callable[[Any], Any], X: Any) -> Any:
        """Return ``compute(rows)`` for the validated rows of X."""
        check_is_fitted(self, "network_")
        return compute(validate_rows(self, X))

    def predict(self, X: Any) -> Any:
        """Return the class or the values of each row; for multilabel targets, 0 or 1 per label.

        Parameters
        ----------
        X : array or data frame of shape (n, n_features)
            On the host, or in the library and on the device of the X of `fit`.

        Returns
        -------
        array of shape (n,) or (n, n_outputs)
            In the library and on the device of X; values in its dtype; strings on the host.

        Raises
        ------
        TypeError, ValueError
            If X is elsewhere, has a wrong shape, or is not finite.
        """
        return self._computed(self._predict, X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, or the R^2 of a regressor, computed on the host."""
        found, y, weights = to_numpy(self.predict(X)), on_host(y), on_host(sample_weight)
        return float(self._metric(y, found, sample_weight=weights))
