"""Opening, gzip and atomic writing of files; errors with file, line and column."""

from xpnet.files.errors import DataError, DataWarning, quoted

__all__ = ["DataError", "DataWarning", "quoted"]
