"""Data sets known by name: downloaded from mirrors, verified and kept in a cache."""

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from xpnet.files.optional import import_optional

__all__ = ["DATA_SETS", "FILES", "DataSet", "FetchError", "fetch", "fetch_once"]

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
    hashes: tuple[str, ...]  # SHA-256 of the compressed files
    classes: tuple[str, ...] | None = None


_CLASSES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
DATA_SETS = {
    "mnist": DataSet(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion-mnist": DataSet(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        tuple(_CLASSES.split(",")),
    ),
}
_pooch = partial(import_optional, "pooch", "data sets by name need pooch")


class FetchError(OSError):
    """A data set is not in the cache and cannot be fetched."""


def fetch(name: str, /) -> Path:
    """Fetch a data set into the cache, unless it is there undamaged, and return its folder.

    On a terminal, a progress bar is shown.

    Parameters
    ----------
    name : {"mnist", "fashion-mnist"}
        The data set: 60,000 training and 10,000 test images, in four IDX files.

    Returns
    -------
    pathlib.Path
        A folder that `xpnet.read` takes. It is in the folder named by the environment variable
        ``XPNET_CACHE``, by default the user's cache folder of the platform.

    Raises
    ------
    OSError
        If no mirror delivers a file with the known SHA-256 checksum, or the cache cannot be
        written.
    ModuleNotFoundError
        If pooch is not installed.
    ValueError
        If `name` is unknown.

    Notes
    -----
    `xpnet.read` does not verify files in the cache again. MNIST is licensed under CC BY-SA 3.0,
    Fashion-MNIST under MIT.

    Examples
    --------
    >>> images, labels = xpnet.read(xpnet.fetch("mnist"), split="test")  # doctest: +SKIP
    """
    if name not in DATA_SETS:
        msg = f"`name` must be one of {', '.join(DATA_SETS)}; got {name!r}"
        raise ValueError(msg)
    data_set, folder = DATA_SETS[name], _cache() / name
    pooch = _pooch()
    pooch.get_logger().setLevel("ERROR")  # it prints each download
    registry = dict(zip(FILES, data_set.hashes, strict=True))
    mirrors = [pooch.create(folder, mirror, registry=registry) for mirror in data_set.mirrors]
    # The files as they are: a server must not compress them on the way.
    headers = {"Accept-Encoding": "identity"}
    is_shown = sys.stderr is not None and sys.stderr.isatty()
    downloader = pooch.HTTPDownloader(progressbar=is_shown, headers=headers)
    for file in FILES:
        _fetch_file(file, mirrors, downloader)
    return folder


def fetch_once(name: str) -> Path:
    """Return the folder of a data set; fetch it unless its files are there, which are trusted."""
    folder = _cache() / name
    return folder if all((folder / file).is_file() for file in FILES) else fetch(name)


def _cache() -> Path:
    """Return the folder in which the folders of all data sets are."""
    cache = os.environ.get("XPNET_CACHE") or _pooch().os_cache("xpnet")
    return Path(os.path.expanduser(cache))  # noqa: PTH111 -- no error for an unknown user


def _fetch_file(file: str, mirrors: list[Any], downloader: Any) -> None:
    """Fetch a file into the cache from the first mirror that delivers it undamaged."""
    from requests import RequestException

    reasons = []
    for mirror in mirrors:
        try:
            mirror.fetch(file, downloader=downloader)
        except RequestException as error:  # their own messages are long
            reason = getattr(error.response, "status_code", type(error).__name__)
        except ValueError:
            reason = "wrong checksum"
        else:
            return
        reasons.append(f"{urlsplit(mirror.base_url).hostname}: {reason}")
    where = f"files from elsewhere belong in {mirrors[0].abspath}, or where XPNET_CACHE says"
    msg = f"{file} cannot be fetched: {'; '.join(reasons)}; {where}"
    raise FetchError(msg)
