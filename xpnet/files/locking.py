"""Advisory file locks, which the system releases when a process dies."""

import errno
import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

try:
    import fcntl
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HAS_LOCKS", "exclusive", "is_removed", "temporary_prefix", "try_lock"]

_MOST_DIGITS = 20
_held: dict[Path, "_LockFile"] = {}


def try_lock(file: IO[Any]) -> bool | None:
    """Lock an open file until it is closed, without waiting.

    Parameters
    ----------
    file : file object
        A file of this process. Locking it again through the same file object changes nothing.

    Returns
    -------
    bool or None
        True if the file is locked now; False if another open file holds the lock; None if the
        system (Windows) or the file system has no locks.
    """
    if not HAS_LOCKS:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_removed(file: IO[Any]) -> bool:
    """Return whether an open file has been removed from its folder."""
    return os.fstat(file.fileno()).st_nlink == 0


def temporary_prefix(target: Path) -> str:
    """Return how the names of a target's temporary files begin.

    The target's own name is not part of it: that may already be as long as names may be.
    """
    import hashlib  # It takes 2 ms, and most commands write no file.

    return f".xpnet-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}-"


@contextmanager
def exclusive(path: str | os.PathLike[str]) -> "Iterator[None]":
    """Reserve a path for one thread of one process.

    The lock is held on a temporary file beside it, which is removed at the end. A process that is
    killed leaves that file, but no lock; the next holder of the path removes it. A thread may
    reserve a path several times; processes that are started meanwhile, forks too, inherit nothing.

    Parameters
    ----------
    path : str or os.PathLike
        A file, which need not exist. Devices and pipes are not locked.

    Raises
    ------
    BlockingIOError
        If another process or thread has reserved the path.
    OSError
        If the lock file cannot be created.

    Notes
    -----
    On Windows, and on a file system without locks, nothing is locked: two processes may use the
    path at the same time.
    """
    path = Path(os.path.realpath(path))
    lock = _LockFile(path)
    holder = _held.get(path)
    is_mine = holder is not None and holder.thread == lock.thread
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
    """The file on which the lock of a path is held.

    Attributes
    ----------
    thread : int
        The thread that holds it.
    """

    def __init__(self, path: Path) -> None:
        self.thread = threading.get_ident()
        self._path = path
        self._name = path.with_name(f"{temporary_prefix(path)}lock.tmp")
        self._file: IO[bytes] | None = None

    def acquire(self) -> None:
        """Lock the file; raise BlockingIOError if another process or thread has locked it."""
        while True:
            # Unbuffered: on a full disk, no bytes wait for the file to be closed.
            self._file = file = self._name.open("a+b", buffering=0)
            is_locked = try_lock(file)
            if is_locked is False:
                raise BlockingIOError(errno.EWOULDBLOCK, _used_by(file), str(self._path))
            # The last holder may have removed the file after it was opened here.
            if is_locked is None or not is_removed(file):
                break
            file.close()
        _held[self._path] = self
        with suppress(OSError):
            file.truncate(0)
            file.write(str(os.getpid()).encode())

    def release(self) -> None:
        """Remove the file and release the lock, if they are held. A second call does nothing."""
        if _held.get(self._path) is self:
            del _held[self._path]
        file = self._file
        if file is None or file.closed:
            return
        if try_lock(file) is not False and not is_removed(file):
            with suppress(OSError):
                self._name.unlink()
        file.close()

    def forget(self) -> None:
        """Close the file in a child process: the lock stays with the parent alone."""
        if self._file is not None:
            self._file.close()


def _used_by(file: IO[bytes]) -> str:
    file.seek(0)
    digits = file.read(_MOST_DIGITS).decode(errors="replace")
    process = f"process {digits}" if digits.isdecimal() else "another process"
    return f"in use by {process}: wait for its end, or choose another file"


def _forget_all() -> None:
    for lock in _held.values():
        lock.forget()
    _held.clear()


if HAS_LOCKS:  # where there are no locks, there is no fork
    os.register_at_fork(after_in_child=_forget_all)
