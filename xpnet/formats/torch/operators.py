"""Operators of torch on one row of inputs: tables of modules and functions, and their meaning."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from xpnet.arrays.transfer import to_numpy
from xpnet.formats.chain import Activate, Affine, Linear, Part

__all__ = ["FACT", "TORCH_ACTIVATIONS", "Rows", "call_function", "call_module", "reject"]

# Class in torch.nn -> activation, and for each of its options the attribute of the module.
TORCH_ACTIVATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "CELU": ("celu", {"alpha": "alpha"}),
    "ELU": ("elu", {"alpha": "alpha"}),
    "GELU": ("gelu", {"approximate": "approximate"}),
    "Hardshrink": ("hard_shrink", {"threshold": "lambd"}),
    "Hardsigmoid": ("hard_sigmoid", {}),
    "Hardswish": ("hard_silu", {}),
    "Hardtanh": ("hard_tanh", {}),
    "Identity": ("identity", {}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": "negative_slope"}),
    "LogSigmoid": ("log_sigmoid", {}),
    "LogSoftmax": ("log_softmax", {}),
    "Mish": ("mish", {}),
    "ReLU": ("relu", {}),
    "ReLU6": ("relu6", {}),
    "SELU": ("selu", {}),
    "SiLU": ("silu", {}),
    "Sigmoid": ("sigmoid", {}),
    "Softmax": ("softmax", {}),
    "Softplus": ("softplus", {"beta": "beta"}),
    "Softshrink": ("soft_shrink", {"threshold": "lambd"}),
    "Softsign": ("softsign", {}),
    "Tanh": ("tanh", {}),
    "Tanhshrink": ("tanh_shrink", {}),
    "Threshold": ("threshold", {"threshold": "threshold", "value": "value"}),
}
# Values of the attributes for which xpnet's function has no option.
FIXED: dict[str, dict[str, tuple[Any, ...]]] = {
    "Flatten": {"start_dim": (1,), "end_dim": (-1,)},
    "Hardtanh": {"min_val": (-1,), "max_val": (1,)},
    "LogSoftmax": {"dim": (-1, 1)},
    "Softmax": {"dim": (-1, 1)},
    "Softplus": {"threshold": (20,)},
}
# Modules that leave the values of a row unchanged during inference.
NEUTRAL = frozenset({"AlphaDropout", "Dropout", "Flatten", "Identity"})
# Functions, methods and ATen operators, without underscores, that leave the values unchanged.
_NEUTRAL_FUNCTIONS = frozenset(
    {"flatten", "view", "reshape", "squeeze", "contiguous", "clone", "detach", "alias"}
    | {"float", "double", "half", "to"}
)
# What rows are, and not their values: a batch size, a device.
_FACTS = frozenset({"size", "dim", "symsize"})
_FACT_ATTRIBUTES = frozenset({"shape", "ndim", "device", "dtype"})
_ACTIVATION_FUNCTIONS = {kind.lower(): kind for kind in TORCH_ACTIVATIONS}
_WAYS = (
    "export it to ONNX and run `xpnet convert`, pass an nn.Sequential of its layers, or build"
    " xpnet.Network([xpnet.Dense(...), ...]) from its weights"
)
FACT = object()


@dataclass(frozen=True, eq=False)
class Rows:
    """The values of a row after a chain of operations, each with its position."""

    chain: tuple[tuple[str, Part], ...] = ()

    def followed_by(self, where: str, part: Part) -> "Rows":
        """Return the rows after one more operation."""
        return Rows((*self.chain, (where, part)))


def reject(what: str, cause: Exception | None = None) -> NoReturn:
    """Raise the error about a module that is not a chain of layers."""
    msg = f"`module` must be a chain of Linear layers and activations; got {what}: {_WAYS}"
    raise TypeError(msg) from cause


def call_module(part: Any, where: str, rows: Rows) -> Rows:
    """Return rows after a module of torch.nn."""
    kind = type(part).__name__
    place = f"{kind} at {where}"
    if kind == "Linear":
        return rows.followed_by(place, _linear(part.weight.T, part.bias))
    if kind == "BatchNorm1d" and part.running_mean is not None:
        numbers = (part.running_mean, part.running_var, part.weight, part.bias)
        return rows.followed_by(place, _batch_norm(*numbers, part.eps))
    if kind not in NEUTRAL and kind not in TORCH_ACTIVATIONS:
        reject(f"{type(part).__module__}.{kind} at {where}")
    for name, values in FIXED.get(kind, {}).items():
        if getattr(part, name) not in values:
            msg = f"{place} must have {name}={values[0]}; got {getattr(part, name)}"
            raise ValueError(msg)
    if kind in NEUTRAL:
        return rows
    activation, attributes = TORCH_ACTIVATIONS[kind]
    options = {option: getattr(part, x) for option, x in attributes.items()}
    return rows.followed_by(place, Activate(activation, options))


def call_function(
    name: str, where: str, args: Sequence[Any], options: Mapping[str, Any], modules: Any
) -> Any:
    """Return the result of a function, a method or an ATen operator with one argument of `Rows`.

    `modules` is ``torch.nn``, whose activations have the arguments of the functions.
    """
    name = name.replace("_", "").lower()
    rows: Any = next((x for x in args if isinstance(x, Rows)), None)
    others = [x for x in args if x is not rows]
    options = {x: y for x, y in options.items() if x not in {"inplace", "_stacklevel"}}
    if name in _FACTS or (name == "getattr" and others[0] in _FACT_ATTRIBUTES):
        return FACT
    if rows is not None and name in _NEUTRAL_FUNCTIONS:
        return rows
    if rows is not None and name in {"dropout", "alphadropout"}:
        if options.get("training", others[1] if len(others) > 1 else True):
            msg = f"{name} at {where} must have training=self.training; got True"
            raise ValueError(msg)
        return rows
    if rows is not None and name in _ACTIVATION_FUNCTIONS:
        if options.get("dtype", 0) is None:
            del options["dtype"]
        module = getattr(modules, _ACTIVATION_FUNCTIONS[name])
        with suppress(TypeError):  # other arguments than those of the module
            return call_module(module(*others, **options), where, rows)
    part = None if options else _layer(name, args, others) or _arithmetic(name, args, others)
    if part is None or rows is None:
        reject(f"the function {name} at {where}")
    return rows.followed_by(f"{name} at {where}", part)


def _layer(name: str, args: Sequence[Any], others: list[Any]) -> Part | None:
    """Return the layer of a function; None if it is none, or the rows are not its input."""
    if name == "addmm" and isinstance(args[1], Rows):
        return _linear(others[1], others[0])
    if isinstance(args[0], Rows) and name in {"linear", "matmul", "mm"} and others[0].ndim == 2:
        return _linear(others[0].T if name == "linear" else others[0], *others[1:])
    if isinstance(args[0], Rows) and name == "batchnorm" and others[4:5] == [False]:  # ATen's
        weight, bias, mean, variance, *_, epsilon, _ = others
        return _batch_norm(mean, variance, weight, bias, epsilon)
    return None


def _linear(weight: Any, bias: Any = None) -> Linear:
    return Linear(to_numpy(weight), None if bias is None else to_numpy(bias))


def _batch_norm(mean: Any, variance: Any, weight: Any, bias: Any, epsilon: float) -> Affine:
    gamma, beta = (
        default if x is None else to_numpy(x) for x, default in ((weight, 1.0), (bias, 0.0))
    )
    return Affine.normalization(to_numpy(mean), to_numpy(variance), epsilon, gamma, beta)


_ARITHMETIC: dict[tuple[str, bool], Callable[[Any], Affine]] = {
    ("add", True): lambda x: Affine(1.0, x),
    ("add", False): lambda x: Affine(1.0, x),
    ("mul", True): Affine,
    ("mul", False): Affine,
    ("sub", True): lambda x: Affine(1.0, -x),
    ("sub", False): lambda x: Affine(-1.0, x),
    ("truediv", True): lambda x: Affine(1.0 / x),
}
_ALIASES = {"div": "truediv", "divide": "truediv", "truedivide": "truediv"}
_ALIASES |= {"multiply": "mul", "subtract": "sub", "iadd": "add", "imul": "mul"}


def _arithmetic(name: str, args: Sequence[Any], others: list[Any]) -> Part | None:
    """Return the operation with a constant: a number, or one number per column."""
    make = _ARITHMETIC.get((_ALIASES.get(name, name), isinstance(args[0], Rows)))
    if make is None or len(others) != 1:
        return None
    constant = np.asarray(others[0] if isinstance(others[0], int | float) else to_numpy(others[0]))
    is_row = constant.size in constant.shape[-1:]
    return (
        make(constant.reshape(-1 if is_row else ()).astype(np.float64))
        if is_row or constant.size == 1
        else None
    )
