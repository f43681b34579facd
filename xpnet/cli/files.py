"""Names of files on a command line: those that are read, and those that are written."""

import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, Self

from xpnet.files.writing import check_target


class InputFile(str):
    """A file, or a folder, that a command reads; an argparse type."""

    __slots__ = ()


class OutputFile(str):
    """A file that a command writes; an argparse type."""

    __slots__ = ()

    def check_name(self) -> None:
        """Raise ValueError if the suffix says another kind of file."""


class CsvFile(OutputFile):
    """A table of predictions; "-" is standard output."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:  # noqa: D102 (as the class above)
        return super().__new__(cls, "/dev/stdout" if text == "-" else text)

    def check_name(self) -> None:  # noqa: D102 (as the class above)
        if Path(self).suffix.lower() not in {"", ".csv"}:
            msg = f"-o must end in .csv; got {str(self)!r}: xpnet.predict in Python gives arrays"
            raise ValueError(msg)


class ModelFile(OutputFile):
    """A file of weights, in a format that is written."""

    __slots__ = ()

    def check_name(self) -> None:  # noqa: D102 (as the class above)
        from xpnet.formats.load_save import check_suffix

        check_suffix(self)


class PictureFile(OutputFile):
    """A picture, which needs matplotlib."""

    __slots__ = ()

    def check_name(self) -> None:  # noqa: D102 (as the class above)
        from xpnet.pictures.figures import check_picture

        check_picture(self)


def check_outputs(given: Iterable[Any], *, force: bool) -> None:
    """Raise, before any work, an error for an output that could not be written after it.

    Nothing that is read is replaced, not even with `force`: neither a file, nor one in a folder.
    """
    files = list(chain.from_iterable(x if isinstance(x, list) else [x] for x in given))
    for target in (x for x in files if isinstance(x, OutputFile)):
        target.check_name()
        if target == "/dev/stdout":  # no file, even if it is redirected to one
            continue
        check_target(target, force=force)
        for source in (x for x in files if isinstance(x, InputFile)):
            if Path(target).is_file() and _is_read(Path(target), source):
                msg = f"{target} would be replaced, but it is read as well: name another file"
                raise ValueError(msg)


def _is_read(target: Path, source: str) -> bool:
    """Return whether a file is the source, its file of labels, or a file in its folder."""
    from xpnet.datasets.locate import labels_beside

    with suppress(OSError, ValueError):
        if source == "-":
            return os.path.samestat(os.fstat(0), target.stat())
        if Path(source).is_dir():
            return target.resolve().is_relative_to(Path(source).resolve())
        read = [Path(source), labels_beside(Path(source))]
        return any(path is not None and path.samefile(target) for path in read)
    return False
