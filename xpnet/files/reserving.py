"""Reservation of paths for one process, by lock files."""

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from xpnet.files.locking import HAS_LOCKS, is_removed, temporary_prefix, try_lock

__all__ = ["exclusive"]

_MAX_DIGITS = 20
_held: dict[Path, "_LockFile"] = {}


@contextmanager
def exclusive(path: str | os.PathLike[str]) -> Iterator[None]:
    """Reserve a path for one thread of one process, whether or not the file exists.

    Raise BlockingIOError if another process or thread has reserved the path, FileExistsError if
    a link, pipe or device has the name of the lock file, and another OSError if that cannot be
    opened.

    The lock is held on a temporary file in the same folder, which is removed at the end. A killed
    process leaves the file behind, but not the lock. A thread may reserve a path several times.
    Child processes inherit no lock. Devices and pipes are not locked. On Windows, and on file
    systems without locks, nothing is locked.
    """
    path = Path(os.path.realpath(path))
    lock = _LockFile(path)
    is_mine = path in _held and _held[path].thread == lock.thread
    if is_mine or not HAS_LOCKS or (path.exists() and not path.is_file()):
        yield
        return
    try:
        try:
            lock.acquire()
            yield
        finally:
            lock.release()
    finally:
        lock.release()  # An interrupt may have cut the first call short.


class _LockFile:
    """The lock file of a path, owned by the thread that creates this object."""

    def __init__(self, path: Path) -> None:
        self.thread = threading.get_ident()
        self._path = path
        self._name = path.with_name(f"{temporary_prefix(path)}lock.tmp")
        self.file: IO[bytes] | None = None

    def acquire(self) -> None:
        while True:
            self.file = file = self._open()
            if try_lock(file) is False:
                owner = file.read(_MAX_DIGITS).decode(errors="replace")
                process = f"process {owner}" if owner.isdecimal() else "another process"
                msg = f"in use by {process}: wait until it ends, or choose another file"
                raise BlockingIOError(errno.EWOULDBLOCK, msg, str(self._path))
            if not is_removed(file):
                break
            file.close()  # The previous owner removed it after it was opened here.
        _held[self._path] = self
        with suppress(OSError):
            file.truncate(0)
            file.write(str(os.getpid()).encode())

    def _open(self) -> IO[bytes]:
        # O_NONBLOCK: opening a pipe may wait for its other end.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        if not self._name.is_symlink():
            # Unbuffered: on a full disk, closing the file must not fail on buffered bytes.
            self.file = file = os.fdopen(os.open(self._name, flags, 0o666), "r+b", buffering=0)
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_nlink < 2:
                return file
            file.close()
        raise FileExistsError(errno.EEXIST, "is not a lock file: remove it", str(self._name))

    def release(self) -> None:
        """Remove the file and release the lock, if held. A second call has no effect."""
        if _held.get(self._path) is self:
            del _held[self._path]
        file = self.file
        if file is None or file.closed:
            return
        if try_lock(file) is not False and not is_removed(file):
            with suppress(OSError):
                self._name.unlink()
        file.close()


def _forget_locks() -> None:
    """Close the lock files in a child process, so that only the parent holds the locks."""
    for lock in _held.values():
        if lock.file is not None:
            lock.file.close()
    _held.clear()


if HAS_LOCKS:  # Windows has neither locks nor fork
    os.register_at_fork(after_in_child=_forget_locks)
