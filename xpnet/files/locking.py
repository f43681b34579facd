"""Advisory file locks, which the system releases when a process dies."""

import os
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

__all__ = ["HAS_LOCKS", "is_removed", "temporary_prefix", "try_lock"]


def try_lock(file: IO[Any]) -> bool | None:
    """Lock an open file until it is closed, without waiting; a second call has no effect.

    Return True if the file is now locked, False if another process holds the lock, and None if
    the system (Windows) or the file system does not support locks.
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
    """Return the prefix of a target's temporary files: a hash, since its name may be too long."""
    import hashlib  # The import takes 2 ms, and most commands write no file.

    return f".xpnet-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}-"
