"""Opening, gzip, atomic writing and locking of files; errors with file, line and column."""

from xpnet.files.errors import DataError, DataWarning, FileError, WeightsError, quoted
from xpnet.files.writing import atomic_write

__all__ = ["DataError", "DataWarning", "FileError", "WeightsError", "atomic_write", "quoted"]
