"""The only table of the activations that layers and model files can name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from xpnet.files.errors import nearest_hint
from xpnet.functions import (
    exponentials,
    gates,
    hard,
    piecewise,
    rectifiers,
    shrinkage,
    sigmoids,
    softmax,
    sparsemax,
    special,
)
from xpnet.functions.activation import Activation

__all__ = ["ACTIVATIONS", "check_activation"]

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "celu": exponentials.CELU,
        "elu": exponentials.ELU,
        "erf": special.ERF,
        "exponential": exponentials.EXPONENTIAL,
        "gelu": gates.GELU,
        "hard_shrink": shrinkage.HARD_SHRINK,
        "hard_sigmoid": hard.HARD_SIGMOID,
        "hard_silu": hard.HARD_SILU,
        "hard_tanh": hard.HARD_TANH,
        "identity": piecewise.IDENTITY,
        "leaky_relu": piecewise.LEAKY_RELU,
        "linear": piecewise.IDENTITY,
        "log_sigmoid": sigmoids.LOG_SIGMOID,
        "log_softmax": softmax.LOG_SOFTMAX,
        "mish": gates.MISH,
        "relu": piecewise.RELU,
        "relu6": piecewise.RELU6,
        "selu": exponentials.SELU,
        "sigmoid": sigmoids.SIGMOID,
        "silu": gates.SILU,
        "soft_shrink": shrinkage.SOFT_SHRINK,
        "softmax": softmax.SOFTMAX,
        "softplus": rectifiers.SOFTPLUS,
        "softsign": sigmoids.SOFTSIGN,
        "sparse_plus": hard.SPARSE_PLUS,
        "sparse_sigmoid": hard.SPARSE_SIGMOID,
        "sparsemax": sparsemax.SPARSEMAX,
        "squareplus": rectifiers.SQUAREPLUS,
        "step": piecewise.STEP,
        "tanh": sigmoids.TANH,
        "tanh_shrink": shrinkage.TANH_SHRINK,
        "threshold": piecewise.THRESHOLD,
    }
)


def check_activation(name: Any) -> None:
    """Raise TypeError unless a name is a string, and ValueError unless it is an activation's."""
    if not isinstance(name, str):
        msg = f"`activation` must be a name, such as 'sigmoid'; got {name!r}"
        raise TypeError(msg)
    if name not in ACTIVATIONS:
        hint = nearest_hint(name, ACTIVATIONS) or f"; known are {', '.join(sorted(ACTIVATIONS))}"
        msg = f"`activation` must be a known name; got {name!r}{hint}"
        raise ValueError(msg)
