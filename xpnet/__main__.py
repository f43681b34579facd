"""Entry point of ``python -m xpnet`` and of the command ``xpnet``."""

import os
import signal
import sys

__all__ = ["main"]

_SIGNALLED = {130, 143}


def main() -> int:
    """Run the command line of this process; return the exit code."""
    code = 130
    try:
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _terminate)
        from xpnet.cli.main import main as run
        from xpnet.cli.streams import flush_streams, open_streams

        open_streams()
        code = run()
        if code not in _SIGNALLED:  # otherwise the output may wait for its reader
            flush_streams()
        for number in (signal.SIGINT, signal.SIGTERM):  # the code is decided
            signal.signal(number, signal.SIG_IGN)
    except KeyboardInterrupt:  # just before or just after the command
        pass
    if code in _SIGNALLED:
        os._exit(code)  # a thread of a library may still work
    return code


def _terminate(number: int, _: object) -> None:
    """End the process as an error does, so that temporary files are removed."""
    signal.signal(number, signal.SIG_IGN)  # timeout(1) asks twice
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
