"""The rivals by name: which package each needs, and where its code is."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from harness.processes import Worker
from harness.server import Server

OURS, EXACT = "xpnet", "xpnet, reproducible"


@dataclass(frozen=True)
class Entry:
    """A rival: ``file:name`` in `harness.rivals`, the modules that it needs, and its options."""

    path: str
    modules: str = "numpy"
    options: Mapping[str, Any] = field(default_factory=dict)
    is_host_only: bool = False

    def load(self) -> Any:
        """Return the class or function."""
        module, _, name = self.path.partition(":")
        return getattr(import_module(f"harness.rivals.{module}"), name)


# From rows to labels; xpnet comes first.
RIVALS: Mapping[str, Entry] = {
    OURS: Entry("xpnet:Xpnet"),
    EXACT: Entry("xpnet:Xpnet", options={"is_reproducible": True}),
    "the book's code": Entry("numpy:Book", is_host_only=True),
    "NumPy by hand": Entry("numpy:ByHand", is_host_only=True),
    "NumPy in place": Entry("numpy:InPlace", is_host_only=True),
    "scikit-learn": Entry("scikit_learn:ScikitLearn", "sklearn.neural_network", is_host_only=True),
    "torch": Entry("torch:Torch", "torch"),
    "ONNX Runtime": Entry("onnx:OnnxRuntime", "onnxruntime onnx"),
    "OpenVINO": Entry("onnx:OpenVino", "openvino onnx", is_host_only=True),
}
TRAININGS: Mapping[str, Entry] = {
    "xpnet": Entry("xpnet:Training"),
    "xpnet, steps alone": Entry("xpnet:Steps"),
    "NumPy by hand, in place": Entry("numpy:Training", is_host_only=True),
    "torch, fused Adam": Entry("torch:Training", "torch", {"fused": True}),
    "torch, Adam": Entry("torch:Training", "torch"),
    "scikit-learn": Entry("scikit_learn:Training", "sklearn", is_host_only=True),
    "JAX jit": Entry("jax:Training", "jax"),
}


def missing(entries: Mapping[str, Entry], device: str = "cpu") -> dict[str, str]:
    """Return the rivals that cannot run here, and why: modules that are missing, or no GPU."""
    found = {}
    for name, entry in entries.items():
        modules = entry.modules.split()
        lacking = [module for module in modules if find_spec(module.partition(".")[0]) is None]
        if lacking:
            found[name] = ", ".join(lacking)
        elif device == "gpu" and entry.is_host_only:
            found[name] = "has no GPU"
    return found


@contextmanager
def serving(names: Iterable[str], threads: int, device: str) -> Iterator[list[Worker]]:
    """Run a worker process for each rival; with several threads of a CPU, one more.

    There, a pool of threads computes chunks of rows, and the library itself uses one thread. Rivals
    that cut rows into chunks themselves have no such worker.
    """
    with ExitStack() as stack:
        workers = []
        for name in names:
            entry = RIVALS[name]
            is_tiled = entry.load().is_tiled
            may_share = device == "cpu" and threads > 1 and not is_tiled
            for n_threads, n_parallel in [(threads, 1)] + [(1, threads)] * may_share:
                given = (entry, device, n_threads, n_parallel)
                worker = Worker(name, Server, *given, threads=threads, library_threads=n_threads)
                worker.is_shared, worker.is_tiled = n_parallel > 1, is_tiled
                workers.append(stack.enter_context(worker))
        yield workers
