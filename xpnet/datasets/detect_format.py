"""Tell a file's format by its first bytes, never by its name."""

from typing import TYPE_CHECKING

from xpnet.files import DataError

if TYPE_CHECKING:
    from xpnet.files import Source

__all__ = ["format_of"]

_KNOWN = "a CSV, IDX, npy or npz file, each plain or gzip"
_FOREIGN = {
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
    b"\x1f\x8b": "gzip in gzip: unpack it once",
    b"BZh": "bzip2: unpack it first",
    b"\xfd7zXZ": "xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "zstd: unpack it first",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89HDF": "HDF5: save its arrays as npz",
    b"PAR1": "Parquet: save it as CSV",
    b"\x80": "a pickle: save its arrays as npz",
    b"<": "a web page or XML: download the file itself",
}


def format_of(source: "Source") -> str:
    """Return ``"csv"``, ``"idx"``, ``"npy"`` or ``"npz"``.

    Parameters
    ----------
    source : Source
        The open file, of which nothing has been read.

    Returns
    -------
    str
        The name of the format.

    Raises
    ------
    DataError
        If the file is empty, or of a kind that is not read.
    """
    head = source.peek(8)[:8]
    if not head:
        msg = "file is empty"
        raise DataError(msg, file=source.name, expected=_KNOWN)
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(b"PK"):
        return "npz"
    for magic, hint in _FOREIGN.items():
        if head.startswith(magic):
            shown = head[: len(magic)].hex(" ")
            msg = "unknown kind of file"
            raise DataError(msg, file=source.name, found=shown, expected=_KNOWN, hint=hint)
    # Text has no such bytes; what is wrong with the others, the IDX reader says.
    return "idx" if min(head[:4]) < ord("\t") else "csv"
