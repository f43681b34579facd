"""Atomic writing of files."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["atomic_write", "check_target"]


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, force: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that gets its name only when it is complete.

    The bytes are written to a temporary file in the same folder, which is renamed at the end of
    the ``with`` block, and removed if the block raises. Symbolic links are followed and kept.
    `force` replaces a file, and keeps its permissions; otherwise FileExistsError is raised if the
    file exists at the start or at the end.
    """
    check_target(path, force=force)
    target = Path(os.path.realpath(path))
    temporary = target.parent / f".xpnet-{os.urandom(8).hex()}.tmp"
    try:
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


def check_target(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Raise the errors of `atomic_write`, except for a full disk, before long work."""
    target, folder = Path(path), Path(os.path.realpath(path)).parent
    if target.exists() and not target.is_file():
        number, text = errno.EINVAL, "must be a file; it is a folder, device or pipe"
    elif not folder.is_dir():
        number, text = errno.ENOENT, "cannot be written: no such folder"
    elif target.is_file() and not force:
        number, text = errno.EEXIST, "already exists (--force or force=True replaces it)"
    elif not os.access(folder, os.W_OK):
        number, text = errno.EACCES, os.strerror(errno.EACCES)
    else:
        return
    raise OSError(number, text, str(target))
