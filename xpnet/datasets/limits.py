"""Limits on data that is held at once, in memory or in a temporary file.

Rows that are streamed have no limit.
"""

import tempfile
from functools import partial
from typing import IO, TYPE_CHECKING, cast

from xpnet.files import DataError

if TYPE_CHECKING:
    from xpnet.datasets.read_options import Options
    from xpnet.files import Source
    from xpnet.files.opening import Readable

__all__ = ["check_held", "spooled"]

# A file that unpacks to more than this ratio, and beyond some size, is a decompression bomb.
_MOST_RATIO, _SMALL_BYTES = 100, 1 << 24
_MOST_BYTES = 1 << 32
# A temporary file up to this size stays in memory.
_SPOOL_BYTES = 1 << 24
_CHUNK_BYTES = 1 << 20


def check_held(
    what: str, n_bytes: int, source: "Source", options: "Options", *, is_part: bool = False
) -> None:
    """Raise if data takes too much memory to be held at once.

    Parameters
    ----------
    what : str
        The data, for the text of the error.
    n_bytes : int
        Size of the data.
    source : Source
        The file that it comes from.
    options : Options
        `max_data_bytes` is used. By default the limit is 100 times the size of the file, at
        least 16 MiB, and at most 4 GiB or the size of the file.
    is_part : bool, default False
        If true, `n_bytes` counts what was read so far, and more may follow.

    Raises
    ------
    DataError
        If the size is above the limit.
    """
    limit = options.max_data_bytes
    if limit is None:
        limit = _limit_of(source, is_part=is_part)
    if n_bytes > limit:
        msg = f"{what} too large to hold at once"
        raise DataError(
            msg,
            file=source.name,
            found=f"at least {n_bytes:,} bytes" if is_part else f"{n_bytes:,} bytes",
            expected=f"at most {limit:,}",
            hint="--max-data-bytes (max_data_bytes=) raises the limit",
        )


def _limit_of(source: "Source", *, is_part: bool) -> int:
    incoming = source.incoming
    if incoming.size is None and not is_part:  # the size of a pipe is known at its end only
        return _MOST_BYTES
    in_proportion = max(_MOST_RATIO * (incoming.size or incoming.n_read), _SMALL_BYTES)
    return max(min(in_proportion, _MOST_BYTES), source.size or 0)


def spooled(
    what: str, stream: "Readable", source: "Source", options: "Options", most: int | None = None
) -> IO[bytes]:
    """Copy a stream that cannot seek to a temporary file, which is closed with its source.

    Parameters
    ----------
    what : str
        The content, for the text of an error.
    stream : Readable
        The source, or an array in it.
    source : Source
        The file that it comes from.
    options : Options
        `max_data_bytes` is used.
    most : int, optional
        Number of bytes after which to stop.

    Returns
    -------
    binary stream
        The copy, positioned at its end.

    Raises
    ------
    DataError
        If the content exceeds the limit of `check_held`.
    """
    spool = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 -- closed with the source
    copy = cast("IO[bytes]", source.closing.enter_context(spool))
    n_bytes = 0
    for chunk in iter(partial(stream.read, _CHUNK_BYTES), b""):
        n_bytes += len(chunk)
        check_held(what, n_bytes, source, options, is_part=True)
        try:
            copy.write(chunk)
            copy.flush()
        except OSError as error:  # a full disk does not say where
            error.filename = error.filename or tempfile.tempdir
            raise
        if most is not None and n_bytes >= most:
            break
    return copy
