"""Conversion from scikit-learn's MLPClassifier and MLPRegressor, with scalers."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.formats.chain import check_outputs
from xpnet.networks.column_names import with_input_names
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network, Output
from xpnet.networks.preprocessing import Standardize

__all__ = ["from_sklearn"]

_ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
_ACTIVATIONS |= {"softmax": "softmax", "exp": "exponential"}


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
        In the dtype of the estimator's weights, with its classes and the names of fewer than 64
        columns of a data frame. The outputs of a classifier are logits: `predict_proba` applies the
        last activation, logistic or softmax.

    Raises
    ------
    TypeError
        If the estimator or a step is of another class, a scaler clips, or the classes are neither
        strings nor integers.
    ValueError
        If the estimator or a step is not fitted (scikit-learn's ``NotFittedError``), the classifier
        gives several labels per row, or the network differs from the estimator on random rows.

    Examples
    --------
    >>> from_sklearn(Pipeline([("scale", scaler), ("mlp", mlp)]))  # doctest: +SKIP
    Network(4 -> 8 relu -> 3 identity; Standardize(4 means, 4 scales); logits; float64, numpy)
    """
    is_pipeline = _has_class(estimator, "Pipeline")
    *before, last = [step for _, step in estimator.steps] if is_pipeline else [estimator]
    if not _has_class(last, "MLPClassifier", "MLPRegressor"):
        msg = f"`estimator` must be an MLPClassifier or MLPRegressor; got {type(last).__name__}"
        raise TypeError(msg)
    from sklearn.utils.validation import check_is_fitted

    scalers = [x for x in before if x is not None and x != "passthrough"]
    for part in (*scalers, last):
        check_is_fitted(part)
    steps = [_step(scaler) for scaler in scalers]
    names = getattr(estimator, "feature_names_in_", None)  # of a pipeline, from its first step
    if type(last).__module__.startswith("xpnet."):
        network = replace(last.network_, preprocessing=[*steps, *last.network_.preprocessing])
        return with_input_names(network, names)
    is_classifier, final = _has_class(last, "MLPClassifier"), last.out_activation_
    if is_classifier and last.n_outputs_ > 1 and final != "softmax":
        msg = "`estimator` must give one label per row; got a multilabel classifier"
        raise ValueError(msg)
    functions = [_ACTIVATIONS[last.activation]] * (len(last.coefs_) - 1) + [_ACTIVATIONS[final]]
    layers = [Dense(*x) for x in zip(last.coefs_, last.intercepts_, functions, strict=True)]
    output: Output = "probabilities" if is_classifier else "values"
    network = Network(layers, preprocessing=steps, output=output)

    def outputs(x: NDArray[Any]) -> NDArray[Any]:
        found = estimator.predict_proba(x) if is_classifier else estimator.predict(x)
        return np.asarray(found).reshape(len(x), -1)[:, -network.n_out :]  # the second of two

    with warnings.catch_warnings(action="ignore"):  # that these rows have no names of columns
        check_outputs(network.astype("float64"), outputs)
    if is_classifier:
        layers[-1] = replace(layers[-1], activation="identity")
        classes = [_plain(x) for x in last.classes_.tolist()]
        network = Network(layers, preprocessing=steps, output="logits", classes=classes)
    return with_input_names(network, names)


def _plain(label: Any) -> Any:
    """Return a class; a boolean, or a whole number in floating point, as an integer."""
    is_whole = isinstance(label, bool | float) and float(label).is_integer()
    return int(label) if is_whole else label


def _has_class(estimator: Any, *names: str) -> bool:
    """Return whether an estimator is of one of these classes of scikit-learn or xpnet."""
    kind = type(estimator)
    return kind.__name__ in names and kind.__module__.startswith(("sklearn.", "xpnet."))


def _step(scaler: Any) -> Standardize:
    if _has_class(scaler, "StandardScaler"):
        mean = scaler.mean_.copy() if scaler.with_mean else 0.0
        return Standardize(mean, scaler.scale_.copy() if scaler.with_std else 1.0)
    if _has_class(scaler, "MinMaxScaler") and not scaler.clip:
        # x * scale + min is (x - mean) / (1 / scale).
        return Standardize(-scaler.min_ / scaler.scale_, 1.0 / scaler.scale_)
    name = type(scaler).__name__
    msg = f"scalers must be StandardScaler, or MinMaxScaler that does not clip; got {name}"
    raise TypeError(msg)
