"""Base class of rivals.

The files of rivals import at the top only what NumPy imports, too: some of their functions are
timed from the start of a process.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np

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

    def resident(self, workload: Any) -> Callable[[], Any]:
        """Put rows on the device; return the function that computes their logits there."""
        raise NotImplementedError

    def context(self, workload: Any) -> AbstractContextManager[Any]:
        """Return the context in which that function must be called."""
        del workload
        return nullcontext()

    def to_numpy(self, logits: Any) -> Array:
        """Return logits on the host."""
        return np.asarray(logits)

    def clock(self, action: Callable[[], object]) -> float:
        """Return the seconds that the device takes for an action."""
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    def pinned(self, shape: tuple[int, int]) -> Array:
        """Return host memory that the device can read directly."""
        return np.empty(shape, np.uint8)

    def release(self) -> None:
        """Free memory of the device that is not used."""


class Folder:
    """The embedded network as a workload from files, for a process that may not import xpnet."""

    shape = SimpleNamespace(activation="sigmoid")

    def __init__(self, path: str) -> None:
        self._path = path
        self.images = np.load(f"{path}/images.npy")

    @property
    def network(self) -> Any:
        """The network of xpnet."""
        import xpnet

        return xpnet.load(f"{self._path}/network.safetensors")

    @property
    def parameters(self) -> list[tuple[Array, Array]]:
        """Weights and biases, layer by layer."""
        with np.load(f"{self._path}/network.npz") as arrays:
            return [(arrays[f"W{i}"], arrays[f"b{i}"]) for i in range(1, len(arrays) // 2 + 1)]

    @property
    def onnx(self) -> bytes:
        """The network from raw bytes to labels as ONNX."""
        return self._read("network.onnx")

    @property
    def classifier(self) -> bytes:
        """The pickle of scikit-learn's classifier."""
        return self._read("classifier.pickle")

    def _read(self, name: str) -> bytes:
        with open(f"{self._path}/{name}", "rb") as stream:  # noqa: PTH123 (pathlib takes time)
            return stream.read()
