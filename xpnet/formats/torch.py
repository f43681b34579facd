"""From torch: a Sequential of Linear layers and activations, known by their names.

torch is not imported: who has a module has imported it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from xpnet.arrays.transfer import to_numpy
from xpnet.formats.checked_parameters import check_finite
from xpnet.networks.dense import Dense
from xpnet.networks.network import Network, output_of

__all__ = ["ACTIVATIONS", "from_torch"]

# By the class in torch.nn: the activation, and for each of its options the module's attribute.
ACTIVATIONS: dict[str, tuple[str, dict[str, str]]] = {
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
# Attributes that must have these values, since xpnet's function has no option for them.
_FIXED: dict[str, dict[str, tuple[Any, ...]]] = {
    "Flatten": {"start_dim": (1,), "end_dim": (-1,)},
    "Hardtanh": {"min_val": (-1,), "max_val": (1,)},
    "LogSoftmax": {"dim": (-1, 1)},
    "Softmax": {"dim": (-1, 1)},
    "Softplus": {"threshold": (20,)},
}
# Modules that change no number of a row, or none when a network is not learning.
_PASSED = frozenset({"AlphaDropout", "Dropout", "Flatten", "Identity"})


def from_torch(module: Any, /) -> Network:
    """Return the network of a torch module, on the host.

    Parameters
    ----------
    module : torch.nn.Sequential or torch.nn.Linear
        Of Linear layers, each with an activation behind it or none; Flatten, Dropout and Identity
        are passed over, and Sequentials in it opened. Parameters may be on any device.

    Returns
    -------
    Network
        In the module's own dtype (bfloat16 becomes float32), without preprocessing, and with
        ``output="probabilities"`` if it ends in a softmax, or in one sigmoid.

    Raises
    ------
    TypeError
        If there is another module in it; the message names it and its place.
    ValueError
        If a module has hooks or a forward of its own, or settings that xpnet's function has not; a
        parameter is NaN or infinite; the layers do not fit, or there is none.

    Notes
    -----
    torch's Softplus returns its input where ``beta * x`` is above 20, which is as near to the true
    value as float32 can be, and 2e-9 off in float64.

    Examples
    --------
    >>> from_torch(torch.nn.Sequential(torch.nn.Linear(4, 2)))  # doctest: +SKIP
    Network(4 -> 2 identity; logits; float32, numpy)
    """
    layers: list[Dense] = []
    may_follow = False
    for place, part in _parts(module, ""):
        kind = _kind_of(part, place)
        if kind == "Linear":
            layers.append(_dense(part))
            may_follow = True
        elif kind not in _PASSED:
            if not may_follow:
                msg = f"{kind} at {place or 'the front'} must follow a Linear layer"
                raise ValueError(msg)
            last, (name, attributes) = layers[-1], ACTIVATIONS[kind]
            options = {option: getattr(part, x) for option, x in attributes.items()}
            layers[-1] = Dense(last.weight, last.bias, name, options)
            may_follow = False
    if not layers:
        msg = "`module` must hold a Linear layer; got none"
        raise ValueError(msg)
    arrays = {f"layers.{i}.weight": layer.weight for i, layer in enumerate(layers)}
    check_finite(arrays | {f"layers.{i}.bias": layer.bias for i, layer in enumerate(layers)})
    return Network(layers, output=output_of(layers))


def _parts(module: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield the modules of a Sequential, and of those in it, with their places."""
    if _is_of_torch(module) and type(module).__name__ == "Sequential":
        _check_hooks(module, place)
        # One module may be in it several times, and named_children would give it once.
        for name, part in module._modules.items():  # noqa: SLF001 (the only one with names)
            yield from _parts(part, f"{place}.{name}".lstrip("."))
    else:
        yield place, module


def _is_of_torch(module: Any) -> bool:
    # A class of somebody else's may compute anything, also if it is derived from these.
    return type(module).__module__.startswith("torch.nn.modules.")


def _kind_of(module: Any, place: str) -> str:
    kind = type(module).__name__
    known = {"Linear", *_PASSED, *ACTIVATIONS}
    if not _is_of_torch(module) or kind not in known:
        where = f" at {place}" if place else ""
        msg = (
            "`module` must be a torch.nn.Sequential of Linear layers and activations; got"
            f" {type(module).__module__}.{kind}{where}"
        )
        raise TypeError(msg)
    _check_hooks(module, place)
    for name, values in _FIXED.get(kind, {}).items():
        if getattr(module, name) not in values:
            msg = f"{kind} at {place} must have {name}={values[0]}; got {getattr(module, name)}"
            raise ValueError(msg)
    return kind


def _check_hooks(module: Any, place: str) -> None:
    # What torch's older weight_norm, or anybody, hangs on a module may compute anything.
    hooks = module._forward_hooks or module._forward_pre_hooks  # noqa: SLF001 (no other way)
    if hooks or "forward" in vars(module):
        name = type(module).__name__
        msg = f"{name} at {place or 'the top'} must have no hooks, and its own forward"
        raise ValueError(msg)


def _dense(module: Any) -> Dense:
    # Copies: torch would go on to write into shared memory as it learns.
    weight = to_numpy(module.weight).T.copy(order="C")
    if module.bias is None:
        return Dense(weight, np.zeros(weight.shape[1], weight.dtype))
    return Dense(weight, to_numpy(module.bias).copy())
