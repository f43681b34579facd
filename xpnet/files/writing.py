"""Atomic writing of files."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from xpnet.files.locking import HAS_LOCKS, is_removed, temporary_prefix, try_lock

__all__ = ["atomic_write", "check_target"]

_DESCRIPTORS = {"/dev/stdout": 1, "/dev/stderr": 2}


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, force: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that gets its name only when it is complete.

    The bytes are written to a temporary file in the same folder, which is renamed at the end of
    the ``with`` block, and removed if the block raises. Devices and pipes (``/dev/stdout``,
    ``/dev/null``) are written directly. Temporary files of killed writers of the same target are
    removed first (not on Windows). Symbolic links are followed and kept. `force` replaces an
    existing file, and keeps its permissions.

    Raise FileExistsError if the file exists at the start or at the end and `force` is false,
    IsADirectoryError if the path is a directory, and another OSError if the folder is missing or
    not writable, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    temporary = _Temporary(target)
    try:
        if (special := _open_special(os.fspath(path))) is not None:
            with special:
                yield special
            return
        check_target(path, force=force)
        _remove_stale(target)
        try:
            temporary_path, stream = temporary.open()
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            if not HAS_LOCKS:  # Windows cannot rename open files
                stream.close()
            _publish(temporary_path, target, force=force)
        finally:
            temporary.remove()
    except OSError as error:
        # Name the target: a full disk's error names no file, and others the temporary one.
        if error.errno and str(error.filename) in {"None", str(temporary.path)}:
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        temporary.remove()  # An interrupt may have cut the first call short.


def _open_special(path: str) -> BinaryIO | None:
    """Return the open stream of a device, pipe or file descriptor; None for other paths."""
    numbered = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", path)
    descriptor = int(numbered[1]) if numbered else _DESCRIPTORS.get(path)
    if descriptor is not None:
        # Opening the name again would overwrite a file to which the shell appends, and fail for a
        # socket.
        return os.fdopen(os.dup(descriptor), "wb")
    try:
        mode = Path(path).stat().st_mode
    except OSError:  # it does not exist, or the temporary file raises the same error
        return None
    return None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else Path(path).open("wb")


def check_target(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Raise the errors of `atomic_write`, except for a full disk, before long work."""
    target, folder = Path(path), Path(os.path.realpath(path)).parent
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not folder.is_dir():
        where = f" {folder}, to which it links" if target.is_symlink() else ""
        text = f"cannot be written: no such folder{where}"
        raise FileNotFoundError(errno.ENOENT, text, str(target))
    if not force and target.is_file():
        raise _exists(target)
    if (target.is_file() or not target.exists()) and not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))


def _exists(target: Path) -> FileExistsError:
    text = "already exists (--force or force=True replaces it)"
    return FileExistsError(errno.EEXIST, text, str(target))


def _remove_stale(target: Path) -> None:
    """Remove the temporary files of killed writers of this target."""
    for path in target.parent.glob(f"{temporary_prefix(target)}*"):
        with suppress(OSError), path.open("r+b") as file:
            if try_lock(file) and not is_removed(file):
                path.unlink()


class _Temporary:
    """A temporary file in the folder of its target, locked while it is open."""

    def __init__(self, target: Path) -> None:
        self.path: Path | None = None
        self._target = target
        self._stream: BinaryIO | None = None

    def open(self) -> tuple[Path, BinaryIO]:
        """Create the file; return its name and the stream."""
        while True:
            name = f"{temporary_prefix(self._target)}{os.urandom(8).hex()}.tmp"
            self.path = path = self._target.with_name(name)
            self._stream = stream = path.open("xb")
            is_locked = try_lock(stream)
            # Another writer may have removed the file as stale before it was locked.
            if is_locked is None or (is_locked and not is_removed(stream)):
                return path, stream
            self.remove()

    def remove(self) -> None:
        """Close and remove the file. A second call has no effect."""
        with suppress(OSError):  # the error being handled matters more
            if self._stream is not None:
                self._stream.close()
        with suppress(OSError):
            if self.path is not None:
                self.path.unlink()


def _publish(temporary: Path, target: Path, *, force: bool) -> None:
    """Rename a temporary file to its target."""
    if force:
        with suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
    else:
        try:
            os.link(temporary, target)  # fails if the target exists
        except FileExistsError:
            raise _exists(target) from None
        except OSError:  # some file systems have no hard links
            if target.exists():
                raise _exists(target) from None
        else:
            return  # the first name is removed at the end
    temporary.replace(target)
