"""Data sets from the internet, verified and kept in a cache."""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from xpnet.datasets.catalog import DATA_SETS, FILES, DataSet
from xpnet.datasets.download import FetchError, Progress, download
from xpnet.files import DataError, open_source, take
from xpnet.files.locking import exclusive

__all__ = ["cache_folder", "fetch", "fetch_files", "is_cached"]

_TIMEOUT, _POLL_SECONDS = 30.0, 0.1
_MOST_UNPACKED_BYTES = 1 << 26
_SHOWN_DIGITS = 16


def fetch(name: str, /, *, offline: bool = False, force: bool = False) -> Path:
    """Fetch a data set into the cache, unless it is there, and return its folder.

    Parameters
    ----------
    name : {"mnist", "fashion-mnist"}
        The data set: 60,000 training and 10,000 test images, in four IDX files.
    offline, force : bool, default False
        Whether to use the cache only, or to fetch all files anew.

    Returns
    -------
    pathlib.Path
        A folder that `xpnet.read` takes. It is in the folder named by the environment variable
        ``XPNET_CACHE``, by default the user's cache folder of the platform.

    Raises
    ------
    OSError
        If no mirror delivers a file with the known checksum, the cache cannot be written, or
        `offline` is true and a file is missing.
    ModuleNotFoundError
        If pooch is not installed.
    ValueError
        If `name` is unknown.

    Notes
    -----
    The next call continues an interrupted download. MNIST is licensed under CC BY-SA 3.0,
    Fashion-MNIST under MIT.

    Examples
    --------
    >>> images, labels = xpnet.read(xpnet.fetch("mnist"), split="test")  # doctest: +SKIP
    """
    if name not in DATA_SETS:
        msg = f"`name` must be one of {', '.join(DATA_SETS)}; got {name!r}"
        raise ValueError(msg)
    fetch_files(DATA_SETS[name], cache_folder(name), offline=offline, force=force)
    return cache_folder(name)


def cache_folder(name: str) -> Path:
    """Return the folder of a data set in the cache, whether or not it exists."""
    cache = os.environ.get("XPNET_CACHE")
    return (Path(cache).expanduser() if cache else Path(_pooch().os_cache("xpnet"))) / name


def is_cached(name: str) -> bool:
    """Return whether all files of a data set are in the cache; they are not verified again."""
    return _is_complete(cache_folder(name))


def _is_complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


def fetch_files(
    data_set: DataSet,
    folder: Path,
    *,
    offline: bool = False,
    force: bool = False,
    progress: Progress = lambda **_: nullcontext(),
    timeout: float = _TIMEOUT,
) -> tuple[int, list[str]]:
    """Fetch the files of a data set that are missing from a folder, or have another checksum.

    Return the number of bytes received and the hosts. The options are those of `fetch`; `progress`
    makes the progress bar of a file, and a host fails if it sends nothing for `timeout` seconds.
    """
    n_bytes, hosts = 0, list[str]()
    if offline and _is_complete(folder):
        return n_bytes, hosts
    if offline:
        name = data_set.name
        msg = f"{name} is not in the cache, {folder}: run xpnet fetch {name}"
        raise FetchError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for i, name in enumerate(FILES):
            target, part = folder / name, folder / f"{name}.part"
            sums = data_set.hashes[i], *data_set.unpacked[i : i + 1]
            with _alone(target):
                if not force and target.is_file() and _mismatch(target, sums) is None:
                    continue
                if force:
                    part.unlink(missing_ok=True)
                urls = [mirror + name for mirror in data_set.mirrors]
                n, host = _from_mirrors(urls, part, sums, progress, timeout)
                part.replace(target)
            n_bytes, hosts = n_bytes + n, [*hosts, host]
    except FetchError as error:
        msg = f"{data_set.name}: {error}; files from elsewhere belong in {folder}"
        raise FetchError(msg) from error
    except OSError as error:
        what = f"{folder}: cannot be written: {error.strerror or error}"
        msg = f"{what}; the variable XPNET_CACHE can name another folder"
        raise FetchError(msg) from error
    return n_bytes, list(dict.fromkeys(hosts))


def _from_mirrors(
    urls: list[str], part: Path, sums: Sequence[str], progress: Progress, timeout: float
) -> tuple[int, str]:
    """Download a file from the first URL that works; return the bytes received and the host.

    Since all URLs have the same file, one continues what another began.
    """
    n_bytes, reasons = 0, []
    for url in urls:
        host, is_continued = urlsplit(url).hostname or url, True
        try:
            while is_continued:
                is_continued = part.exists()
                n_bytes += download(url, part, progress=progress, timeout=timeout)
                reason = _mismatch(part, sums)
                if reason is None:
                    return n_bytes, host
                part.unlink()  # if it was continued, the beginning may be at fault
        except FetchError as error:
            reason = str(error)
        reasons.append(f"{host}: {reason}")
    hint = "; the next call continues" if part.exists() else ""
    msg = f"{urls[0].rpartition('/')[2]} cannot be fetched: {'; '.join(reasons)}{hint}"
    raise FetchError(msg)


def _mismatch(path: Path, sums: Sequence[str]) -> str | None:
    """Return a reason unless a file has the first of its sums, or its content the second."""
    kind, _, known = sums[0].partition(":")
    found = _pooch().file_hash(str(path), alg=kind)
    if found == known or _unpacked_sum(path) in sums[1:]:
        return None
    shown, expected = found[:_SHOWN_DIGITS], known[:_SHOWN_DIGITS]
    return f"wrong file, {kind} {shown}..., expected {expected}..., removed"


def _unpacked_sum(path: Path) -> str | None:
    try:
        with open_source(path) as source:
            return hashlib.sha256(take(source, _MOST_UNPACKED_BYTES)).hexdigest()
    except DataError:  # damaged gzip
        return None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Reserve a path; wait while another process fetches it."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(exclusive(path))
                break
            except BlockingIOError:
                time.sleep(_POLL_SECONDS)
        yield


def _pooch() -> Any:
    """Import pooch; raise ModuleNotFoundError, with the remedy, if it is missing."""
    try:
        import pooch
    except ModuleNotFoundError as error:
        msg = "data sets by name need pooch: pip install pooch"
        raise ModuleNotFoundError(msg, name=error.name) from error
    return pooch
