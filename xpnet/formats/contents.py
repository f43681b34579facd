"""What a file of weights holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from xpnet.networks.network import Network

__all__ = ["Contents", "Named"]


@dataclass(frozen=True, eq=False)
class Contents:
    """A network out of a file, and what else is known of it.

    Attributes
    ----------
    network : Network
        On the host.
    format : str
        Such as "safetensors" or "ONNX".
    is_own : bool
        Whether xpnet wrote the file: then it says all, the range of the inputs, too.
    notes : tuple of str
        What was made out of the file that it does not say outright, a sentence each.
    """

    network: Network
    format: str
    is_own: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Named:
    """Arrays by name, out of a file, and xpnet's description of a network if it wrote the file."""

    arrays: Mapping[str, NDArray[Any]]
    description: str | None = None
