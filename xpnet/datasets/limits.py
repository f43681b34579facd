"""Limits on data held at once, in memory or in a temporary file.

Rows read one block after another have no limit.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from typing import IO, TYPE_CHECKING, cast

from xpnet.files import DataError

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions
    from xpnet.files.opening import Source
    from xpnet.files.taking import Readable

__all__ = ["check_data_size", "copy_to_temporary_file", "limited_chunks"]

# A compressed file that exceeds both the ratio and the size is a decompression bomb.
_MAX_RATIO, _SMALL_BYTES = 100, 1 << 24
_MAX_BYTES = 1 << 32
# A smaller temporary file stays in memory.
_SPOOL_BYTES = 1 << 24
_CHUNK_BYTES = 1 << 20


def check_data_size(
    what: str, n_bytes: int, source: "Source", options: "ReadOptions", *, is_partial: bool = False
) -> None:
    """Raise DataError if data is too large to hold at once. The message begins with `what`.

    The limit is `max_data_bytes`. By default it is 100 times the size of the file, at least
    16 MiB, and at most 4 GiB or the size of the file. If `is_partial` is true, `n_bytes` is the
    size read so far, and more may follow.
    """
    limit = options.max_data_bytes
    if limit is None:
        limit = _default_limit(source, is_partial=is_partial)
    if n_bytes > limit:
        msg = f"{what} too large to hold at once"
        raise DataError(
            msg,
            file=source.name,
            found=f"at least {n_bytes:,} bytes" if is_partial else f"{n_bytes:,} bytes",
            expected=f"at most {limit:,}",
            hint="--max-data-bytes (max_data_bytes=) raises the limit",
        )


def _default_limit(source: "Source", *, is_partial: bool) -> int:
    incoming = source.incoming
    if incoming.size is None and not is_partial:  # the size of a pipe is unknown before its end
        return _MAX_BYTES
    proportional = max(_MAX_RATIO * (incoming.size or incoming.n_read), _SMALL_BYTES)
    return max(min(proportional, _MAX_BYTES), source.size or 0)


def limited_chunks(
    what: str, stream: "Readable", source: "Source", options: "ReadOptions"
) -> Iterator[bytes]:
    """Yield the content of a stream; raise DataError when it exceeds the limit, as above."""
    n_bytes = 0
    for chunk in iter(partial(stream.read, _CHUNK_BYTES), b""):
        n_bytes += len(chunk)
        check_data_size(what, n_bytes, source, options, is_partial=True)
        yield chunk


def copy_to_temporary_file(what: str, source: "Source", options: "ReadOptions") -> IO[bytes]:
    """Copy a source that cannot seek to a temporary file, closed with it; see `limited_chunks`."""
    spool = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 -- closed with the source
    copy = cast("IO[bytes]", source.closing.enter_context(spool))
    for chunk in limited_chunks(what, source, source, options):
        try:
            copy.write(chunk)
            copy.flush()
        except OSError as error:  # a full disk is reported without its folder
            error.filename = error.filename or tempfile.tempdir
            raise
    return copy
