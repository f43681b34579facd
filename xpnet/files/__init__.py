"""Opening, gzip, atomic writing and locking of files; errors with file, line and column."""

from xpnet.files.errors import DataError, DataWarning, FileError, WeightsError, quoted
from xpnet.files.opening import Source, open_folder_source, open_source, take
from xpnet.files.writing import atomic_write

__all__ = [
    "DataError",
    "DataWarning",
    "FileError",
    "Source",
    "WeightsError",
    "atomic_write",
    "open_folder_source",
    "open_source",
    "quoted",
    "take",
]
