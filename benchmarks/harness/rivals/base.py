"""Base class of rivals.

The files of rivals import at the top only what NumPy imports, too: some of their functions are
timed from the start of a process.
"""

from collections.abc import Callable
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

    def inputs(self, workload: Any) -> Array:
        """Return the rows that the labeller takes: raw bytes on the host."""
        return workload.images

    def labeller(self, workload: Any) -> Labeller:
        """Return the function from rows on the host to labels on the host."""
        raise NotImplementedError
