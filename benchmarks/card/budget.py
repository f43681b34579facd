"""The seconds that may be spent, and what is kept of them for later."""

import time
from collections.abc import Callable, Iterator

__all__ = ["Budget"]


class Budget:
    """Seconds for all sections together, of which each may take what the later ones leave.

    Parameters
    ----------
    seconds : float
    clock : callable, optional
        Tells the time.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._end = self._limit = self._start + seconds

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def left(self) -> float:
        """Seconds that the section may still take."""
        return max(self._limit - self._clock(), 0.0)

    def begin(self, least: float, kept: float) -> bool:
        """Begin a section; return whether there is time for it.

        Parameters
        ----------
        least : float
            Seconds without which the section is of no use.
        kept : float
            Seconds for the sections after it, which it leaves if it can.
        """
        now = self._clock()
        self._limit = min(self._end, max(now + least, self._end - kept))
        return self._end - now >= least

    def rounds(self, n_rounds: int, least: int = 1) -> Iterator[int]:
        """Count rounds, until there is no time for one more that takes as long as the longest."""
        longest = 0.0
        for i in range(n_rounds):
            if i >= least and self.left <= longest:
                return
            start = self._clock()
            yield i
            longest = max(longest, self._clock() - start)
