"""Atomic writing of files."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["atomic_write", "check_target", "is_stream"]

_DESCRIPTOR = re.compile(r"/dev/std(?:out|err)|/(?:dev|proc/self)/fd/\d+")


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, force: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that gets its name only when it is complete.

    The bytes are written to a temporary file in the same folder, which is renamed at the end of
    the ``with`` block, and removed if the block raises. Devices and pipes are written directly.
    Symbolic links are followed and kept. `force` replaces a file, and keeps its permissions;
    otherwise FileExistsError is raised if the file exists at the start or at the end.
    """
    target = Path(os.path.realpath(path))
    temporary = target.parent / f".xpnet-{os.urandom(8).hex()}.tmp"
    try:
        if (special := _open_special(os.fspath(path))) is not None:
            with special:
                yield special
            return
        check_target(path, force=force)
        with temporary.open("xb") as stream:
            with suppress(FileNotFoundError):  # before there is anything to read
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        check_target(path, force=force)
        temporary.replace(target)
    except BaseException as error:
        with suppress(OSError):  # the first error matters more
            temporary.unlink()
        # A full disk's error names no file, and others the temporary one.
        names = {"None", str(temporary)}
        if isinstance(error, OSError) and error.errno and str(error.filename) in names:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _open_special(path: str) -> BinaryIO | None:
    """Return the open stream of a device, pipe or file descriptor; None for other paths."""
    name = {"/dev/stdout": "/dev/fd/1", "/dev/stderr": "/dev/fd/2"}.get(path, path)
    if numbered := re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", name):
        # Opening the name again would overwrite a file to which the shell appends.
        return os.fdopen(os.dup(int(numbered[1])), "wb")
    return Path(path).open("wb") if is_stream(path) else None


def is_stream(path: str) -> bool:
    """Return whether `atomic_write` writes directly: a device, pipe or file descriptor."""
    target = Path(path)
    is_special = target.exists() and not target.is_file() and not target.is_dir()
    return is_special or _DESCRIPTOR.fullmatch(path) is not None


def check_target(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Raise the errors of `atomic_write`, except for a full disk, before long work."""
    target, folder = Path(path), Path(os.path.realpath(path)).parent
    if target.is_dir():
        number, text = errno.EISDIR, os.strerror(errno.EISDIR)
    elif not folder.is_dir():
        number, text = errno.ENOENT, "cannot be written: no such folder"
    elif target.is_file() and not force:
        number, text = errno.EEXIST, "already exists (--force or force=True replaces it)"
    elif not os.access(folder, os.W_OK) and (target.is_file() or not target.exists()):
        number, text = errno.EACCES, os.strerror(errno.EACCES)
    else:
        return
    raise OSError(number, text, str(target))
