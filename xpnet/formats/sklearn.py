"""Conversion from and to scikit-learn's MLPClassifier and MLPRegressor, with scalers.

Estimators are recognised by the names of their classes; only `to_sklearn` imports scikit-learn.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.arrays.transfer import to_numpy
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network, Output
from xpnet.networks.preprocessing import Scale, Standardize, Step, Whiten

__all__ = ["from_sklearn", "to_sklearn"]

_ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
_LAST = {"identity": "identity", "exp": "exponential"}


def from_sklearn(estimator: Any, /) -> Network:
    """Return the network of a fitted scikit-learn estimator.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, or Pipeline
        Of scikit-learn or xpnet. The StandardScaler and MinMaxScaler steps of a Pipeline become the
        preprocessing.

    Returns
    -------
    Network
        In the dtype of the estimator's weights, with its classes. The outputs of a classifier are
        logits: `predict_proba` applies the last activation, logistic or softmax.

    Raises
    ------
    TypeError
        If the estimator or a step is of another class or not fitted, or the classes are neither
        strings nor integers.
    ValueError
        If a scaler clips, or the classifier gives several labels per row.

    Examples
    --------
    >>> from_sklearn(Pipeline([("scale", scaler), ("mlp", mlp)]))  # doctest: +SKIP
    Network(4 -> 8 relu -> 3 identity; Standardize(4 means, 4 scales); logits; float64, numpy)
    """
    is_pipeline = _has_class(estimator, "Pipeline")
    *before, last = [step for _, step in estimator.steps] if is_pipeline else [estimator]
    steps = [step for scaler in before for step in _convert_scaler(scaler)]
    if not _has_class(last, "MLPClassifier", "MLPRegressor"):
        msg = f"`estimator` must be an MLPClassifier or MLPRegressor; got {type(last).__name__}"
        raise TypeError(msg)
    if type(last).__module__.startswith("xpnet."):
        _check_fitted(last, "network_")
        return replace(last.network_, preprocessing=[*steps, *last.network_.preprocessing])
    _check_fitted(last, "coefs_")
    classes = None
    final = "identity"
    if _has_class(last, "MLPClassifier"):
        if last.n_outputs_ > 1 and last.out_activation_ != "softmax":
            msg = "`estimator` must give one label per row; got a multilabel classifier"
            raise ValueError(msg)
        classes = last.classes_.tolist()
        if last.classes_.dtype.kind in "fb" and all(float(x).is_integer() for x in classes):
            classes = [int(x) for x in classes]
    elif last.out_activation_ not in _LAST:
        msg = f"`estimator` must have the output identity or exp; got {last.out_activation_!r}"
        raise ValueError(msg)
    else:
        final = _LAST[last.out_activation_]
    names = [_ACTIVATIONS[last.activation]] * (len(last.coefs_) - 1) + [final]
    layers = [
        # Copies: partial_fit writes into the estimator's own arrays.
        Dense(weight.copy(order="C"), bias.copy(), name)
        for weight, bias, name in zip(last.coefs_, last.intercepts_, names, strict=True)
    ]
    output: Output = "values" if classes is None else "logits"
    return Network(layers, preprocessing=steps, output=output, classes=classes)


def _has_class(estimator: Any, *names: str) -> bool:
    """Return whether an estimator is of one of these classes of scikit-learn or xpnet."""
    kind = type(estimator)
    return kind.__name__ in names and kind.__module__.startswith(("sklearn.", "xpnet."))


def _check_fitted(estimator: Any, attribute: str) -> None:
    if not hasattr(estimator, attribute):
        msg = f"`estimator` must be fitted; got {type(estimator).__name__} before its fit"
        raise TypeError(msg)


def _convert_scaler(scaler: Any) -> list[Step]:
    if scaler is None or scaler == "passthrough":
        return []
    if _has_class(scaler, "StandardScaler", "MinMaxScaler"):
        _check_fitted(scaler, "n_features_in_")
    if _has_class(scaler, "StandardScaler"):
        mean = scaler.mean_.copy() if scaler.with_mean else 0.0
        return [Standardize(mean, scaler.scale_.copy() if scaler.with_std else 1.0)]
    if _has_class(scaler, "MinMaxScaler"):
        if scaler.clip:
            msg = "MinMaxScaler must not clip; got clip=True"
            raise ValueError(msg)
        # x * scale + min is (x - mean) / (1 / scale).
        return [Standardize(-scaler.min_ / scaler.scale_, 1.0 / scaler.scale_)]
    name = type(scaler).__name__
    msg = f"steps before the network must be StandardScaler or MinMaxScaler; got {name}"
    raise TypeError(msg)


def to_sklearn(network: Network, /) -> Any:
    """Return a network as a fitted scikit-learn estimator.

    Parameters
    ----------
    network : Network
        All hidden layers have the same activation: identity, sigmoid, tanh or relu. The outputs
        are logits (for a classifier) or values (for a regressor).

    Returns
    -------
    MLPClassifier, MLPRegressor, or Pipeline
        A Pipeline with StandardScalers if the network has preprocessing. An estimator without
        preprocessing can be trained further with ``partial_fit``.

    Raises
    ------
    ModuleNotFoundError
        If scikit-learn is not installed.
    ValueError
        If scikit-learn cannot represent the network.

    Examples
    --------
    >>> to_sklearn(network).predict_proba(x)  # doctest: +SKIP
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import LabelBinarizer

    last = network.layers[-1]
    if network.output == "probabilities" or last.activation not in {"identity", "linear"}:
        msg = (
            "`network` must give logits or values of an identity layer, for scikit-learn; got"
            f" {network.output} of {last.activation_text}"
        )
        raise ValueError(msg)
    is_classifier = network.output == "logits"
    widths = tuple(layer.n_out for layer in network.layers[:-1])
    kind = MLPClassifier if is_classifier else MLPRegressor
    mlp = kind(hidden_layer_sizes=widths, activation=_hidden_activation(network))
    mlp.coefs_ = [np.array(to_numpy(layer.weight)) for layer in network.layers]
    mlp.intercepts_ = [np.array(to_numpy(layer.bias)) for layer in network.layers]
    mlp.n_layers_, mlp.n_outputs_ = len(network.layers) + 1, network.n_out
    mlp.n_features_in_ = network.n_in
    mlp.n_iter_, mlp.t_, mlp.loss_curve_ = 0, 0, []
    mlp.loss_ = mlp.best_loss_ = np.inf
    mlp.out_activation_ = "identity"
    if is_classifier:
        mlp.out_activation_ = "softmax" if network.n_out > 1 else "logistic"
        names = network.classes or range(network.n_classes)
        mlp.classes_ = np.asarray(names)
        binarizer = LabelBinarizer().fit(mlp.classes_)
        vars(mlp)["_label_binarizer"] = binarizer  # no method sets it without training
        if list(names) != binarizer.classes_.tolist():
            msg = f"`classes` must be sorted and of one type, for scikit-learn; got {list(names)}"
            raise ValueError(msg)
    if any(isinstance(step, Whiten) for step in network.preprocessing):
        msg = (
            "`network` must not whiten its inputs, for scikit-learn; xpnet.prepare(network) folds"
            " the whitening into the weights"
        )
        raise ValueError(msg)
    scalers = [_make_scaler(step, network.n_in) for step in network.preprocessing]
    return make_pipeline(*scalers, mlp) if scalers else mlp


def _hidden_activation(network: Network) -> str:
    names = {name: key for key, name in _ACTIVATIONS.items()}
    found = [layer.activation_text for layer in network.layers[:-1]] or ["relu"]
    hidden = {"identity" if name == "linear" else name for name in found}
    if len(hidden) > 1 or not hidden <= set(names):
        msg = (
            "`network` must have one activation for all hidden layers, for scikit-learn, out of"
            f" {', '.join(sorted(names))}; got {', '.join(sorted(hidden))}"
        )
        raise ValueError(msg)
    return names[hidden.pop()]


def _make_scaler(step: Any, n_in: int) -> Any:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    if isinstance(step, Scale):
        if not np.isfinite(1.0 / step.factor):
            msg = f"`factor` must have an inverse, for scikit-learn; got {step.factor}"
            raise ValueError(msg)
        mean, scale = np.zeros(n_in), np.full(n_in, 1.0 / step.factor)
    else:
        mean, scale = (
            np.full(n_in, x) if isinstance(x, float) else to_numpy(x).astype(np.float64)
            for x in (step.mean, step.scale)
        )
    with np.errstate(over="ignore", under="ignore"):
        scaler.mean_, scaler.scale_, scaler.var_ = mean, scale, scale**2
    scaler.n_features_in_, scaler.n_samples_seen_ = n_in, 1
    return scaler
