"""Write a file whole or not at all."""

import errno
import os
import re
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["atomic_write", "check_target"]


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, force: bool = False) -> "Iterator[BinaryIO]":
    """Open a file for writing that appears under its name only when it is complete.

    The bytes go to a temporary file in the same folder, which takes the target's place when
    the ``with`` block ends, and is removed when the block raises. Devices and pipes
    (``/dev/stdout``, ``/dev/null``) are written to as they are.

    Parameters
    ----------
    path : str or os.PathLike
        The file to write. A symbolic link is followed, so that the link stays.
    force : bool, default False
        Whether an existing file may be replaced; its permissions are kept.

    Yields
    ------
    BinaryIO
        The open temporary file.

    Raises
    ------
    FileExistsError
        If the file exists and `force` is false, also if it came to exist in the meantime.
    IsADirectoryError
        If the path is a directory.
    OSError
        If the folder is missing or not permitted, or the disk is full.
    """
    if (special := _open_special(os.fspath(path))) is not None:
        with special:
            yield special
        return
    check_target(path, force=force)
    target = Path(os.path.realpath(path))
    # The target's own name is not part of this one: it may already be as long as names may be.
    temporary = target.with_name(f".xpnet-{os.urandom(8).hex()}.tmp")
    try:
        with _create(temporary, target) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _publish(temporary, target, force=force)
    except OSError as error:
        if error.filename is None:  # a full disk does not say which file it has no place for
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # a folder that cannot be written to has said so before
            temporary.unlink()


def _open_special(path: str) -> BinaryIO | None:
    if (descriptor := _descriptor_of(path)) is not None:
        # Opening such a name afresh would start at the front of a file that the shell appends
        # to, and fails for a socket.
        return os.fdopen(os.dup(descriptor), "wb")
    try:
        mode = Path(path).stat().st_mode
    except OSError:  # it does not exist yet, or the temporary file will meet the same error
        return None
    return None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else Path(path).open("wb")


def _descriptor_of(path: str) -> int | None:
    named = {"/dev/stdout": 1, "/dev/stderr": 2}
    numbered = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", path)
    return int(numbered[1]) if numbered else named.get(path)


def check_target(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Raise, before long work, what `atomic_write` would raise after it.

    Raises
    ------
    FileExistsError
        If the file exists and `force` is false.
    IsADirectoryError
        If the path is a directory.
    FileNotFoundError
        If its folder is missing.
    PermissionError
        If nothing may be written into its folder.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not target.parent.is_dir():
        text = "cannot be written: there is no such folder"
        raise FileNotFoundError(errno.ENOENT, text, str(target))
    if not force and target.is_file():
        raise _exists(target)
    if (target.is_file() or not target.exists()) and not os.access(target.parent, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))


def _exists(target: Path) -> FileExistsError:
    text = "exists already (--force or force=True replaces it)"
    return FileExistsError(errno.EEXIST, text, str(target))


def _create(temporary: Path, target: Path) -> BinaryIO:
    try:
        return temporary.open("xb")
    except OSError as error:
        # The user knows the target's name, not the temporary one.
        raise OSError(error.errno, error.strerror, str(target)) from None


def _publish(temporary: Path, target: Path, *, force: bool) -> None:
    if force:
        with suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
        return
    try:
        os.link(temporary, target)  # takes the name only if it is free
    except FileExistsError:
        raise _exists(target) from None
    except OSError:  # hard links are not on every file system
        _claim(temporary, target)


def _claim(temporary: Path, target: Path) -> None:
    """Take a free name by an empty file first, which is exclusive everywhere."""
    try:
        target.open("xb").close()
    except FileExistsError:
        raise _exists(target) from None
    try:
        temporary.replace(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
