"""Data sets known by name: downloaded from mirrors, verified and kept in a cache."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from xpnet.files.optional import import_optional

__all__ = ["DATA_SETS", "FILES", "DataSet", "FetchError", "fetch", "fetch_files"]

# Takes the options desc and total of tqdm; returns a bar, or None, as a context.
Progress: TypeAlias = Callable[..., AbstractContextManager[Any]]

_TIMEOUT = 30.0  # seconds without a byte
FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@dataclass(frozen=True)
class DataSet:
    """A data set on mirrors, which are tried in this order, as the four `FILES`."""

    mirrors: tuple[str, ...]
    hashes: tuple[str, ...]  # of the compressed files, as pooch writes them
    classes: tuple[str, ...] | None = None


_CLASSES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
DATA_SETS = {
    "mnist": DataSet(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        (
            "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion-mnist": DataSet(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        (
            "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "md5:25c81989df183df01b3e8a0aad5dffbe",
            "md5:bef4ecab320f06d8554ea6380940ec79",
            "md5:bb300cfdad3c16e7a12a480ee83cd310",
        ),
        tuple(_CLASSES.split(",")),
    ),
}
_pooch = partial(import_optional, "pooch", "data sets by name need pooch")


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
    data_set = DATA_SETS[name]
    missing = {
        file: known
        for file, known in zip(FILES, data_set.hashes, strict=True)
        if force or not _is_whole(folder / file, known if verify else None)
    }
    if missing and offline:
        what = "is damaged in" if (folder / next(iter(missing))).is_file() else "is not in"
        msg = f"{name} {what} the cache, {folder}: run xpnet fetch {name}"
        raise FetchError(msg)
    hosts = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, known in missing.items():
            with TemporaryDirectory(dir=folder, prefix=".xpnet-") as here:
                part = Path(here) / file
                hosts.append(_from_mirrors(data_set.mirrors, part, known, progress))
                part.replace(folder / file)
    except FetchError as error:
        msg = f"{error}; files from elsewhere belong in {folder}"
        raise FetchError(msg) from error
    except OSError as error:
        what = f"{folder}: cannot be written: {error.strerror or error}"
        msg = f"{what}; the variable XPNET_CACHE can name another folder"
        raise FetchError(msg) from error
    return folder, list(dict.fromkeys(hosts))


def _is_whole(path: Path, known: str | None) -> bool:
    """Return whether a file exists and, if it is given, has the known hash."""
    if known is None or not path.is_file():
        return path.is_file()
    kind, _, checksum = known.partition(":")
    return bool(_pooch().file_hash(str(path), alg=kind) == checksum)


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
