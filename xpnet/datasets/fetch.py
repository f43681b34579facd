"""Data sets from the internet, verified and kept in a cache."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from xpnet.datasets.catalog import DATA_SETS, FILES
from xpnet.files.locking import exclusive

__all__ = ["FetchError", "fetch", "fetch_files"]

# Takes the options desc and total of tqdm; returns a bar, or None, as a context.
Progress: TypeAlias = Callable[..., AbstractContextManager[Any]]

_TIMEOUT = 30.0  # seconds without a byte


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
    `xpnet.read` does not verify files again. MNIST is licensed under CC BY-SA 3.0, Fashion-MNIST
    under MIT.

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
    missing = [file for file in FILES if force or not (folder / file).is_file()]
    known = dict(zip(FILES, DATA_SETS[name].hashes, strict=True))
    if verify:
        missing += [x for x in FILES if x not in missing and not _has_hash(folder / x, known[x])]
    if missing and offline:
        what = "is damaged in" if (folder / missing[0]).is_file() else "is not in"
        msg = f"{name} {what} the cache, {folder}: run xpnet fetch {name}"
        raise FetchError(msg)
    hosts = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in missing:
            with exclusive(folder / file), TemporaryDirectory(dir=folder, prefix=".xpnet-") as here:
                part = Path(here) / file
                hosts.append(_from_mirrors(DATA_SETS[name].mirrors, part, known[file], progress))
                part.replace(folder / file)
    except FetchError as error:
        msg = f"{error}; files from elsewhere belong in {folder}"
        raise FetchError(msg) from error
    except OSError as error:
        what = f"{folder}: cannot be written: {error.strerror or error}"
        msg = f"{what}; the variable XPNET_CACHE can name another folder"
        raise FetchError(msg) from error
    return folder, list(dict.fromkeys(hosts))


def _from_mirrors(mirrors: Sequence[str], path: Path, known: str, progress: Progress) -> str:
    """Download a file from the first mirror that has it with the known hash; return the host."""
    pooch = _pooch()
    from requests import RequestException

    pooch.get_logger().setLevel("ERROR")  # it prints each download
    # The file as it is: a server must not compress it on the way.
    options = {"headers": {"Accept-Encoding": "identity"}, "timeout": _TIMEOUT}
    reasons = []
    for mirror in mirrors:
        host = urlsplit(mirror).hostname or mirror
        try:
            with progress(desc=path.name, total=None) as bar:
                downloader = pooch.HTTPDownloader(progressbar=bar or False, **options)
                pooch.retrieve(mirror + path.name, known, path.name, path.parent, None, downloader)
        except RequestException as error:
            reason = f"connection failed ({type(error).__name__})"  # their own messages are long
            if error.response is not None:
                reason = f"{error.response.status_code} {error.response.reason}"
            reasons.append(f"{host}: {reason}")
        except ValueError:
            reasons.append(f"{host}: wrong {known.partition(':')[0]} checksum")
        else:
            return host
    msg = f"{path.name} cannot be fetched: {'; '.join(reasons)}"
    raise FetchError(msg)


def _has_hash(path: Path, known: str) -> bool:
    kind, _, checksum = known.partition(":")
    return bool(_pooch().file_hash(str(path), alg=kind) == checksum)


def _pooch() -> Any:
    """Import pooch; raise ModuleNotFoundError, with the remedy, if it is missing."""
    try:
        import pooch
    except ModuleNotFoundError as error:
        msg = "data sets by name need pooch: pip install pooch"
        raise ModuleNotFoundError(msg, name=error.name) from error
    return pooch
