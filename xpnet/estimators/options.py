"""Options of the estimators: validation, and conversion to xpnet's options."""

from collections.abc import Callable, Mapping
from math import inf
from numbers import Integral, Real
from typing import Any

import numpy as np

from xpnet.functions.activations import ACTIVATIONS

__all__ = ["check_options", "hidden_widths", "xpnet_activation"]


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
