"""Validation of the options and the input arrays of the estimators.

NumPy arrays, lists and data frames are validated by scikit-learn. Arrays of other
libraries stay on their device, and need none of scikit-learn's array-API settings.
"""

from collections.abc import Callable, Mapping
from math import inf
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import validate_data

from xpnet.arrays.namespace import (
    array_namespace,
    cast,
    dtype_name,
    is_array,
    is_real,
    library_of,
    widest_floating,
)
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.training.examples import all_finite, as_sample_weight

__all__ = [
    "check_options",
    "dtype_of",
    "hidden_widths",
    "is_other_library",
    "on_host",
    "validate_examples",
    "validate_rows",
    "validate_weights",
    "xpnet_activation",
]

_FLOATING = (np.float64, np.float32)


def hidden_widths(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Return the number of units of each hidden layer."""
    sizes = hidden_layer_sizes if np.iterable(hidden_layer_sizes) else [hidden_layer_sizes]
    return tuple(int(size) for size in sizes)


def xpnet_activation(name: str) -> str:
    """Return xpnet's name of an activation: "sigmoid" for scikit-learn's "logistic"."""
    return "sigmoid" if name == "logistic" else name


def check_options(estimator: Any) -> None:
    """Raise ValueError if an option of an estimator is invalid."""
    for name, value in estimator.get_params(deep=False).items():
        if name in _RULES:
            is_valid, rule = _RULES[name]
            if not is_valid(value):
                msg = f"`{name}` must be {rule}; got {value!r}"
                raise ValueError(msg)


def _is_number(kind: type, is_in_range: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a function that returns whether an option is a number of a kind and in a range."""
    return lambda x: isinstance(x, kind) and not isinstance(x, bool) and bool(is_in_range(x))


def _is_one_of(*names: str) -> Callable[[Any], bool]:
    return lambda x: isinstance(x, str) and x in names


def _is_trainable(x: Any) -> bool:
    row = ACTIVATIONS.get(xpnet_activation(x)) if isinstance(x, str) else None
    return row is not None and row.is_learnable


_COUNT = _is_number(Integral, lambda x: x >= 1), "an integer of at least 1"
_NOT_NEGATIVE = _is_number(Real, lambda x: 0 <= x < inf), "0 or more"
_POSITIVE = _is_number(Real, lambda x: 0 < x < inf), "positive"
_SHARE = _is_number(Real, lambda x: 0 <= x < 1), "from 0 to below 1"
_FLAG = (lambda x: isinstance(x, bool | np.bool_)), "True or False"

_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "loss": (_is_one_of("squared_error"), "'squared_error' ('poisson' is not supported)"),
    "hidden_layer_sizes": (
        lambda x: all(map(_COUNT[0], x if np.iterable(x) else [x])),
        "integers of at least 1",
    ),
    "activation": (
        _is_trainable,
        "logistic, or an activation of xpnet.functions.activations that has a derivative",
    ),
    "solver": (_is_one_of("adam", "sgd"), "'adam' or 'sgd' ('lbfgs' is not supported)"),
    "alpha": _NOT_NEGATIVE,
    "batch_size": (lambda x: x == "auto" or _COUNT[0](x), f"'auto' or {_COUNT[1]}"),
    "learning_rate": (
        _is_one_of("constant", "invscaling", "adaptive"),
        "'constant', 'invscaling' or 'adaptive'",
    ),
    "learning_rate_init": _POSITIVE,
    "power_t": _NOT_NEGATIVE,
    "max_iter": _COUNT,
    "shuffle": _FLAG,
    "tol": _NOT_NEGATIVE,
    "warm_start": _FLAG,
    "momentum": _SHARE,
    "nesterovs_momentum": _FLAG,
    "early_stopping": _FLAG,
    "validation_fraction": _SHARE,
    "beta_1": _SHARE,
    "beta_2": _SHARE,
    "epsilon": _POSITIVE,
    "n_iter_no_change": (lambda x: x == inf or _COUNT[0](x), f"{_COUNT[1]}, or infinity"),
    "predict_batch_size": (lambda x: x is None or _COUNT[0](x), f"None or {_COUNT[1]}"),
}


def dtype_of(x: Any) -> np.dtype[Any]:
    """Return the NumPy dtype that corresponds to that of a float32 or float64 array."""
    return np.dtype(dtype_name(x.dtype))


def is_other_library(x: Any) -> bool:
    """Return whether `x` is an array of a library other than NumPy and Dask."""
    return is_array(x) and library_of(x) not in {"numpy", "dask"}


def on_host(x: Any) -> Any:
    """Return an array of any library as a NumPy array, and other objects unchanged."""
    return to_numpy(x) if is_array(x) and library_of(x) != "numpy" else x


def validate_rows(estimator: Any, X: Any) -> Any:
    """Return rows to predict, as a float32 or float64 array, after validation."""
    if is_other_library(X):
        return _validate_array(estimator, X, reset=False)
    return validate_data(estimator, on_host(X), dtype=_FLOATING, reset=False)


def validate_examples(
    estimator: Any, X: Any, y: Any, *, is_regression: bool, reset: bool
) -> tuple[Any, NDArray[Any]]:
    """Return rows as `validate_rows` does, and their targets on the host.

    If `is_regression`, targets must be numbers. If `reset`, number and names of the features are
    set, else compared.
    """
    y = on_host(y)
    if y is None or not is_other_library(X):
        X, y = validate_data(
            estimator,
            on_host(X),
            y,
            dtype=_FLOATING,
            multi_output=True,
            y_numeric=is_regression,
            reset=reset,
        )
    else:
        X = _validate_array(estimator, X, reset=reset)
        check_consistent_length(range(X.shape[0]), y)
    dtype = "numeric" if is_regression else None
    y = check_array(y, dtype=dtype, ensure_2d=False, input_name="y")
    return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def _validate_array(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Validate an array of another library as scikit-learn would, on its device."""
    xp = array_namespace(X)
    if not is_real(X, xp):
        msg = f"`X` must hold real numbers; got dtype {X.dtype}"
        raise TypeError(msg)
    if X.ndim != 2 or 0 in X.shape:
        msg = f"`X` must have the shape (n, n_features), both above 0; got {tuple(X.shape)}"
        raise ValueError(msg)
    if reset:
        estimator.n_features_in_ = int(X.shape[1])
        vars(estimator).pop("feature_names_in_", None)
    if X.shape[1] != estimator.n_features_in_:
        msg = f"`X` must have {estimator.n_features_in_} features; got {X.shape[1]}"
        raise ValueError(msg)
    if X.dtype not in (xp.float32, getattr(xp, "float64", None)):
        X = cast(X, widest_floating(X, xp), xp)
    if not all_finite(X):
        msg = "`X` must be finite; got NaN or infinity"
        raise ValueError(msg)
    return X


def validate_weights(sample_weight: Any, n: int) -> NDArray[np.float64] | None:
    """Return the weights of `n` rows on the host; None if none are given."""
    if sample_weight is None:
        return None
    weights = np.asarray(on_host(sample_weight))
    weights = np.full(n, weights) if weights.ndim == 0 else weights
    # Unlike in `xpnet.train`, their size counts: the penalty is divided by it.
    return as_sample_weight(weights, n) * weights.max()
