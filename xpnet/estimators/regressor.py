"""Regressor for scikit-learn."""

from dataclasses import dataclass
from math import prod
from typing import Any, Self

from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from xpnet.arrays.namespace import array_namespace, current_device
from xpnet.estimators.base import BaseMLP
from xpnet.estimators.inputs import dense
from xpnet.inference.predict import predict
from xpnet.networks.network import Network, Output

__all__ = ["MLPRegressor"]


@dataclass(eq=False, repr=False)
class _Loss:
    """Option `loss`, in its own base class so that it is the first argument."""

    loss: str = "squared_error"


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, BaseMLP, _Loss):
    """Drop-in replacement for scikit-learn's regressor on any array library and device.

    Parameters
    ----------
    loss : {"squared_error"}, default "squared_error"
        Half the squared error; scikit-learn's "poisson" is not supported.
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init,
    power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum,
    nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon,
    n_iter_no_change, max_fun, device, predict_batch_size
        See `MLPClassifier`. With `early_stopping`, rows are held out at random, and scored by
        R^2.

    Attributes
    ----------
    network_ : Network
        Fitted network, whose outputs are values.
    coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_,
    best_validation_score_, n_iter_, t_, n_layers_, n_outputs_, n_features_in_, out_activation_,
    feature_names_in_
        See `MLPClassifier`. The loss is the mean over the outputs, as in scikit-learn.

    Raises
    ------
    ModuleNotFoundError
        If scikit-learn is not installed.

    References
    ----------
    See `MLPClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> import xpnet
    >>> x = np.linspace(-3, 3, 200)[:, None]
    >>> mlp = xpnet.MLPRegressor(activation="tanh", learning_rate_init=0.02, random_state=0)
    >>> bool(mlp.fit(x, np.sin(x[:, 0])).score(x, np.sin(x[:, 0])) > 0.99)
    True
    """

    _metric = staticmethod(r2_score)
    score = BaseMLP.score  # the mixin's method needs NumPy arrays

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one more epoch. Arguments and errors are as for `fit`."""
        return self._fit(X, y, sample_weight, is_partial=True)

    def _encode(self, y: NDArray[Any], classes: Any, *, is_first: bool) -> NDArray[Any]:
        del classes
        if not is_first and (n_out := prod(y.shape[1:])) != self.network_.n_out:
            msg = f"`y` must have {self.network_.n_out} outputs, as before; got {n_out}"
            raise ValueError(msg)
        return y

    def _output_layer(self, answers: NDArray[Any]) -> tuple[int, str, Output, Any]:
        return prod(answers.shape[1:]), "identity", "values", None

    def _predict_encoded(self, network: Network, rows: Any) -> Any:
        values = predict(network, dense(rows), batch_size=self.predict_batch_size)
        if network.n_out > 1:
            return values
        with current_device(values):
            return array_namespace(values).reshape(values, (-1,))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
