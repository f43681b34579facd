"""Classifier for scikit-learn."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer import move, to_numpy
from xpnet.estimators.base import BaseMLP
from xpnet.estimators.validation import on_host
from xpnet.functions.sigmoids import log_sigmoid
from xpnet.functions.softmax import log_softmax
from xpnet.inference.predict import predict_ids, predict_proba
from xpnet.networks.network import Output
from xpnet.training.backward import Objective
from xpnet.training.examples import Examples
from xpnet.training.run import Epoch

__all__ = ["MLPClassifier"]


class MLPClassifier(ClassifierMixin, BaseMLP):
    """scikit-learn's classifier on any array library and device.

    Options, methods and attributes are as in scikit-learn, except for the following.

    Parameters
    ----------
    activation : str, default "relu"
        Activation of the hidden layers: "identity", "logistic", "tanh", "relu", or another
        differentiable activation of xpnet, such as "gelu" or "silu".
    solver : {"adam", "sgd"}, default "adam"
        Optimizer. "lbfgs" and its option `max_fun` are not supported.
    alpha : float, default 0.0001
        L2 penalty: ``alpha / 2`` times the sum of squared weights is added to the loss, divided by
        the mean weight of the rows times their number in a full batch.
    random_state : int, numpy.random.RandomState or None, default None
        Random state of the initial weights, which are those of scikit-learn, the held-out rows and
        the order of the rows. All are drawn on the host.
    early_stopping : bool, default False
        The share of each class that is held out is the same for any number of classes.
    epsilon : float, default 1e-8
        See the Notes.
    device : str or Device, default "cpu"
        Device, by a word of `Device`, that computes NumPy arrays, lists and data frames;
        results are returned on the host. Arrays of other libraries are computed on their own
        device.
    predict_batch_size : int, optional
        Rows per batch in predictions; the default suits the device.

    Attributes
    ----------
    network_ : Network
        Fitted network, for `xpnet.save`, `xpnet.predict` and all other functions.
    coefs_, intercepts_ : list of arrays
        Weights and biases of each layer, in the library of X.
    loss_, best_loss_, loss_curve_
        As in scikit-learn, with the penalty at the end of the epoch.
    t_ : int
        Number of rows processed, without rows of weight 0.

    Raises
    ------
    ModuleNotFoundError
        If scikit-learn is not installed.

    See Also
    --------
    xpnet.train : Training without scikit-learn; has schedules and augmentation.

    Notes
    -----
    The network starts like that of scikit-learn and is as accurate, but not the same: the rows are
    shuffled by other random numbers, and a change of the learning rate also changes the effect of
    the momentum. Adam adds epsilon after the bias correction, as in its paper; scikit-learn adds it
    before, where it counts up to 32 times as much in the first steps. The penalty of a last,
    smaller batch is that of a full one. With `warm_start`, each fit counts the epochs without
    improvement anew. An interrupted fit keeps the network of the last complete epoch.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> import xpnet
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = xpnet.MLPClassifier(learning_rate_init=0.01, random_state=0)
    >>> bool(make_pipeline(StandardScaler(), mlp).fit(X, y).score(X, y) > 0.95)
    True
    >>> mlp.network_
    Network(4 -> 100 relu -> 3 identity; logits; float64, numpy)
    """

    _metric = staticmethod(accuracy_score)
    score = BaseMLP.score  # the mixin's method needs NumPy arrays

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one more epoch. Other arguments and errors are as for `fit`.

        Parameters
        ----------
        classes : array of shape (n_classes,), optional
            All classes of all calls; required in the first call, and the same in later ones.
        """
        if classes is None and not hasattr(self, "network_"):
            msg = "`classes` must be given in the first call of partial_fit; got None"
            raise ValueError(msg)
        return self._fit(X, y, sample_weight, is_partial=True, classes=classes)

    def _encode(self, y: NDArray[Any], classes: Any, *, is_first: bool) -> NDArray[Any]:
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            msg = "`y` must hold one class per row, or columns of 0 and 1; got several classes"
            raise ValueError(msg)
        is_multilabel = kind == "multilabel-indicator"
        found = unique_labels(y)
        given = found if classes is None else unique_labels(on_host(classes))
        if is_first:
            self.classes_, self._is_multilabel = given, is_multilabel
        elif classes is not None and not np.array_equal(given, self.classes_):
            msg = f"`classes` must be those of the first call, {self.classes_}; got {given}"
            raise ValueError(msg)
        unknown = np.setdiff1d(found, self.classes_)
        if len(unknown) or is_multilabel != self._is_multilabel:
            msg = f"`y` must hold classes of the first call, {self.classes_}; got {found}"
            raise ValueError(msg)
        return (y != 0).astype(np.float64) if is_multilabel else np.searchsorted(self.classes_, y)

    def _output_layer(self, answers: NDArray[Any]) -> tuple[int, str, Output, Any]:
        if self._is_multilabel:
            return int(answers.shape[1]), "sigmoid", "probabilities", None
        names = self.classes_.tolist()
        if self.classes_.dtype.kind in "fb" and all(float(name).is_integer() for name in names):
            names = [int(name) for name in names]
        is_valid = len(names) > 1 and all(type(name) in {int, str} for name in names)
        n_out = len(names) if len(names) > 2 else 1
        return n_out, "identity", "logits", names if is_valid else None

    def _predict(self, rows: Any) -> Any:
        network, size = self.network_, self.predict_batch_size
        if self._is_multilabel:
            p = predict_proba(network, rows, batch_size=size)
            xp = array_namespace(p)
            defaults = xp.__array_namespace_info__().default_dtypes(device=device_of(p))
            return xp.astype(p > 0.5, defaults["integral"])
        found, classes = predict_ids(network, rows, batch_size=size), self.classes_
        xp = array_namespace(found)
        if len(classes) == 1:
            found = found * 0
        if xp is np or classes.dtype.kind not in "biuf":
            return classes[to_numpy(found)]
        return xp.take(move(classes, xp, device_of(found)), found)

    def _validation_score(self, epoch: Epoch, held_out: Examples) -> float:
        del held_out
        return epoch.validation_accuracy or 0.0

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of the classes for each row; X as for `predict`.

        Returns
        -------
        array of shape (n, n_classes)
            In the library, device and dtype of X. Rows sum to 1, except for multilabel targets.
        """
        size = self.predict_batch_size
        return self._computed(lambda rows: predict_proba(self.network_, rows, batch_size=size), X)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`, accurate also for tiny probabilities."""
        return self._computed(self._log_proba, X)

    def _log_proba(self, rows: Any) -> Any:
        network = self.network_
        scored = replace(Objective(network).scored, output="values", classes=None)
        logits = predict_ids(scored, rows, batch_size=self.predict_batch_size)
        if self._is_multilabel:
            return log_sigmoid(logits)
        if network.n_out > 1:
            return log_softmax(logits)
        xp = array_namespace(logits)
        return xp.concat([log_sigmoid(-logits), log_sigmoid(logits)], axis=1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
