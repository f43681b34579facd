"""Errors about the content of files: one line with the file, line, column and remedy."""

import os
import re
from collections.abc import Callable, Iterable

__all__ = ["DataError", "DataWarning", "FileError", "WeightsError", "as_line", "nearest_hint"]
__all__ += ["printable", "quoted"]

# A printed message has at most 400 characters, including the name of the command before it.
_MESSAGE_LIMIT = 390
_PATH_LIMIT = 120
_FOUND_LIMIT = 120
_QUOTED_LIMIT = 60
_ELLIPSIS = "..."


class FileError(ValueError):
    """An error in a file: ``FILE:LINE:COLUMN: what, found X, expected Y, hint``.

    Parts that are None are omitted. Line and column are counted from 1; a column is a field of a
    table. The message is one line of at most 400 characters: long paths and values are shortened,
    control characters are escaped. Other strings from the file must be passed through `quoted`.
    """

    def __init__(
        self,
        what: str,
        *,
        file: str | os.PathLike[str] | None = None,
        line: int | None = None,
        column: int | None = None,
        found: object = None,
        expected: object = None,
        hint: str | None = None,
    ) -> None:
        self.file = None if file is None else os.fspath(file)
        self.line = line
        self.column = column
        super().__init__(self._message(what, found, expected, hint))

    def _message(self, what: str, found: object, expected: object, hint: str | None) -> str:
        place = "" if self.file is None else _shorten_middle(printable(self.file), _PATH_LIMIT)
        for number in (self.line, self.column):
            place += "" if number is None else f":{number}"
        place += ": " if place else ""
        parts = [what]
        if found is not None:
            parts.append(f"found {_shorten_end(str(found), _FOUND_LIMIT)}")
        if expected is not None:
            parts.append(f"expected {expected}")
        if hint is not None:
            parts.append(hint)
        return _shorten_end(f"{place}{printable(', '.join(parts))}", _MESSAGE_LIMIT)


class DataError(FileError):
    """Invalid images or labels, of a file or in memory.

    It is a ValueError. The message is one line with the file, the position and a remedy.

    Attributes
    ----------
    file : str or None
        The file that was read; None for arrays.
    line, column : int or None
        Position in the file, counted from 1.
    """


class DataWarning(UserWarning):
    """An assumption about a file, and the option that overrides it; or labels that are lost."""


class WeightsError(FileError):
    """Invalid content of a file of weights.

    It is a ValueError. Message and attributes are those of `DataError`.
    """


def quoted(text: str) -> str:
    """Return a string from a file in quotes, shortened and with control characters escaped.

    Bytes that are not UTF-8 may be lone surrogates, from the error handler ``surrogateescape``.
    """
    # Shortened first: escaping a field of a gigabyte would take several gigabytes.
    head = printable(_shorten_end(text, _QUOTED_LIMIT))
    return f"'{_shorten_end(head, _QUOTED_LIMIT)}'"


def nearest_hint(word: str, known: Iterable[str], *, key: Callable[[str], str] = str.lower) -> str:
    """Return "; did you mean relu?" or "" for a mistyped word; results of `key` are compared."""
    from difflib import get_close_matches

    names = {key(name): name for name in known}
    nearest = get_close_matches(key(word), names, 1)
    return f"; did you mean {names[nearest[0]]}?" if nearest else ""


def printable(text: str) -> str:
    """Return a string with all control characters escaped, safe to print on a terminal."""
    return text if text.isprintable() else "".join(map(_escape, text))


def as_line(text: str, limit: int) -> str:
    """Return a string as one printable line of at most `limit` characters, with its end kept.

    Control characters are escaped. Words of more than 120 characters, such as long paths, are
    shortened, so that the words after them are kept.
    """
    long_word = re.compile(rf"\S{{{_PATH_LIMIT + 1},}}")
    line = long_word.sub(lambda word: _shorten_middle(word[0], _PATH_LIMIT), printable(text))
    return _shorten_middle(line, limit)


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def _shorten_end(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - len(_ELLIPSIS)] + _ELLIPSIS


def _shorten_middle(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = (limit - len(_ELLIPSIS)) // 2
    return text[:half] + _ELLIPSIS + text[-half:]
