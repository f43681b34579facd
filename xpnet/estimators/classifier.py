"""Classifier for scikit-learn."""

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
from xpnet.inference.predict import predict_ids, predict_proba
from xpnet.networks.network import Network, Output
from xpnet.training.backward import Objective

__all__ = ["MLPClassifier"]


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Drop-in replacement for scikit-learn's classifier on any array library and device.

    With the same ``random_state``, initial weights and batches are those of scikit-learn. With
    SGD, the network is the same up to rounding; with Adam or held-out rows, it is equally good
    (see the notes).

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (100,)
        Number of units of each hidden layer.
    activation : str, default "relu"
        Activation of the hidden layers: "identity", "logistic", "tanh", "relu", or another
        differentiable activation of xpnet, such as "gelu" or "silu".
    solver : {"adam", "sgd"}, default "adam"
        Optimizer; scikit-learn's "lbfgs" is not supported.
    alpha : float, default 0.0001
        L2 penalty: ``alpha / 2`` times the sum of squared weights, divided by the number of rows
        of a batch, is added to the loss.
    batch_size : int or "auto", default "auto"
        Rows per step; "auto" is 200, or all rows if there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        Schedule of "sgd". "invscaling" sets ``learning_rate_init / (t_ + 1) ** power_t`` after
        each epoch; "adaptive" divides the rate by 5 when training would stop, down to 1e-6.
    learning_rate_init : float, default 0.001
        Initial learning rate.
    power_t : float, default 0.5
        Exponent of "invscaling".
    max_iter : int, default 200
        Maximum number of epochs.
    shuffle : bool, default True
        Whether to shuffle the rows in each epoch.
    random_state : int, numpy.random.RandomState or None, default None
        Random state of the initial weights, the held-out rows and the order of the rows. All are
        drawn on the host; an integer gives the same bits each time.
    tol : float, default 1e-4
        Training stops after `n_iter_no_change` epochs whose loss or validation score did not
        improve by at least this.
    verbose : bool, default False
        Whether to print the loss of each epoch.
    warm_start : bool, default False
        Whether `fit` continues from the fitted weights.
    momentum : float, default 0.9
        Momentum of "sgd", from 0 to below 1.
    nesterovs_momentum : bool, default True
        Whether "sgd" uses Nesterov momentum.
    early_stopping : bool, default False
        Whether to hold out rows, the same share of each class, and to keep the network of the
        epoch with the best score on them.
    validation_fraction : float, default 0.1
        Share of the rows to hold out.
    beta_1, beta_2, epsilon : float
        Options of "adam".
    n_iter_no_change : int, default 10
        Maximum number of epochs without improvement.
    max_fun : int, default 15000
        Option of "lbfgs", without effect.
    device : {"cpu", "gpu", "gpu:N", "auto"}, default "cpu"
        Device that computes NumPy arrays, lists, data frames and sparse matrices; results are
        returned on the host. Arrays of other libraries are computed on their own device.
    predict_batch_size : int, optional
        Rows per batch in predictions; the default suits the device.

    Attributes
    ----------
    network_ : Network
        Fitted network, for `xpnet.save`, `xpnet.predict` and all other functions.
    classes_ : array of shape (n_classes,)
        Sorted classes, on the host.
    coefs_, intercepts_ : list of arrays
        Weights and biases of each layer.
    loss_, best_loss_ : float
        Loss of the last and of the best epoch; with `early_stopping`, the latter is None.
    loss_curve_ : list of float
        Loss of each epoch.
    validation_scores_ : list of float or None
        With `early_stopping`, accuracy on the held-out rows after each epoch.
    best_validation_score_ : float or None
        Highest of the validation scores.
    n_iter_ : int
        Number of epochs of the last fit.
    t_ : int
        Number of rows processed, summed over all epochs.
    n_layers_, n_outputs_, n_features_in_ : int
        Number of layers including the inputs, of output units, and of features.
    out_activation_ : str
        Activation of the outputs.
    feature_names_in_ : array of shape ``(n_features_in_,)``
        Feature names, if X has any.

    Raises
    ------
    ModuleNotFoundError
        If scikit-learn is not installed.

    See Also
    --------
    xpnet.train : Training without scikit-learn; has schedules, augmentation and checkpoints.

    Notes
    -----
    Four details differ from scikit-learn. Held-out rows are stratified for any number of
    classes, and not only for two. Training that diverges ends in that epoch with an error. Adam's
    `epsilon` is added to the root of the bias-corrected mean, as in the paper. Logarithms of
    probabilities are computed from the logits, so they are accurate for tiny probabilities.

    References
    ----------
    Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010.
    Kingma, Ba, "Adam: a method for stochastic optimization", arXiv 1412.6980.
    Pedregosa et al., "Scikit-learn: machine learning in Python", JMLR 12, 2011.

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
        """Train for one more epoch. Arguments and errors are as for `fit`.

        Parameters
        ----------
        X, y, sample_weight
            See `fit`.
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
        return (y != 0).astype(np.int64) if is_multilabel else np.searchsorted(self.classes_, y)

    def _output_layer(self, answers: NDArray[Any]) -> tuple[int, str, Output, Any]:
        if self._is_multilabel:
            return int(answers.shape[1]), "sigmoid", "probabilities", None
        names = self.classes_.tolist()
        if self.classes_.dtype.kind in "fb" and all(float(name).is_integer() for name in names):
            names = [int(name) for name in names]
        is_valid = len(names) > 1 and all(type(name) in {int, str} for name in names)
        n_out = len(names) if len(names) > 2 else 1
        return n_out, "identity", "logits", names if is_valid else None

    def _predict_encoded(self, network: Network, rows: Any) -> Any:
        if not self._is_multilabel:
            return predict_ids(network, dense(rows), batch_size=self.predict_batch_size)
        p = predict_proba(network, dense(rows), batch_size=self.predict_batch_size)
        xp = array_namespace(p)
        with current_device(p):
            defaults = xp.__array_namespace_info__().default_dtypes(device=device_of(p))
            return xp.astype(p > 0.5, defaults["integral"])

    def _decode(self, found: Any) -> Any:
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
        """Return the probabilities of the classes for each row; X as for `predict`.

        Returns
        -------
        array of shape (n, n_classes)
            In the library, device and dtype of X. Rows sum to 1, except for multilabel targets.
        """
        network, rows = self._validate_prediction(X)
        return predict_proba(network, dense(rows), batch_size=self.predict_batch_size)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`, accurate also for tiny probabilities."""
        network, rows = self._validate_prediction(X)
        scored = replace(Objective(network).scored, output="values", classes=None)
        logits = predict_ids(scored, dense(rows), batch_size=self.predict_batch_size)
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
