"""torch as a contestant, in its own process."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from card.cells import N_CHECKED, Cell, Stream, folded_parameters
from card.crews import fill
from card.turns import mean_seconds

__all__ = ["COMPILED", "TORCH", "OfTorch"]

TORCH = "torch"
# Ways of torch.compile, by their mode; the faster one counts.
COMPILED = {"torch.compile": "default", "torch.compile, CUDA graphs": "reduce-overhead"}


class OfTorch:
    """Rows on the device through modules, as they are and compiled; rows on the host plainly.

    Parameters
    ----------
    word : str
        ``"gpu"``; in a rehearsal ``"cpu"``, where nothing is compiled, since that takes long.
    """

    def __init__(self, word: str) -> None:
        self._is_rehearsal = word == "cpu"
        self._where = "cpu" if self._is_rehearsal else "cuda"

    def ways(self) -> dict[str, str]:
        """Return the ways to compute rows on the device; a reason for each that there is not."""
        import torch

        lack = "" if self._is_rehearsal or torch.cuda.is_available() else "this torch sees no GPU"
        return dict.fromkeys([TORCH, *COMPILED], lack)

    def begin(self, cell: Cell) -> None:
        """Put the rows of a cell on the device, in place of the one before."""
        import torch

        self._calls: dict[str, Callable[[], Any]] = {}
        self._rows = None
        if not self._is_rehearsal:
            torch.compiler.reset()
        self._free()
        self._set_precision(cell.precision)
        self._cell = cell
        self._rows = torch.from_numpy(cell.rows).to(self._where)

    def prepare(self, way: str) -> NDArray[Any]:
        """Make ready to compute the cell in a way; return the labels of the first rows."""
        import torch

        shape, rows = self._cell.shape, self._rows
        module = _module(shape, folded_parameters(shape)).to(self._where)

        def compute(x: Any) -> Any:
            return module(x.float())  # nothing is done to what is float32 already

        function = self._compiled(compute, COMPILED[way]) if way in COMPILED else compute
        with torch.no_grad():
            for _ in range(3):  # the second call records CUDA graphs, the third one replays them
                labels = function(rows)[:N_CHECKED].argmax(1).cpu().numpy()
        self._calls[way] = lambda: function(rows)
        return np.asarray(labels)

    def _compiled(self, compute: Callable[[Any], Any], mode: str) -> Callable[[Any], Any]:
        import torch

        if self._is_rehearsal:
            return compute
        compiled: Callable[[Any], Any] = torch.compile(compute, dynamic=False, mode=mode)
        return compiled

    def time(self, way: str, turn: float) -> float:
        """Return the mean seconds of calls, which take about so long together."""
        import torch

        with torch.no_grad():
            return mean_seconds(self._seconds, self._calls[way], turn)

    def _seconds(self, action: Callable[[], None]) -> float:
        """Return how long the device takes for an action."""
        import torch

        if self._is_rehearsal:
            start = time.perf_counter()
            action()
            return time.perf_counter() - start
        begun, done = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begun.record()
        action()
        done.record()
        done.synchronize()
        return 1e-3 * float(begun.elapsed_time(done))

    def _set_precision(self, precision: str) -> None:
        import torch

        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"

    def _free(self) -> None:
        import torch

        if not self._is_rehearsal:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()

    def open(self, stream: Stream) -> list[str]:
        """Make rows on the host, and the module on the device; return the sources of rows."""
        import torch

        lack = self.ways()[TORCH]
        if lack:
            raise LookupError(lack)
        self._set_precision("float32")
        layers = stream.case.network.layers
        parameters = [(layer.weight, layer.bias) for layer in layers]
        self._module = _module(stream.shape, parameters).to(self._where)
        shape = (stream.n_rows, layers[0].n_in)
        pinned = torch.empty(shape, dtype=torch.uint8, pin_memory=not self._is_rehearsal)
        block = stream.case.images
        self._sources = {
            "pinned": fill(pinned.numpy(), block),
            "pageable": fill(np.empty(shape, np.uint8), block),
        }
        return list(self._sources)

    def label(self, source: str, labels: NDArray[Any], is_clear: NDArray[Any]) -> tuple[int, int]:
        """Return how many rows are computed at once, and how many of them get a wrong label.

        There are as many as the device has room for.
        """
        import torch

        while True:
            rows = self._sources[source]
            try:
                found = self._plain(rows)
                break
            except torch.OutOfMemoryError:
                self._free()
                self._sources[source] = rows[: len(rows) // 2]
        wrong = (found != np.resize(labels, len(found))) & np.resize(is_clear, len(found))
        return len(found), int(np.count_nonzero(wrong))

    def time_source(self, source: str, chunk: int | None = None) -> float:
        """Return the seconds from rows on the host to labels there; so many rows at a time."""
        rows = self._sources[source]
        start = time.perf_counter()
        if chunk is None:
            self._plain(rows)
        else:
            np.concatenate([self._plain(rows[i : i + chunk]) for i in range(0, len(rows), chunk)])
        return time.perf_counter() - start

    def _plain(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return labels as anybody would write it."""
        import torch

        with torch.no_grad():
            images = torch.from_numpy(x).to(self._where)
            return np.asarray(self._module(images.float() / 255).argmax(1).cpu())


def _module(shape: Any, parameters: Any) -> Any:
    """Return a sequence of layers with these weights and biases."""
    import torch
    from torch import nn

    kinds = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
    modules: list[Any] = []
    for weight, bias in parameters:
        linear = nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T.copy()))
            linear.bias.copy_(torch.from_numpy(bias.copy()))
        modules += [linear, kinds[shape.activation]()]
    return nn.Sequential(*modules[:-1]).eval()
