"""What is done to the inputs before the first layer.

Preprocessing is stored with the weights, because a wrong scaling fails silently: the same
network that is right on 98% of the digits can be right on 34% of them when the pixels it is
given are 255 times too large.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from xpnet._typing import ArrayT
from xpnet.arrays.namespace import apply

__all__ = ["STEPS", "Scale"]


@dataclass(frozen=True)
class Scale:
    """Multiply the inputs by a number: ``Scale(1 / 255)`` takes raw bytes to 0..1.

    Parameters
    ----------
    factor : float
        Finite and not zero.

    Raises
    ------
    ValueError
        If `factor` is zero, infinite or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> Scale(0.5)(np.asarray([2.0, 4.0]))
    array([1., 2.])
    """

    factor: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", float(self.factor))
        if not math.isfinite(self.factor) or self.factor == 0.0:
            msg = f"`factor` must be finite and not zero; got {self.factor}"
            raise ValueError(msg)

    def __call__(self, x: ArrayT, /) -> ArrayT:
        """Return x * factor."""
        return apply(self.compute, x)

    def compute(self, x: Any, _xp: Any) -> Any:
        """Return x * factor for a floating `x`: the mathematics."""
        return x * self.factor


# A file can name these steps, and no other code.
STEPS: Mapping[str, type[Scale]] = MappingProxyType({"scale": Scale})
