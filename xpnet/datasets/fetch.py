"""Data sets from the internet, verified and kept in a cache."""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from xpnet.datasets.catalog import DATA_SETS, FILES
from xpnet.files.locking import exclusive

__all__ = ["FetchError", "fetch", "fetch_files"]

# Takes the options desc, total and initial of tqdm; returns a bar, or None, as a context.
Progress: TypeAlias = Callable[..., AbstractContextManager[Any]]

_TIMEOUT = 30.0  # seconds without a byte
_CHUNK_BYTES = 1 << 13
_PARTIAL, _UNSATISFIABLE = 206, 416


class FetchError(OSError):
    """A data set is not in the cache and cannot be fetched."""


def fetch(name: str, /, *, offline: bool = False, force: bool = False) -> Path:
    """Fetch a data set into the cache, unless it is there undamaged, and return its folder.

    Parameters
    ----------
    name : {"mnist", "fashion-mnist"}
        The data set: 60,000 training and 10,000 test images, in four IDX files.
    offline : bool, default False
        If true, raise OSError if a file is missing or damaged in the cache.
    force : bool, default False
        If true, fetch all files anew.

    Returns
    -------
    pathlib.Path
        A folder that `xpnet.read` takes. It is in the folder named by the environment variable
        ``XPNET_CACHE``, by default the user's cache folder of the platform.

    Raises
    ------
    OSError
        If no mirror delivers a file with the known checksum, the cache cannot be written, or
        `offline` is true and a file is missing or damaged.
    ModuleNotFoundError
        If pooch is not installed.
    ValueError
        If `name` is unknown, or `offline` and `force` are both true.

    Notes
    -----
    The next call continues an interrupted download. `xpnet.read` does not verify files again.
    MNIST is licensed under CC BY-SA 3.0, Fashion-MNIST under MIT.

    Examples
    --------
    >>> images, labels = xpnet.read(xpnet.fetch("mnist"), split="test")  # doctest: +SKIP
    """
    return fetch_files(name, offline=offline, force=force)[0]


def fetch_files(
    name: str,
    *,
    offline: bool = False,
    force: bool = False,
    verify: bool = True,
    progress: Progress = lambda **_: nullcontext(),
) -> tuple[Path, list[str]]:
    """Fetch a data set as `fetch` does; return its folder, and the hosts of fetched files.

    `verify` is false to trust the files in the cache. `progress` makes the progress bar of a file.
    """
    if name not in DATA_SETS:
        msg = f"`name` must be one of {', '.join(DATA_SETS)}; got {name!r}"
        raise ValueError(msg)
    if offline and force:
        msg = "`offline` and `force` must not both be true"
        raise ValueError(msg)
    cache = os.environ.get("XPNET_CACHE") or _pooch().os_cache("xpnet")
    try:
        folder = Path(cache).expanduser() / name
    except RuntimeError as error:
        msg = f"{cache}: no such user; XPNET_CACHE must name a folder"
        raise FetchError(msg) from error
    hashes = dict(zip(FILES, DATA_SETS[name].hashes, strict=True))
    missing = [file for file in FILES if force or not (folder / file).is_file()]
    if verify:
        missing += [x for x in FILES if x not in missing and not _has_hash(folder / x, hashes[x])]
    if missing and offline:
        what = "is damaged in" if (folder / missing[0]).is_file() else "is not in"
        msg = f"{name} {what} the cache, {folder}: run xpnet fetch {name}"
        raise FetchError(msg)
    hosts = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in missing:
            target, part = folder / file, folder / f"{file}.part"
            urls = [mirror + file for mirror in DATA_SETS[name].mirrors]
            with exclusive(target):
                if force:
                    part.unlink(missing_ok=True)
                hosts.append(_from_mirrors(urls, part, hashes[file], progress))
                part.replace(target)
    except FetchError:
        raise
    except OSError as error:
        what = f"{folder}: cannot be written: {error.strerror or error}"
        msg = f"{what}; the variable XPNET_CACHE can name another folder"
        raise FetchError(msg) from error
    return folder, list(dict.fromkeys(hosts))


def _from_mirrors(urls: Sequence[str], part: Path, known: str, progress: Progress) -> str:
    """Download a file from the first URL that works, and return the host.

    Since all URLs have the same file, one continues what another began.
    """
    _pooch()  # requires requests
    from requests import RequestException

    reasons = []
    for url in urls:
        host = urlsplit(url).hostname or url
        try:
            while True:
                is_continued = _size(part) > 0
                _download(url, part, progress)
                if _has_hash(part, known):
                    return host
                part.unlink()
                if not is_continued:  # otherwise the beginning may be at fault
                    reasons.append(f"{host}: wrong {known.partition(':')[0]} checksum")
                    break
        except RequestException as error:
            reason = f"connection failed ({type(error).__name__})"  # their own messages are long
            if error.response is not None:
                reason = f"{error.response.status_code} {error.response.reason}"
            reasons.append(f"{host}: {reason}")
    hint = "; the next call continues" if _size(part) else ""
    msg = f"{part.stem} cannot be fetched: {'; '.join(reasons)}{hint}"
    msg += f"; files from elsewhere belong in {part.parent}"
    raise FetchError(msg)


def _download(url: str, part: Path, progress: Progress) -> None:
    """Download a file to `part`, or the rest if that is its beginning; do not verify it."""
    from requests import get

    start = _size(part)
    # The file as it is: a server must not compress it on the way.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if start and response.status_code == _UNSATISFIABLE:  # `part` is complete, or wrong
            return
        response.raise_for_status()
        start = start if response.status_code == _PARTIAL else 0
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        bar = progress(desc=part.stem, total=total, initial=start)
        with part.open("ab" if start else "wb") as file, bar as shown:
            for chunk in response.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                if shown is not None:
                    shown.update(len(chunk))


def _has_hash(path: Path, known: str) -> bool:
    kind, _, checksum = known.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest() == checksum


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _pooch() -> Any:
    """Import pooch; raise ModuleNotFoundError, with the remedy, if it is missing."""
    try:
        import pooch
    except ModuleNotFoundError as error:
        msg = "data sets by name need pooch: pip install pooch"
        raise ModuleNotFoundError(msg, name=error.name) from error
    return pooch
