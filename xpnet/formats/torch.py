"""Conversion from torch: a Sequential of Linear layers and activations.

Modules are recognised by the names of their classes; torch is not imported.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from xpnet.arrays.transfer import to_numpy
from xpnet.formats.checked_parameters import check_finite
from xpnet.networks.dense import Dense, output_of
from xpnet.networks.fingerprint import named_arrays
from xpnet.networks.network import Network

__all__ = ["TORCH_ACTIVATIONS", "from_torch"]

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
_FIXED: dict[str, dict[str, tuple[Any, ...]]] = {
    "Flatten": {"start_dim": (1,), "end_dim": (-1,)},
    "Hardtanh": {"min_val": (-1,), "max_val": (1,)},
    "LogSoftmax": {"dim": (-1, 1)},
    "Softmax": {"dim": (-1, 1)},
    "Softplus": {"threshold": (20,)},
}
# Modules that leave the values of a row unchanged during inference.
_NEUTRAL = frozenset({"AlphaDropout", "Dropout", "Flatten", "Identity"})


def from_torch(module: Any, /) -> Network:
    """Return the network of a torch module, on the host.

    Parameters
    ----------
    module : torch.nn.Sequential or torch.nn.Linear
        Linear layers, each followed by at most one activation; Flatten, Dropout and Identity are
        skipped, and nested Sequentials are flattened. Parameters may be on any device.

    Returns
    -------
    Network
        In the module's own dtype (bfloat16 becomes float32), without preprocessing, and with
        ``output="probabilities"`` if the last activation is a softmax, or the sigmoid of one unit.

    Raises
    ------
    TypeError
        If it contains another module; the message names its class and position.
    ValueError
        If a module has hooks, a replaced forward, or settings that xpnet's function lacks; a
        parameter is NaN or infinite; or the layers do not fit or are missing.

    Notes
    -----
    torch's Softplus returns its input if ``beta * x`` is above 20. This is correctly rounded in
    float32, and has an error of 2e-9 in float64.

    Examples
    --------
    >>> from_torch(torch.nn.Sequential(torch.nn.Linear(4, 2)))  # doctest: +SKIP
    Network(4 -> 2 identity; logits; float32, numpy)
    """
    layers: list[Dense] = []
    may_activate = False
    for position, part in _flatten(module, ""):
        kind = _checked_kind(part, position)
        if kind == "Linear":
            # Copies: training in torch would change shared memory.
            weight = to_numpy(part.weight).T.copy(order="C")
            zeros = np.zeros(weight.shape[1], weight.dtype)
            bias = zeros if part.bias is None else to_numpy(part.bias).copy()
            layers.append(Dense(weight, bias))
            may_activate = True
        elif kind not in _NEUTRAL:
            if not may_activate:
                msg = f"{kind} at {position or 'the front'} must follow a Linear layer"
                raise ValueError(msg)
            last, (name, attributes) = layers[-1], TORCH_ACTIVATIONS[kind]
            options = {option: getattr(part, x) for option, x in attributes.items()}
            layers[-1] = Dense(last.weight, last.bias, name, options)
            may_activate = False
    if not layers:
        msg = "`module` must hold a Linear layer; got none"
        raise ValueError(msg)
    network = Network(layers, output=output_of(layers))
    check_finite(named_arrays(network))
    return network


def _flatten(module: Any, position: str) -> Iterator[tuple[str, Any]]:
    """Yield the modules of a Sequential and of nested ones, with their positions."""
    if _has_torch_class(module) and type(module).__name__ == "Sequential":
        _check_hooks(module, position)
        # A module may occur several times; named_children yields it once.
        for name, part in vars(module)["_modules"].items():
            yield from _flatten(part, f"{position}.{name}".lstrip("."))
    else:
        yield position, module


def _has_torch_class(module: Any) -> bool:
    # A foreign class may compute anything, even if it is derived from torch's.
    return type(module).__module__.startswith("torch.nn.modules.")


def _checked_kind(module: Any, position: str) -> str:
    kind = type(module).__name__
    known = {"Linear", *_NEUTRAL, *TORCH_ACTIVATIONS}
    if not _has_torch_class(module) or kind not in known:
        where = f" at {position}" if position else ""
        msg = (
            "`module` must be a torch.nn.Sequential of Linear layers and activations; got"
            f" {type(module).__module__}.{kind}{where}"
        )
        raise TypeError(msg)
    _check_hooks(module, position)
    for name, values in _FIXED.get(kind, {}).items():
        if getattr(module, name) not in values:
            msg = f"{kind} at {position} must have {name}={values[0]}; got {getattr(module, name)}"
            raise ValueError(msg)
    return kind


def _check_hooks(module: Any, position: str) -> None:
    # A hook, such as that of torch's older weight_norm, may compute anything.
    state = vars(module)
    if state["_forward_hooks"] or state["_forward_pre_hooks"] or "forward" in state:
        name = type(module).__name__
        msg = f"{name} at {position or 'the top'} must have no hooks, and the forward of its class"
        raise ValueError(msg)
