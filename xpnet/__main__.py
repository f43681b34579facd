"""Entry point of ``python -m xpnet`` and of the command ``xpnet``."""

import os
import sys
from contextlib import suppress

try:
    from xpnet.cli.exit_codes import INTERNAL
    from xpnet.cli.signals import Signals
except KeyboardInterrupt:  # raised by Python's handler, which `Signals` replaces
    sys.exit(130)

__all__ = ["main"]


def main() -> int:
    """Run the command line of this process; return the exit code."""
    signals = Signals()
    try:
        signals.install()
        from xpnet.cli.main import main as run
        from xpnet.cli.streams import flush_streams

        code = run(signals=signals)
        if signals.received is None:  # otherwise, the output may wait for its reader
            flush_streams()
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 (see below)
        if isinstance(error, KeyboardInterrupt) or signals.received is not None:
            # Just before or just after the command. An import may turn it into another error.
            code = signals.exit_code
            with suppress(OSError):
                os.write(2, f"xpnet: {signals.message}\n".encode())
        else:  # from an incomplete installation
            sys.excepthook(*sys.exc_info())
            code = INTERNAL
    signals.ignore()
    if signals.received is not None:
        # After an interrupt in generated code, such as that of `dataclass`, Python would end
        # the process by the signal. Everything is cleaned up.
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
