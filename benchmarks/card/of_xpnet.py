"""xpnet as a contestant, in its own process."""

import importlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

import xpnet
from card.cells import N_CHECKED, Cell, Stream, network_of
from card.crews import fill
from card.rigs import open_rig
from card.turns import mean_seconds

__all__ = ["NOT_FUSED", "XPNET", "OfXpnet"]

XPNET, NOT_FUSED = "xpnet", "xpnet, not fused"


class OfXpnet:
    """Rows on the device through a prepared network; rows on the host through `predict`.

    Parameters
    ----------
    word : str
        The device.
    """

    def __init__(self, word: str) -> None:
        self._rig = open_rig(word)

    def ways(self) -> dict[str, str]:
        """Return the ways to compute rows on the device; a reason for each that there is not."""
        return {
            XPNET: "",
            NOT_FUSED: "" if _without_fusion() else "arrays.gpu.fusion lacks it",
        }

    def begin(self, cell: Cell) -> None:
        """Put the rows of a cell on the device, in place of the one before."""
        self._calls: dict[str, Callable[[], Any]] = {}
        self._rows = None
        self._rig.release()
        self._device, self._cell = xpnet.Device(self._rig.word), cell
        self._rows = self._device.to_device(cell.rows)

    def prepare(self, way: str) -> NDArray[Any]:
        """Make ready to compute the cell in a way; return the labels of the first rows."""
        rows = self._rows
        with self._contexts(way):
            network = xpnet.prepare(network_of(self._cell.shape).to(self._device))
            for _ in range(3):
                logits = network(rows)
        self._calls[way] = lambda: network(rows)
        return self._device.to_numpy(logits)[:N_CHECKED].argmax(axis=1)

    def time(self, way: str, turn: float) -> float:
        """Return the mean seconds of calls, which take about so long together."""
        with self._contexts(way):
            return mean_seconds(self._rig.seconds, self._calls[way], turn)

    def _contexts(self, way: str) -> ExitStack:
        """Return the contexts in which the cell is computed."""
        with ExitStack() as stack:
            if self._cell.precision == "tf32":
                # Asked for by its name: it may be an xpnet that has only float32.
                stack.enter_context(importlib.import_module("xpnet").matmul_precision("tf32"))
            without_fusion = _without_fusion() if way == NOT_FUSED else None
            if without_fusion is not None:
                stack.enter_context(without_fusion())
            return stack.pop_all()

    def open(self, stream: Stream) -> list[str]:
        """Make rows on the host, and the network on the device; return the sources of rows."""
        case = stream.case
        self._network = case.network.to(self._rig.word)
        shape = (stream.n_rows, case.network.n_in)
        pinned = self._rig.pinned(shape[0] * shape[1]).reshape(shape)
        self._sources: dict[str, NDArray[Any]] = {
            "pinned": fill(pinned, case.images),
            "pageable": fill(np.empty(shape, np.uint8), case.images),
        }
        if stream.path is not None:
            in_file = (stream.n_in_file, shape[1])
            self._sources["file"] = np.memmap(stream.path, np.uint8, "r", shape=in_file)
        return list(self._sources)

    def label(self, source: str, labels: NDArray[Any], is_clear: NDArray[Any]) -> tuple[int, int]:
        """Return how many rows a source has, and how many of them get a wrong label."""
        found = xpnet.predict(self._network, self._sources[source])
        wrong = (found != np.resize(labels, len(found))) & np.resize(is_clear, len(found))
        return len(found), int(np.count_nonzero(wrong))

    def time_source(self, source: str) -> float:
        """Return the seconds from rows on the host to labels on the host."""
        start = time.perf_counter()
        xpnet.predict(self._network, self._sources[source])
        return time.perf_counter() - start


def _without_fusion() -> Callable[[], AbstractContextManager[Any]] | None:
    """Return the context in which biases and activations are kernels of their own, if any."""
    try:
        fusion = importlib.import_module("xpnet.arrays.gpu.fusion")
    except ModuleNotFoundError:
        return None
    return getattr(fusion, "without_fusion", None)
