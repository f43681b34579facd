"""Times of many calls, and of one contestant's process."""

from collections.abc import Callable
from typing import Any

from peers.processes import HeldProcess, PeerError

from card.machine import n_cores, n_processors

__all__ = ["Seat", "mean_seconds"]

_MOST_CALLS = 10_000


def mean_seconds(
    measure: Callable[[Callable[[], None]], float], call: Callable[[], object], turn: float
) -> float:
    """Return the mean time of calls, in seconds, that take about so long together.

    Parameters
    ----------
    measure : callable
        Returns how long the device takes for an action.
    call : callable
    turn : float
        Seconds.
    """

    def several(n_calls: int) -> float:
        def calls() -> None:
            for _ in range(n_calls):
                call()

        return measure(calls) / n_calls

    one = several(1)
    n_calls = min(round(turn / max(one, 1e-9)), _MOST_CALLS)
    return several(n_calls) if n_calls > 1 else one


class Seat(HeldProcess):
    """A contestant in a process of its own, which may use all processors and one device.

    Only one of them is asked at a time, so that the device is never shared. Who does not answer
    within `limit` seconds is given up.

    Parameters
    ----------
    name : str
    make : callable
        Makes the contestant.
    word : str
        The device, for `make`.
    """

    limit = 60.0

    def __init__(self, name: str, make: Callable[..., Any], word: str) -> None:
        threads = n_processors()
        super().__init__(name, make, (word,), threads=threads, library_threads=n_cores())

    def ask(self, method: str, *arguments: Any) -> Any:
        """Return what a method of the contestant returns.

        Raises
        ------
        PeerError
            If it raises, takes too long, or its process ends.
        """
        try:
            self._connection.send((method, arguments))
            if not self._connection.poll(self.limit):
                self._process.kill()
                msg = f"{self.name}: no answer within {self.limit:.0f} s"
                raise PeerError(msg)
            kind, answer = self._connection.recv()
        except (EOFError, OSError) as error:
            msg = f"{self.name}: its process ended"
            raise PeerError(msg) from error
        if kind == "error":
            msg = f"{self.name}: {answer}"
            raise PeerError(msg)
        return answer
