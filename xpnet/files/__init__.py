"""What every file needs: opening, gzip, whole-or-nothing writing, errors that say where."""

from xpnet.files.errors import DataError, FileError, WeightsError, quoted
from xpnet.files.opening import Source, open_source, take
from xpnet.files.writing import atomic_write

__all__ = [
    "DataError",
    "FileError",
    "Source",
    "WeightsError",
    "atomic_write",
    "open_source",
    "quoted",
    "take",
]
