"""What a file of weights holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.transfer import to_numpy
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale, Step, Whiten

__all__ = ["Contents", "Named"]

_SMALL_FACTOR, _LARGE = 0.1, 1.5


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
        Whether xpnet wrote the file: then it says all.
    notes : tuple of str
        What was made out of the file that it does not say outright, a sentence each.
    takes_whole_numbers : bool
        Whether the inputs are declared as whole numbers, such as raw bytes.
    """

    network: Network
    format: str
    is_own: bool
    notes: tuple[str, ...] = ()
    takes_whole_numbers: bool = False

    @property
    def tells_range(self) -> bool:
        """Whether the file says in which range its inputs are: if not, pixels are in 0..1.

        xpnet's files do; so do inputs of whole numbers, and first steps that are made for larger
        ones than 1, such as a division by 255.
        """
        steps = self.network.preprocessing
        is_for_bytes = bool(steps) and _is_for_large_numbers(steps[0])
        return self.is_own or self.takes_whole_numbers or is_for_bytes


@dataclass(frozen=True, eq=False)
class Named:
    """Arrays by name, out of a file, and xpnet's description of a network if it wrote the file."""

    arrays: Mapping[str, NDArray[Any]]
    description: str | None = None


def _is_for_large_numbers(step: Step) -> bool:
    """Tell whether a step makes sense only for inputs that go far beyond 1."""
    if isinstance(step, Scale):
        return abs(step.factor) < _SMALL_FACTOR
    # Of inputs in 0..1, the means are there too, and no scale is larger.
    numbers = (step.mean,) if isinstance(step, Whiten) else (step.mean, step.scale)
    sizes = (np.abs(x if isinstance(x, float) else to_numpy(x)) for x in numbers)
    return any(float(np.max(size)) > _LARGE for size in sizes)
