"""The command line: ``python -m xpnet``, and the command ``xpnet``."""

import sys
from collections.abc import Sequence

from xpnet.cli.main import main as run
from xpnet.cli.streams import fill_descriptors, flush_streams

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of this process; return its exit code."""
    if argv is not None:
        return run(argv)
    fill_descriptors()
    try:
        return run()
    finally:
        flush_streams()


if __name__ == "__main__":
    sys.exit(main())
