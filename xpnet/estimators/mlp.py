"""`MLPClassifier` and `MLPRegressor`: `xpnet.train` with the interface of scikit-learn."""

import warnings
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from xpnet.arrays.device import Device
from xpnet.arrays.namespace import array_namespace, as_floating, device_of, is_array, library_of
from xpnet.arrays.transfer import beside, move, to_numpy
from xpnet.functions.sigmoids import log_sigmoid
from xpnet.functions.softmax import log_softmax
from xpnet.inference.predict import outputs_of, predict, predict_ids, predict_proba
from xpnet.inference.rows import check_integer
from xpnet.networks.column_names import with_input_names
from xpnet.networks.initializers import init_network
from xpnet.networks.network import Network, Output
from xpnet.training.examples import Examples
from xpnet.training.optimizers import SGD, Adam, Optimizer
from xpnet.training.run import TrainingInterrupted
from xpnet.training.train import train

__all__ = ["MLPClassifier", "MLPRegressor"]


@dataclass(eq=False, repr=False)
class _BaseMLP:
    """Common part, with the constructor that scikit-learn inspects: one argument per option."""

    hidden_layer_sizes: Any = (100,)
    activation: str = "relu"
    _: KW_ONLY
    solver: str = "adam"
    alpha: float = 0.0001
    batch_size: int | str = "auto"
    learning_rate_init: float = 0.001
    max_iter: int = 200
    momentum: float = 0.9
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    random_state: Any = None
    verbose: bool = False
    device: str | Device = "cpu"

    _output: ClassVar[Output]
    _targets: ClassVar[Callable[..., Any]]
    predict: ClassVar[Callable[..., Any]]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the network to rows and their targets.

        Ctrl-C ends the training with a warning, and the network of the epochs so far is kept.

        Parameters
        ----------
        X : array or data frame of shape (n, n_features)
            Computed in its dtype if that is floating-point, on the host float32 or float64.
        y : array of shape (n,) or (n, n_outputs)
        sample_weight : array of shape (n,), optional

        Raises
        ------
        TypeError, ValueError
            If an argument or an option is invalid.
        RunawayError
            If training diverges: lower `learning_rate_init`, or scale X.
        """
        X, y = self._validated(X, y)
        y, n_out, classes = self._targets(y)
        examples, held_out = Examples(X, y), None
        if sample_weight is not None:
            weights = _check_sample_weight(_on_host(sample_weight), y, ensure_non_negative=True)
            examples = Examples(X, y, weights).take(np.flatnonzero(weights))
        random = check_random_state(self.random_state)
        if self.early_stopping:
            of_classes = examples.answers if self._output == "logits" else None
            options = {"test_size": self.validation_fraction, "stratify": of_classes}
            rows = np.arange(len(examples.answers))
            parts = train_test_split(rows, random_state=random, **options)
            examples, held_out = (examples.take(part) for part in parts)
        seed = int(random.randint(2**31 - 1))
        batch_size, optimizer, rate = self._steps(examples, n_out)
        try:
            run = train(
                self._initial_network(X, n_out, seed),
                examples.rows,
                examples.answers,
                epochs=self.max_iter,
                batch_size=batch_size,
                optimizer=optimizer,
                learning_rate=rate,
                schedule="constant",
                validation=held_out[:2] if held_out else 0.0,
                patience=self.n_iter_no_change if held_out else None,
                seed=seed,
                on_epoch=print if self.verbose else None,
                sample_weight=examples.weights,
            )
        except TrainingInterrupted as interrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
            run = interrupt.run
        network = with_input_names(run.network, getattr(self, "feature_names_in_", None))
        self.network_: Network = replace(network, classes=classes)
        self.coefs_ = [layer.weight for layer in network.layers]
        self.intercepts_ = [layer.bias for layer in network.layers]
        self.n_layers_, self.n_outputs_ = len(network.layers) + 1, n_out
        self.loss_curve_ = [epoch.loss for epoch in run.history]
        self.n_iter_, self.loss_ = len(run.history), self.loss_curve_[-1]
        return self

    def _initial_network(self, X: Any, n_out: int, seed: int) -> Network:
        """Return the network before training, where X is or on the chosen device."""
        network = init_network(
            [int(X.shape[1]), *np.atleast_1d(self.hidden_layer_sizes).tolist(), n_out],
            seed=seed,
            activation="sigmoid" if self.activation == "logistic" else self.activation,
            # As in scikit-learn: with its small learning rate, larger weights learn later.
            scheme="xavier",
            output=self._output,
            dtype="float32" if _is_foreign(X) else X.dtype,
        )
        if _is_foreign(X):
            return network.map_arrays(lambda x: beside(x, X))
        return network.to(self.device)

    def _steps(self, examples: Examples, n_out: int) -> tuple[int, Optimizer, float]:
        """Return the rows of a batch, the optimizer, and the learning rate."""
        batch_size = 200 if self.batch_size == "auto" else self.batch_size
        check_integer("batch_size", batch_size)
        batch_size = min(int(batch_size), len(examples.answers))
        total = batch_size * float(1.0 if examples.weights is None else examples.weights.mean())
        # scikit-learn halves squared errors, and adds those of several outputs.
        factor = 2.0 / n_out if self._output == "values" else 1.0
        decay = factor * self.alpha / total
        if self.solver == "adam":
            return batch_size, Adam(weight_decay=decay), self.learning_rate_init
        if self.solver == "sgd":
            sgd = SGD(momentum=self.momentum, nesterov=self.momentum > 0.0, weight_decay=decay)
            return batch_size, sgd, self.learning_rate_init / factor
        msg = f"`solver` must be 'adam' or 'sgd'; got {self.solver!r}"
        raise ValueError(msg)

    def _validated(self, X: Any, *y: Any) -> Any:
        """Return rows, and targets on the host, after validation by scikit-learn."""
        y = tuple(map(_on_host, y))
        of_y = {"multi_output": True, "y_numeric": self._output == "values"} if y else {}
        options = {"reset": bool(y), **of_y}
        if not _is_foreign(X):
            return validate_data(self, _on_host(X), *y, dtype=[np.float64, np.float32], **options)
        X, _ = as_floating(X, "X")
        # Rows on a device have scikit-learn check their shape and targets beside a stand-in.
        found = validate_data(self, np.broadcast_to(np.False_, X.shape), *y, **options)
        return (X, found[1]) if y else X

    def _computed(self, function: Callable[[Network, Any], Any], X: Any) -> Any:
        check_is_fitted(self, "network_")
        return function(self.network_, self._validated(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, or the R^2 of a regressor, computed on the host."""
        metric = r2_score if self._output == "values" else accuracy_score
        found, weights = to_numpy(self.predict(X)), _on_host(sample_weight)
        return float(metric(_on_host(y), found, sample_weight=weights))


def _is_foreign(x: Any) -> bool:
    """Return whether `x` is an array of a library other than NumPy and Dask."""
    return is_array(x) and library_of(x) not in {"numpy", "dask"}


def _on_host(x: Any) -> Any:
    """Return an array of any library as a NumPy array, and other objects unchanged."""
    return to_numpy(x) if is_array(x) else x


class MLPClassifier(_BaseMLP, ClassifierMixin, BaseEstimator):
    """Classifier for scikit-learn, on any array library and device.

    Options have the meaning of scikit-learn's options of the same names; `xpnet.train` has more.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (100,)
    activation : str, default "relu"
        "identity", "logistic", "tanh", "relu", or another one with a derivative, such as "gelu".
    solver : {"adam", "sgd"}, default "adam"
    alpha : float, default 0.0001
        L2 penalty: ``alpha / 2`` times the sum of squared weights is added to the loss, divided by
        the rows of a full batch times their mean weight.
    batch_size : int or "auto", default "auto"
        Rows of a batch; "auto" is 200. Fewer rows are one batch.
    learning_rate_init : float, default 0.001
        Learning rate, which is constant.
    max_iter : int, default 200
        Number of epochs. Without `early_stopping`, all of them are trained.
    momentum : float, default 0.9
        Nesterov momentum of "sgd".
    early_stopping : bool, default False
        Whether to stop after `n_iter_no_change` epochs without a better score on held-out rows,
        the same share of each class, and keep the network of the best epoch.
    validation_fraction : float, default 0.1
    n_iter_no_change : int, default 10
    random_state : int, numpy.random.RandomState or None, default None
        For the initial weights, the held-out rows and the order of the others.
    verbose : bool, default False
        Whether to print the scores of each epoch.
    device : str or Device, default "cpu"
        Device for NumPy arrays, lists and data frames; results are returned on the host. Arrays of
        other libraries are computed on their own device.

    Attributes
    ----------
    network_ : Network
        Fitted network, for `xpnet.save`, `xpnet.predict` and all other functions.
    classes_ : array of shape (n_classes,)
    coefs_, intercepts_ : list of arrays
        Weights and biases of each layer.
    loss_curve_ : list of float
        Mean loss of each epoch, without the penalty; `loss_` is the last.
    n_iter_, n_layers_, n_outputs_ : int
        Number of epochs, of layers with the inputs, and of output units.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import xpnet
    >>> X, y = load_iris(return_X_y=True)
    >>> xpnet.MLPClassifier(learning_rate_init=0.01, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _output = "logits"

    def _targets(self, y: Any) -> tuple[Any, int, list[Any]]:
        """Return class ids, the number of output units, and the names of the classes."""
        check_classification_targets(y)
        self.classes_, ids = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        n_classes = len(self.classes_)
        if n_classes < 2:
            msg = f"`y` must hold at least 2 classes; got 1 class, {self.classes_[0]!r}"
            raise ValueError(msg)
        # scikit-learn has found floating-point numbers to be whole.
        names = [int(x) if isinstance(x, bool | float) else x for x in self.classes_.tolist()]
        return ids, n_classes if n_classes > 2 else 1, names

    def predict(self, X: Any) -> Any:
        """Return the class of each row, in the library and on the device of X; strings on the host.

        X, of shape (n, n_features), is on the host, or where the X of `fit` was.
        """
        ids = self._computed(predict_ids, X)
        xp = array_namespace(ids)
        if xp is np or self.classes_.dtype.kind not in "biuf":
            return self.classes_[to_numpy(ids)]
        return xp.take(move(self.classes_, xp, device_of(ids)), ids)

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of the classes, of shape (n, n_classes); X as for `predict`."""
        return self._computed(predict_proba, X)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`, accurate also for tiny probabilities."""
        logits = self._computed(outputs_of, X)
        if self.n_outputs_ > 1:
            return log_softmax(logits)
        pair = [log_sigmoid(-logits), log_sigmoid(logits)]
        return array_namespace(logits).concat(pair, axis=1)


class MLPRegressor(_BaseMLP, RegressorMixin, BaseEstimator):
    """Regressor for scikit-learn, on any array library and device.

    As for `MLPClassifier`, but `loss_curve_` has mean squared errors, twice scikit-learn's.
    """

    _output = "values"

    def _targets(self, y: Any) -> tuple[Any, int, None]:
        """Return values, the number of output units, and no classes."""
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        return y, 1 if y.ndim == 1 else y.shape[1], None

    def predict(self, X: Any) -> Any:
        """Return the values of each row, in the library and on the device of X."""
        y = self._computed(predict, X)
        return y if self.n_outputs_ > 1 else array_namespace(y).reshape(y, (-1,))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
