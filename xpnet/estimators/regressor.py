"""Regressor for scikit-learn."""

from dataclasses import dataclass
from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from xpnet.arrays.namespace import array_namespace
from xpnet.arrays.transfer import to_numpy
from xpnet.estimators.base import BaseMLP
from xpnet.inference.predict import predict
from xpnet.networks.network import Output
from xpnet.training.examples import Examples
from xpnet.training.run import Epoch

__all__ = ["MLPRegressor"]


@dataclass(eq=False, repr=False)
class _Loss:
    """Option `loss`, in its own base class so that it is the first argument."""

    loss: str = "squared_error"


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, BaseMLP, _Loss):
    """scikit-learn's regressor on any array library and device.

    Options, methods and attributes are as for `MLPClassifier`, except for the following.

    Parameters
    ----------
    loss : {"squared_error"}, default "squared_error"
        Half the squared error, the mean over the outputs; "poisson" is not supported.
    early_stopping : bool, default False
        Rows are held out at random.

    Attributes
    ----------
    validation_scores_ : list of float or None
        With `early_stopping`, R^2 of the held-out rows after each epoch: one minus the squared
        error over the variance, both summed over the outputs.

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
        return y.astype(np.float64)

    def _output_layer(self, answers: NDArray[Any]) -> tuple[int, str, Output, Any]:
        return prod(answers.shape[1:]), "identity", "values", None

    def _predict(self, rows: Any) -> Any:
        values = predict(self.network_, rows, batch_size=self.predict_batch_size)
        if self.network_.n_out > 1:
            return values
        return array_namespace(values).reshape(values, (-1,))

    def _validation_score(self, epoch: Epoch, held_out: Examples) -> float:
        y, weights = to_numpy(held_out.answers).astype(np.float64), held_out.weights
        squares = (y - np.average(y, axis=0, weights=weights)) ** 2
        variance = float(np.mean(np.average(squares, axis=0, weights=weights)))
        error = 2.0 * (epoch.validation_loss or 0.0)
        return 1.0 - error / max(variance, float(np.finfo(np.float64).tiny))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
