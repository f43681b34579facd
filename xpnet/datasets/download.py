"""Download of a file over HTTP, continued after an interruption."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["FetchError", "Progress", "download"]

# Takes the options desc, total and initial of tqdm; returns a bar, or None, as a context.
Progress: TypeAlias = Callable[..., AbstractContextManager[Any]]

_CHUNK_BYTES = 1 << 16
# A server must not fill the disk: no file of a data set has half as many bytes.
_MOST_BYTES = 1 << 26
_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416
# By the names of errors of requests and urllib3.
_REASONS = {
    "ProxyError": "no connection to the proxy",
    "SSLError": "no secure connection",
    "ConnectTimeout": "no connection in time",
    "Timeout": "no answer in time",
    "TimeoutError": "no answer in time",
    "ConnectionError": "no connection",
    "ProtocolError": "connection lost",
}


class FetchError(OSError):
    """A data set is not in the cache and cannot be fetched."""


def download(url: str, part: Path, *, progress: Progress, timeout: float) -> int:
    """Download a file to `part`, or the rest if that is its beginning; return the bytes received.

    The file is not verified. FetchError is raised if the server fails, or sends nothing for
    `timeout` seconds; `part` keeps what was received.
    """
    from requests import RequestException, get
    from urllib3.exceptions import HTTPError

    start = end = part.stat().st_size if part.exists() else 0
    # The file as it is: a server must not unpack it on the way.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    total = None
    try:
        with get(url, headers=headers, stream=True, timeout=timeout) as response:
            if start and response.status_code == _UNSATISFIABLE:  # `part` is complete, or wrong
                return 0
            if response.status_code not in {_OK, _PARTIAL}:
                msg = f"{response.status_code} {response.reason}"
                raise FetchError(msg)
            start = end = start if response.status_code == _PARTIAL else 0
            length = response.headers.get("Content-Length", "")
            total = start + int(length) if length.isdecimal() else None
            bar = progress(desc=url.rpartition("/")[2], total=total, initial=start)
            with part.open("ab" if start else "wb") as file, bar as shown:
                for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
                    end += file.write(chunk)
                    if shown is not None:
                        shown.update(len(chunk))
                    if end > _MOST_BYTES:
                        msg = f"wrong size, more than {_MOST_BYTES:,} bytes"
                        raise FetchError(msg)
    except (RequestException, HTTPError) as error:
        names = [kind.__name__ for kind in type(error).__mro__]
        reason = next((_REASONS[name] for name in names if name in _REASONS), names[0])
        raise FetchError(reason + _progress_text(end, total)) from error
    if total is not None and end < total:  # urllib3 before 2.0 does not notice
        msg = "connection lost" + _progress_text(end, total)
        raise FetchError(msg)
    return end - start


def _progress_text(end: int, total: int | None) -> str:
    return "" if total is None else f" after {end:,} of {total:,} bytes"
