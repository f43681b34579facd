"""What every file needs: opening, gzip, whole-or-nothing writing, errors that say where."""

from xpnet.files.errors import DataError, DataWarning, FileError, WeightsError, quoted
from xpnet.files.opening import Source, open_source, take
from xpnet.files.writing import atomic_write

__all__ = [
    "DataError",
    "DataWarning",
    "FileError",
    "Source",
    "WeightsError",
    "atomic_write",
    "open_source",
    "quoted",
    "take",
]
