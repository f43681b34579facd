"""The only table of the activations that layers and model files can name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from xpnet.files.errors import nearest_hint
from xpnet.functions import exponentials, gelu, piecewise, rectifiers, sigmoids, softmax
from xpnet.functions.activation import Activation

__all__ = ["ACTIVATIONS", "check_activation"]

_FAMILIES = (exponentials, gelu, piecewise, rectifiers, sigmoids, softmax)
_FOUND = (getattr(x, "row", None) for family in _FAMILIES for x in vars(family).values())
_ROWS = {row.name: row for row in _FOUND if isinstance(row, Activation)}
ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    dict(sorted({**_ROWS, "linear": _ROWS["identity"]}.items()))
)


def check_activation(name: Any) -> None:
    """Raise TypeError unless a name is a string, and ValueError unless it is an activation's."""
    if not isinstance(name, str):
        msg = f"`activation` must be a name, such as 'sigmoid'; got {name!r}"
        raise TypeError(msg)
    if name not in ACTIVATIONS:
        near = nearest_hint("silu" if name == "swish" else name, ACTIVATIONS)
        hint = near or f"; known are {', '.join(ACTIVATIONS)}"
        msg = f"`activation` must be a known name; got {name!r}{hint}"
        raise ValueError(msg)
