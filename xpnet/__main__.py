"""Entry point of ``python -m xpnet`` and of the command ``xpnet``."""

import os
import sys

TYPE_CHECKING = False

try:
    from xpnet.cli.signals import Signals, signal_of
except KeyboardInterrupt:  # raised by Python's handler, which `Signals` replaces
    sys.exit(130)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

# As in sysexits.h, since Python's own code 1 would mean out of bound.
_FAULT_OF_XPNET = 70


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run a command line, by default that of this process and its signals; return the exit code."""
    signals = Signals()
    try:
        if argv is not None:
            return _run(argv, signals)
        signals.install()
        code = _run_process(signals)
        signals.end(code)
        if signals.received is not None:
            # After an interrupt in generated code, such as that of `dataclass`, Python would end
            # the process by the signal. Everything is cleaned up and flushed.
            os._exit(code)
    except KeyboardInterrupt as interrupt:  # just before or just after the command
        code = 128 + signal_of(interrupt)
        signals.end(code)
    except Exception:  # noqa: BLE001 (from an incomplete installation)
        sys.excepthook(*sys.exc_info())
        code = _FAULT_OF_XPNET
        signals.end(code)
    return code


def _run_process(signals: Signals) -> int:
    from xpnet.cli.streams import fill_descriptors, flush_streams

    fill_descriptors()
    try:
        code = _run(None, signals)
    finally:
        flush_streams(discards_output=signals.received is not None)
    return code


def _run(argv: "Sequence[str] | None", signals: Signals) -> int:
    from xpnet.cli.main import main as run

    return run(argv, signals=signals)


if __name__ == "__main__":
    sys.exit(main())
