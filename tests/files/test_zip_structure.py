"""Zip archives: those of any writer are accepted, contradictory ones are rejected."""

import io
import shutil
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xpnet.files.zip_structure import check_structure

ARRAYS = {"a": np.arange(5.0), "b": np.zeros((2, 3), np.float32)}


class Pipe(io.BytesIO):
    """A stream that cannot seek, for which zipfile writes other records."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def check(content: bytes) -> list[str]:
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream) as archive:
        check_structure(archive, stream)
        return archive.namelist()


@pytest.mark.parametrize("limit", [zipfile.ZIP_FILECOUNT_LIMIT, 1], ids=["usual", "zip64 end"])
@pytest.mark.parametrize("stream", [io.BytesIO, Pipe])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_of_numpy(
    monkeypatch: pytest.MonkeyPatch, save: Any, stream: type[io.BytesIO], limit: int
) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", limit)
    content = stream()
    save(content, **ARRAYS)
    assert check(content.getvalue()) == ["a.npy", "b.npy"]


def test_archives_of_zipfile(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(__file__, "a.npy")
        archive.mkdir("folder")
        info = zipfile.ZipInfo("größe.npy", (2001, 2, 3, 4, 5, 6))
        info.extra = struct.pack("<2H8x", 0x4246, 8)  # as other writers use to align members
        info.comment = b"a comment"
        archive.writestr(info, b"")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("later.npy", b"content")
        archive.comment = b"of the archive"
    assert check(path.read_bytes()) == ["a.npy", "folder/", "größe.npy", "later.npy"]


@pytest.mark.skipif(shutil.which("zip") is None, reason="the program zip is missing")
@pytest.mark.parametrize(
    "command",
    ["zip a.zip a b", "zip -0 a.zip a b", "zip -X -9 a.zip a b", "zip -fz a.zip a b",
     "zip - a b | cat >a.zip", "zip -0 - a b | cat >a.zip", "zip a.zip a c b; zip -d a.zip c"],
)  # fmt: skip
def test_archives_of_zip(tmp_path: Path, command: str) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"content" * 100)
    subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    assert check((tmp_path / "a.zip").read_bytes()) == ["a", "b"]


CONTENT = b"content"
CRC, SIZE = zlib.crc32(CONTENT), len(CONTENT)
# Two members of one name each: "a" at 0, "b" at 38, the directory at 76, its end at 170.
FIRST, SECOND, DIRECTORY, END = 0, 38, 76, 170
LOCAL, ENTRY = 31 + SIZE, 47


def stored() -> bytearray:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in "ab":
            archive.writestr(name, CONTENT)
    return bytearray(content.getvalue())


def moved(content: bytearray, place: int, more: bytes) -> bytearray:
    """Return an archive with inserted bytes, and records adapted to them."""
    content = content[:place] + more + content[place:]
    n, directory = len(more), DIRECTORY + len(more)
    for i, start in enumerate((FIRST, SECOND)):
        offset = start + n * (place <= start)
        struct.pack_into("<L", content, directory + i * ENTRY + 42, offset)
    struct.pack_into("<L", content, END + n + 16, directory)
    return content


@pytest.mark.parametrize("layout", ["<3L", "<4s3L", "<L2Q", "<4sL2Q"])
@pytest.mark.parametrize("zeros", [True, False])
def test_forms_of_a_data_descriptor(layout: str, zeros: bool) -> None:  # noqa: FBT001 (a case)
    numbers = (CRC, SIZE, SIZE)
    signature = [b"PK\7\x08"] if "s" in layout else []
    content = moved(stored(), SECOND, struct.pack(layout, *signature, *numbers))
    directory = len(content) - 22 - 2 * ENTRY
    content[6] = content[directory + 8] = 8
    if zeros:
        content[14:26] = bytes(12)
    assert check(bytes(content)) == ["a", "b"]
    content[SECOND + len(signature) * 4] ^= 1
    with pytest.raises(zipfile.BadZipFile, match="bytes after 'a' that belong to no member"):
        check(bytes(content))


def write(place: int, layout: str, number: Any) -> Callable[[bytearray], bytearray]:
    def go(content: bytearray) -> bytearray:
        struct.pack_into(layout, content, place, number)
        return content

    return go


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x + b"\0", "other data after the archive"),
        (write(END + 20, "<H", 1), "a truncated end record"),
        (lambda x: b"more" + x, "other data before the archive"),
        (lambda x: moved(x, FIRST, b"more"), "members whose offsets differ from the directory"),
        (lambda x: moved(x, SECOND, b"more"), "bytes after 'a' that belong to no member"),
        (lambda x: moved(x, DIRECTORY, b"more"), "bytes after 'b' that belong to no member"),
        (lambda x: moved(x, SECOND, bytes(12)), "bytes after 'a' that belong to no member"),
        (lambda x: x[:END] + b"more" + x[END:], "Bad magic number for central directory"),
        (write(END + 4, "<H", 1), "one part of a split archive"),
        (write(END + 6, "<H", 1), "one part of a split archive"),
        (write(END + 8, "<H", 3), "one part of a split archive"),
        (write(END + 8, "<L", 0x10001), "2 members, but 1 in the end record"),
        (write(END + 16, "<L", DIRECTORY - 1), "directory whose offset differs from the end"),
        (write(DIRECTORY + 32, "<H", ENTRY), "1 members, but 2 in the end record"),
        (write(DIRECTORY + 30, "<H", ENTRY + 4), "Corrupt extra field|1 members"),
        (write(DIRECTORY + ENTRY + 42, "<L", 0), "bytes after 'a' that belong to no member"),
        (write(DIRECTORY + 42, "<L", 1), "members whose offsets differ from the directory"),
        (write(DIRECTORY + ENTRY + 42, "<L", 77), "members whose offsets differ from the dir"),
        (write(FIRST, "<L", 0), "local header of 'a' that differs from the directory"),
        (write(FIRST + 6, "<H", 8), "local header of 'a' that differs from the directory"),
        (write(SECOND + 8, "<H", 8), "local header of 'b' that differs from the directory"),
        (write(SECOND + 14, "<L", 0), "local header of 'b' that differs from the directory"),
        (write(SECOND + 18, "<L", 0), "local header of 'b' that differs from the directory"),
        (write(SECOND + 22, "<L", SIZE + 1), "local header of 'b' that differs from the direct"),
        (write(SECOND + 22, "<L", 2**32 - 1), "local header without its zip64 field"),
        (write(SECOND + 30, "<c", b"c"), "local header of 'b' that differs from the directory"),
        (write(SECOND + 26, "<H", 2), "local header of 'b' that differs from the directory"),
        (write(SECOND + 28, "<H", 1), "bytes after 'b' that belong to no member"),
        (write(DIRECTORY + 8, "<H", 8), "local header of 'a' that differs from the directory"),
        (write(DIRECTORY + 16, "<L", 0), "local header of 'a' that differs from the directory"),
        (write(DIRECTORY + 24, "<L", 0), "local header of 'a' that differs from the directory"),
        (write(DIRECTORY + ENTRY + 32, "<H", 9), "whose length differs from its entries"),
        (write(DIRECTORY + 46, "<c", b"c"), "local header of 'c' that differs from the directory"),
    ],
    ids=map(str, range(32)),
)  # fmt: skip
def test_contradictions(change: Callable[[bytearray], bytearray], message: str) -> None:
    assert check(bytes(stored())) == ["a", "b"]
    with pytest.raises(zipfile.BadZipFile, match=message):
        check(bytes(change(stored())))


def large() -> bytearray:
    content = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch, zipfile.ZipFile(content, "w") as archive:
        patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
        for name in "ab":
            archive.writestr(name, CONTENT)
        archive.close()
    return bytearray(content.getvalue())


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (16, "one part of a split archive"),
        (24, "one part of a split archive"),
        # Python 3.13 and later detect this themselves.
        (
            48,
            "a directory whose offset differs from the end record|Corrupt zip64 end of central",
        ),
        (56, "Bad magic number for central directory"),
    ],
)
def test_contradictions_in_a_zip64_end_record(place: int, message: str) -> None:
    content = large()
    start = content.index(b"PK\6\6")
    content[start + place] ^= 1
    with pytest.raises(zipfile.BadZipFile, match=message):
        check(bytes(content))
