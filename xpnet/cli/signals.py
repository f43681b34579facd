"""Handling of SIGINT and SIGTERM in the process of a command.

A process imports this module first, so this imports only modules that load at once.
"""

import atexit
import os
import signal
import sys
import time

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, Final

NAMES: "Final[dict[int, str]]" = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_DEFAULTS: "Final" = (signal.SIG_DFL, signal.default_int_handler)
# timeout(1) sends each signal twice: to its child, and to the process group of the child.
_SECONDS_OF_ONE_SIGNAL: "Final" = 1.0
_SECONDS_UNTIL_AGAIN: "Final" = 0.01


class Terminated(KeyboardInterrupt):
    """Raised after SIGTERM, so that a command cleans up as after an interrupt."""


def signal_of(interrupt: KeyboardInterrupt) -> int:
    """Return the signal that raised an exception."""
    return signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT


class Signals:
    """Handlers of SIGINT and SIGTERM for the three phases of a process.

    Before a command begins, a signal ends the process at once. While the command runs, the main
    thread raises `KeyboardInterrupt` or `Terminated`. After the command, the process ends with its
    exit code. Only the main thread can call `install`, without which no signal is handled. The
    first signal while the command was running is `received`.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._last = float("-inf")
        self._is_running = False
        self._exit_code: int | None = None

    def install(self) -> None:
        """Replace Python's default handlers; leave ignored signals ignored."""
        for number in NAMES:
            if signal.getsignal(number) in _DEFAULTS:
                signal.signal(number, self._handle)
                # Python removes its handlers at exit, before all work is done.
                atexit.register(signal.signal, number, signal.SIG_IGN)
        if hasattr(signal, "setitimer"):
            sys.unraisablehook = self._handle_unraisable

    def begin(self) -> None:
        """Start the second phase, in which signals raise exceptions."""
        self._is_running = True

    def end(self, exit_code: int) -> None:
        """Start the third phase, in which signals end the process with this exit code."""
        self._exit_code = exit_code
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    def _handle(self, number: int, _: object) -> None:
        if self._exit_code is not None:
            os._exit(self._exit_code)
        if not self._is_running:
            try:
                os.write(2, f"xpnet: {NAMES[number]}\n".encode())
            finally:
                os._exit(128 + number)
        now = time.monotonic()
        if now - self._last >= _SECONDS_OF_ONE_SIGNAL:
            self._last = now
            self.received = self.received or number
            self._raise()

    def _raise(self, *_: object) -> None:
        if self._exit_code is None:
            raise Terminated if self.received == signal.SIGTERM else KeyboardInterrupt

    def _handle_unraisable(self, unraisable: "Any") -> None:
        """Raise again, soon, an interrupt of code that cannot raise it, such as ``__del__``."""
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            signal.signal(signal.SIGALRM, self._raise)
            signal.setitimer(signal.ITIMER_REAL, _SECONDS_UNTIL_AGAIN)
        else:
            sys.__unraisablehook__(unraisable)
