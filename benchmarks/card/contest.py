"""Who takes part, and the processes of those who can."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from peers.processes import PeerError

from card.of_jax import JAX, OfJax
from card.of_torch import TORCH, OfTorch
from card.of_xpnet import XPNET, OfXpnet
from card.running import Run
from card.turns import Seat

__all__ = ["CONTESTANTS", "FAILED", "seats", "try_to"]

# Seconds that an answer may take, however little time is left: some compile.
_LEAST_PATIENCE = 60.0
# In place of an answer.
FAILED = object()
CONTESTANTS: dict[str, tuple[str, Any]] = {
    XPNET: ("xpnet", OfXpnet),
    TORCH: ("torch", OfTorch),
    JAX: ("jax", OfJax),
}


@contextmanager
def seats(run: Run, names: Sequence[str]) -> Iterator[dict[str, Seat]]:
    """Run a process for each contestant; those that are not installed are noted."""
    started: dict[str, Seat] = {}
    try:
        for name in names:
            package, make = CONTESTANTS[name]
            if find_spec(package) is None:
                run.document.skip(name, f"{package} is not installed")
                continue
            started[name] = Seat(name, make, run.rig.word)
        yield started
    finally:
        for seat in started.values():
            seat.close()


def try_to(run: Run, what: str, seat: Seat, method: str, *arguments: Any) -> Any:
    """Return a contestant's answer; `FAILED`, and a note, where it cannot give one."""
    seat.limit = max(run.budget.left, _LEAST_PATIENCE)
    try:
        return seat.ask(method, *arguments)
    except PeerError as error:
        run.document.skip(what, str(error))
        return FAILED
