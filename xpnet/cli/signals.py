"""Handling of SIGINT and SIGTERM in the process of a command.

A process imports this module first, so this imports only modules that load at once.
"""

import signal
import time

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Final

_NAMES: "Final[dict[int, str]]" = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_DEFAULTS: "Final" = (signal.SIG_DFL, signal.default_int_handler)
# timeout(1) sends each signal twice: to its child, and to the process group of the child.
_SECONDS_OF_ONE_SIGNAL: "Final" = 1.0


class Signals:
    """Handlers of SIGINT and SIGTERM, which raise `KeyboardInterrupt` in the main thread.

    Only the main thread can call `install`, without which only Python's own handler of SIGINT is
    there. The first signal is `received`.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._last = float("-inf")

    @property
    def exit_code(self) -> int:
        """The exit code of a process after its first signal."""
        return 128 + (self.received or signal.SIGINT)

    @property
    def message(self) -> str:
        """The message of a process after its first signal."""
        return _NAMES[self.received or signal.SIGINT]

    def install(self) -> None:
        """Replace Python's default handlers; leave ignored signals ignored."""
        for number in _NAMES:
            if signal.getsignal(number) in _DEFAULTS:
                signal.signal(number, self._handle)

    @staticmethod
    def ignore() -> None:
        """Ignore the signals, so that a process that ends keeps its exit code."""
        for number in _NAMES:
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, _: object) -> None:
        now = time.monotonic()
        if now - self._last >= _SECONDS_OF_ONE_SIGNAL:
            self._last = now
            self.received = self.received or number
            raise KeyboardInterrupt(number)
