"""Errors about the content of files: one line with the file, the line, the column and a remedy."""

import os
from collections.abc import Callable, Iterable

__all__ = ["DataError", "DataWarning", "FileError", "WeightsError", "nearest_hint", "printable"]
__all__ += ["quoted"]

_Path = str | os.PathLike[str] | None


class FileError(ValueError):
    """An error in a file: ``FILE:LINE:COLUMN: what``, with control characters escaped.

    Strings from the file, which may be long, must be passed through `quoted`.
    """

    def __init__(
        self, what: str, *, file: _Path = None, line: int | None = None, column: int | None = None
    ) -> None:
        self.file = None if file is None else os.fspath(file)
        self.line, self.column = line, column
        place = ":".join(str(x) for x in (self.file, line, column) if x is not None)
        super().__init__(printable(f"{place}: {what}" if place else what))


class DataError(FileError):
    """Invalid images or labels, of a file or in memory; it is a ValueError.

    Attributes
    ----------
    file : str or None
        The file that was read; None for arrays.
    line, column : int or None
        Position in the file, counted from 1; a column is a field of a table.
    """


class DataWarning(UserWarning):
    """An assumption about a file, and the option that overrides it; or labels that are lost."""


class WeightsError(FileError):
    """Invalid content of a file of weights, a ValueError with the attributes of `DataError`."""


def quoted(text: str) -> str:
    """Return at most 60 characters of a string from a file, in quotes and escaped."""
    return f"'{printable(text if len(text) <= 60 else f'{text[:57]}...')}'"


_SIMILAR = 0.7  # below it, "whiten" is near to "hidden"


def nearest_hint(word: str, known: Iterable[str], *, key: Callable[[str], str] = str.lower) -> str:
    """Return "; did you mean relu?" or "" for a mistyped word; results of `key` are compared."""
    from difflib import get_close_matches

    names, word = {key(name): name for name in known}, key(word)
    begun = [name for name in names if word and name.startswith(word)]
    found = begun or get_close_matches(word, names, 1, _SIMILAR)
    return "".join(f"; did you mean {names[x]}?" for x in found[:1])


def printable(text: str) -> str:
    """Return a string with all control characters escaped, safe to print on a terminal."""
    # Bytes that are not UTF-8 are lone surrogates, from the error handler surrogateescape.
    return "".join(x if x.isprintable() else ascii(x)[1:-1].replace("\\udc", "\\x") for x in text)
