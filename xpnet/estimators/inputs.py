"""What people bring to the scikit-learn face: rows and answers of any library, and options.

NumPy arrays, lists, data frames and sparse matrices are left to scikit-learn's own checks. The
arrays of other libraries stay where they are, without any of scikit-learn's switches.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import validate_data

from xpnet.arrays.namespace import (
    array_namespace,
    cast,
    current_device,
    is_array,
    is_real,
    library_of,
    widest_floating,
)
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS

__all__ = [
    "ROWS_AT_A_TIME",
    "activation_of",
    "check_options",
    "checked_examples",
    "checked_rows",
    "checked_weights",
    "dense",
    "dtype_of",
    "is_elsewhere",
    "on_host",
    "widths_of",
]

_FLOATING = (np.float64, np.float32)
# Of a sparse matrix, so many rows are dense at a time.
ROWS_AT_A_TIME = 4096


def dtype_of(x: Any) -> np.dtype[Any]:
    """Return NumPy's dtype for that of an array of float32 or float64."""
    return np.dtype(str(x.dtype).rpartition(".")[2])


def is_elsewhere(x: Any) -> bool:
    """Tell whether `x` is an array of another library than NumPy, that computes by itself."""
    return is_array(x) and library_of(x) not in {"numpy", "dask"}


def on_host(x: Any) -> Any:
    """Return any library's array as a NumPy array, and all else as it is."""
    return to_numpy(x) if is_array(x) and library_of(x) != "numpy" else x


def dense(rows: Any) -> Any:
    """Return rows as they are; a sparse matrix as an iterator of arrays, part by part."""
    return _parts(rows) if hasattr(rows, "toarray") else rows


def _parts(rows: Any) -> Iterator[NDArray[Any]]:
    for start in range(0, rows.shape[0], ROWS_AT_A_TIME):
        yield rows[start : start + ROWS_AT_A_TIME].toarray()


def checked_rows(estimator: Any, X: Any) -> Any:
    """Return rows to predict: an array of float32 or float64, or a sparse matrix of them.

    Raises
    ------
    TypeError, ValueError
        If they are no finite numbers, or not as many as the estimator has learned from.
    """
    if is_elsewhere(X):
        return _checked_elsewhere(estimator, X, reset=False)
    return validate_data(estimator, on_host(X), accept_sparse="csr", dtype=_FLOATING, reset=False)


def checked_examples(
    estimator: Any, X: Any, y: Any, *, is_regression: bool, reset: bool
) -> tuple[Any, NDArray[Any]]:
    """Return rows to learn from, as `checked_rows` does, and their answers, on the host.

    Parameters
    ----------
    estimator : estimator
        Told the number and the names of the inputs if `reset`, and else asked for them.
    X, y : arrays
    is_regression : bool
        Whether answers must be numbers.
    reset : bool

    Raises
    ------
    TypeError, ValueError
        As scikit-learn's own checks raise.
    """
    y = on_host(y)
    if y is None or not is_elsewhere(X):
        X, y = validate_data(
            estimator,
            on_host(X),
            y,
            accept_sparse="csr",
            dtype=_FLOATING,
            multi_output=True,
            y_numeric=is_regression,
            reset=reset,
        )
    else:
        X = _checked_elsewhere(estimator, X, reset=reset)
        dtype = "numeric" if is_regression else None
        y = check_array(y, dtype=dtype, ensure_2d=False, input_name="y")
        check_consistent_length(range(X.shape[0]), y)
    if hasattr(y, "toarray"):
        y = y.toarray()
    return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def _checked_elsewhere(estimator: Any, X: Any, *, reset: bool) -> Any:
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
    with current_device(X):
        if X.dtype not in (xp.float32, getattr(xp, "float64", None)):
            X = cast(X, widest_floating(X, xp), xp)
        if not bool(to_numpy(xp.all(xp.isfinite(X)))):
            msg = "`X` must be finite; got NaN or infinity"
            raise ValueError(msg)
    return X


def checked_weights(sample_weight: Any, n: int) -> NDArray[np.float64] | None:
    """Return a weight for each of `n` rows, on the host; None where nobody gives any.

    Raises
    ------
    ValueError
        If they are not as many, one is negative, or all are zero.
    """
    if sample_weight is None:
        return None
    weights = on_host(sample_weight)
    if isinstance(weights, Real):
        weights = np.full(n, weights)
    weights = check_array(weights, dtype=np.float64, ensure_2d=False, input_name="sample_weight")
    if weights.shape != (n,):
        msg = f"`sample_weight` must have the shape ({n},); got {weights.shape}"
        raise ValueError(msg)
    if weights.min() < 0.0 or not weights.any():
        msg = f"`sample_weight` must be 0 or more, and not all zero; got {weights.min()}"
        raise ValueError(msg)
    return weights


def widths_of(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Return how many units each hidden layer has."""
    sizes = hidden_layer_sizes if np.iterable(hidden_layer_sizes) else [hidden_layer_sizes]
    return tuple(int(size) for size in sizes)


def activation_of(name: str) -> str:
    """Return xpnet's name of an activation: scikit-learn's logistic is its sigmoid."""
    return "sigmoid" if name == "logistic" else name


def check_options(estimator: Any) -> None:
    """Refuse options that have a value which they must not have.

    Raises
    ------
    ValueError
        With the option, the rule and what was given.
    """
    for name, value in estimator.get_params(deep=False).items():
        if name in _RULES:
            is_right, rule = _RULES[name]
            if not is_right(value):
                msg = f"`{name}` must be {rule}; got {value!r}"
                raise ValueError(msg)


def _is_number(
    kind: type, low: float, high: float = math.inf, *, without: tuple[float, ...] = ()
) -> Callable[[Any], bool]:
    return lambda x: (
        isinstance(x, kind)
        and not isinstance(x, bool)
        and low <= x <= high  # type: ignore[operator]
        and x not in without
    )


def _is_one_of(*words: str) -> Callable[[Any], bool]:
    return lambda x: isinstance(x, str) and x in words


def _is_flag(x: Any) -> bool:
    return isinstance(x, bool | np.bool_)


def _are_widths(x: Any) -> bool:
    return all(_is_number(Integral, 1)(size) for size in (x if np.iterable(x) else [x]))


def _is_learnable(x: Any) -> bool:
    row = ACTIVATIONS.get(activation_of(x)) if isinstance(x, str) else None
    return row is not None and row.is_learnable


_COUNT = _is_number(Integral, 1), "a whole number of at least 1"
_NOT_NEGATIVE = _is_number(Real, 0.0), "0 or more"
_POSITIVE = _is_number(Real, 0.0, without=(0.0, math.inf)), "positive"
_SHARE = _is_number(Real, 0.0, 1.0, without=(1.0,)), "from 0 to below 1"
_FLAG = _is_flag, "True or False"

_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "loss": (_is_one_of("squared_error"), "'squared_error' ('poisson' is not supported)"),
    "hidden_layer_sizes": (_are_widths, "whole numbers of at least 1"),
    "activation": (
        _is_learnable,
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
    "n_iter_no_change": (lambda x: x == math.inf or _COUNT[0](x), f"{_COUNT[1]}, or infinity"),
    "predict_batch_size": (lambda x: x is None or _COUNT[0](x), f"None or {_COUNT[1]}"),
}
