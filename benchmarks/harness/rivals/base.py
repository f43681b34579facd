"""Base class of rivals. Their files import other libraries than NumPy where they are used."""

from collections.abc import Callable, Mapping
from typing import Any

Array = Any
Labeller = Callable[[Array], Array]
FACTOR = 1 / 255  # pixels are bytes, networks take 0..1


class Rival:
    """A library that computes networks, used as its users would.

    Whatever can be done once is done before the clock starts. Options distinguish ways to use it.
    """

    is_tiled = False  # whether it cuts rows into chunks itself

    def __init__(self, device: str, threads: int, **options: Any) -> None:
        self.device, self.threads, self.options = device, threads, options

    def obstacle(self) -> str:
        """Return why it cannot use the device; an empty string if it can."""
        return ""

    def activation(self, workload: Any, known: Mapping[str, Any]) -> Any:
        """Return what `known` has for the activation of a network, or raise LookupError."""
        if (name := workload.shape.activation) not in known:
            msg = f"{type(self).__name__} has no {name}"
            raise LookupError(msg)
        return known[name]

    def labeller(self, workload: Any) -> Labeller:
        """Return the function from rows on the host to labels on the host."""
        raise NotImplementedError
