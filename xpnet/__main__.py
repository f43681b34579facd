"""The command line: ``python -m xpnet``, and the command ``xpnet``."""

import sys

from xpnet.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
