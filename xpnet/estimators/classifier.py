"""The classifier of the scikit-learn face."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from xpnet.arrays.namespace import array_namespace, current_device, device_of
from xpnet.arrays.transfer import move, to_numpy
from xpnet.estimators.base import BaseMLP
from xpnet.estimators.inputs import dense, on_host
from xpnet.functions.sigmoids import log_sigmoid
from xpnet.functions.softmax import log_softmax
from xpnet.inference.predict import predict, predict_proba
from xpnet.networks.network import Network, Output
from xpnet.training.backward import Objective

__all__ = ["MLPClassifier"]

_HALF = 0.5


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier to be used as scikit-learn's, on any array library and device.

    With the same ``random_state`` it goes from scikit-learn's starting weights through its
    batches: by SGD to the same network up to rounding, by Adam, and where rows are held out, to
    one that is as good (see the notes).

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (100,)
        How many units each hidden layer has.
    activation : str, default "relu"
        Of the hidden layers: "identity", "logistic", "tanh", "relu", or any other activation of
        xpnet that has a derivative, such as "gelu" or "silu".
    solver : {"adam", "sgd"}, default "adam"
        scikit-learn's "lbfgs" is not supported.
    alpha : float, default 0.0001
        Half of it times the squares of the weights, divided by the rows of a batch, is added to
        the loss.
    batch_size : int or "auto", default "auto"
        Rows at a time; "auto" is 200, or all rows if there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        How the learning rate of "sgd" changes: not at all; to ``learning_rate_init / (t_ + 1) **
        power_t`` after each epoch; or to a fifth where scikit-learn would stop, down to 1e-6.
    learning_rate_init : float, default 0.001
    power_t : float, default 0.5
    max_iter : int, default 200
        Epochs at most.
    shuffle : bool, default True
        Whether each epoch has its own order of the rows.
    random_state : int, numpy.random.RandomState or None, default None
        Draws the starting weights, the rows held out and the orders, on the host: with a number,
        the same bits each time.
    tol : float, default 1e-4
        Training stops after `n_iter_no_change` epochs whose loss, or validation score, is not
        better by this.
    verbose : bool, default False
        Whether to print the loss of each epoch.
    warm_start : bool, default False
        Whether `fit` goes on from the last one.
    momentum : float, default 0.9
        Of "sgd", from 0 to below 1.
    nesterovs_momentum : bool, default True
    early_stopping : bool, default False
        Whether to hold out rows, a like share of each class, and to keep the network of the epoch
        that does best on them.
    validation_fraction : float, default 0.1
        The share of the rows that is held out.
    beta_1, beta_2, epsilon : float
        Of "adam".
    n_iter_no_change : int, default 10
    max_fun : int, default 15000
        Of "lbfgs"; it does nothing.
    device : {"cpu", "gpu", "gpu:N", "auto"}, default "cpu"
        Where NumPy arrays, lists, data frames and sparse matrices are computed; results come back
        to the host. Arrays of other libraries are computed where they are.
    predict_batch_size : int, optional
        Rows at a time in predictions; chosen for the device by default.

    Attributes
    ----------
    network_ : Network
        What was learned; for `xpnet.save`, `xpnet.predict` and all else.
    classes_ : array of shape (n_classes,)
        The classes, sorted; on the host.
    coefs_, intercepts_ : list of arrays
        The weights and the biases of each layer.
    loss_, best_loss_ : float
        The loss of the last and of the best epoch; with `early_stopping`, there is no best one.
    loss_curve_ : list of float
        The loss of each epoch.
    validation_scores_ : list of float or None
        With `early_stopping`, the accuracy on the rows held out after each epoch.
    best_validation_score_ : float or None
    n_iter_ : int
        How many epochs the last fit took.
    t_ : int
        How many rows were seen, each as often as it was seen.
    n_layers_, n_outputs_, n_features_in_ : int
    out_activation_ : str
    feature_names_in_ : array of shape (n_features_in_,)
        Where X had names.

    Raises
    ------
    ModuleNotFoundError
        If scikit-learn is not installed.

    See Also
    --------
    xpnet.train : Without scikit-learn; with schedules, augmentation and checkpoints.

    Notes
    -----
    It is not as scikit-learn's in four ways. Rows are held out of each class also where there are
    more than two; scikit-learn does so only for two. Weights that run away end the training in
    that epoch. Adam's `epsilon` is added to the root of the corrected mean, as in the paper. And
    the logarithm of a probability is computed from the logits, so that tiny ones are exact.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010.
    D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", arXiv 1412.6980.
    F. Pedregosa et al., "Scikit-learn: machine learning in Python", JMLR 12, 2011.

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
    score = BaseMLP.score  # the mixin's wants NumPy's arrays

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Go on for one epoch.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array of shape (n_classes,), optional
            All classes of all calls; needed for the first.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            As `fit`; and if there are no classes in the first call, or others later.
        """
        if classes is None and not hasattr(self, "network_"):
            msg = "`classes` must be given in the first call of partial_fit; got None"
            raise ValueError(msg)
        return self._fit(X, y, sample_weight, goes_on=True, is_partial=True, classes=classes)

    def _truth(self, y: NDArray[Any], classes: Any, *, is_first: bool) -> NDArray[Any]:
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            msg = "`y` must give one class for each row, or columns of 0 and 1; got more"
            raise ValueError(msg)
        is_multilabel = kind == "multilabel-indicator"
        found = unique_labels(y)
        known = found if classes is None else unique_labels(on_host(classes))
        if is_first:
            self.classes_, self._is_multilabel = known, is_multilabel
        elif classes is not None and not np.array_equal(known, self.classes_):
            msg = f"`classes` must be those of the first call, {self.classes_}; got {known}"
            raise ValueError(msg)
        unknown = np.setdiff1d(found, self.classes_)
        if len(unknown) or is_multilabel != self._is_multilabel:
            msg = f"`y` must hold classes of {self.classes_}, as before; got {found}"
            raise ValueError(msg)
        return (y != 0).astype(np.int64) if is_multilabel else np.searchsorted(self.classes_, y)

    def _meaning(self, n_out: int) -> tuple[str, Output, Any]:
        if self._is_multilabel:
            return "sigmoid", "probabilities", None
        names = self.classes_.tolist()
        if self.classes_.dtype.kind in "fb" and all(float(name).is_integer() for name in names):
            names = [int(name) for name in names]
        can_be_kept = all(type(name) in {int, str} for name in names)
        return "identity", "logits", names if can_be_kept and len(names) == max(n_out, 2) else None

    def _n_out(self, truth: NDArray[Any]) -> int:
        if self._is_multilabel:
            return int(truth.shape[1])
        n_classes = len(self.classes_)
        return n_classes if n_classes > 2 else 1

    def _found(self, network: Network, rows: Any) -> Any:
        if not self._is_multilabel:
            return predict(network, dense(rows), batch_size=self.predict_batch_size)
        shares = predict_proba(network, dense(rows), batch_size=self.predict_batch_size)
        xp = array_namespace(shares)
        with current_device(shares):
            defaults = xp.__array_namespace_info__().default_dtypes(device=device_of(shares))
            return xp.astype(shares > _HALF, defaults["integral"])

    def predict(self, X: Any) -> Any:
        """Return the class of each row; of several labels, 0 or 1 for each.

        Parameters
        ----------
        X : array, data frame or sparse matrix of shape (n, n_features)

        Returns
        -------
        array of shape (n,) or (n, n_classes)
            Of the library and device of X; texts, which only NumPy has, on the host.

        Raises
        ------
        TypeError, ValueError
            If X is of another library or device than the network (the host excepted), of another
            shape, or not finite.
        """
        found = self._found(*self._checked(X))
        if self._is_multilabel:
            return found
        xp, classes = array_namespace(found), self.classes_
        with current_device(found):
            if len(classes) == 1:
                found = found * 0
            if xp is np or classes.dtype.kind not in "biuf":
                return classes[to_numpy(found)]
            return xp.take(move(classes, xp, device_of(found)), found)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class for each row.

        Parameters
        ----------
        X : array, data frame or sparse matrix of shape (n, n_features)

        Returns
        -------
        array of shape (n, n_classes)
            Of the library, device and dtype of X. Rows sum to 1, but not of several labels.

        Raises
        ------
        TypeError, ValueError
            As `predict`.
        """
        network, rows = self._checked(X)
        return predict_proba(network, dense(rows), batch_size=self.predict_batch_size)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of the probability of each class, exact where that is tiny.

        Parameters
        ----------
        X : array, data frame or sparse matrix of shape (n, n_features)

        Returns
        -------
        array of shape (n, n_classes)

        Raises
        ------
        TypeError, ValueError
            As `predict`.
        """
        network, rows = self._checked(X)
        scored = replace(Objective(network).scored, output="values", classes=None)
        logits = predict(scored, dense(rows), batch_size=self.predict_batch_size)
        if self._is_multilabel:
            return log_sigmoid(logits)
        with current_device(logits):
            if network.n_out > 1:
                return log_softmax(logits)
            xp = array_namespace(logits)
            return xp.concat([log_sigmoid(-logits), log_sigmoid(logits)], axis=1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
