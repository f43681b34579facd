"""npz archives: validation of the directory before the members, and reproducible bytes."""

import io
import shutil
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xpnet.files import DataError
from xpnet.files.errors import WeightsError
from xpnet.files.npz import npz_bytes, open_npz_members

ARRAYS = {"b": np.arange(5.0), "a/c": np.ones((2, 3), np.float32)}
GOOD = bytes(npz_bytes(ARRAYS))


def names_of(content: bytes, **options: Any) -> list[str]:
    with ExitStack() as closing:
        return list(open_npz_members(io.BytesIO(content), "a.npz", closing, **options))


def zipped(*names: str, compression: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name in names:
            archive.writestr(name, b"content")
    return content.getvalue()


@pytest.mark.parametrize("is_stream", [True, False])
def test_members(tmp_path: Path, is_stream: bool) -> None:  # noqa: FBT001 (a case)
    path = tmp_path / "a.npz"
    path.write_bytes(GOOD)
    with ExitStack() as closing:
        opened: Any = io.BytesIO(GOOD) if is_stream else path
        members = open_npz_members(opened, "a.npz", closing)
        assert list(members) == ["b", "a/c"]
        content = members["b"].read(1000)
    assert len(content) == members["b"].size == 128 + 40
    assert np.load(io.BytesIO(content)).tolist() == [0, 1, 2, 3, 4]


def test_a_member_above_a_limit() -> None:
    with ExitStack() as closing:
        archive = io.BytesIO(zipped("a.json"))
        member = open_npz_members(archive, "a.pt", closing, error=WeightsError, kind="torch")[
            "a.json"
        ]
        with pytest.raises(WeightsError, match=r"'a\.json' is too large, found 7 .*, .* at most 6"):
            member.read_all(6)
        assert member.read_all(7) == b"content"


def test_everything_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(GOOD)
    with ExitStack() as closing:
        member = open_npz_members(path, "a.npz", closing)["b"]
        member.read(1)
    assert member.archive.fp is None
    with pytest.raises(DataError, match=r"corrupt or truncated npz, found .*closed file"):
        member.read(1)


def test_numpy_reads_what_is_written() -> None:
    with np.load(io.BytesIO(GOOD)) as file:
        assert {name: file[name].tolist() for name in file} == {
            name: array.tolist() for name, array in ARRAYS.items()
        }


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_same_arrays_give_the_same_bytes(order: Any) -> None:
    again = {
        name: np.asfortranarray(array).astype(array.dtype.newbyteorder(order))
        for name, array in ARRAYS.items()
    }
    assert bytes(npz_bytes(again)) == GOOD


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "corrupt or truncated npz, found File is not a zip file"),
        (GOOD[:-1], "corrupt or truncated npz, found an end that is cut, or other data after"),
        (GOOD[:-30], "corrupt or truncated npz, found File is not a zip file, save or copy it"),
        (GOOD + b"\n", "found an end that is cut, or other data after it, save or copy it again"),
        (b"\n" + GOOD, "found other data before or among the members, save or copy it again"),
        (
            GOOD.replace(b"b.npyPK", b"c.npyPK"),
            "File name in directory 'c.npy' and header b'b.npy' differ",
        ),
        (zipped(), "npz without arrays"),
        (zipped("a.npy", "b.txt"), "npz member that is not an npy file, found 'b.txt'"),
        (zipped("a.npy", "b/"), "npz member that is not an npy file, found 'b/'"),
        (zipped("../a.npy"), "npz member with a path outside its folder, found '../a.npy'"),
        (zipped("a/../../b.npy"), "npz member with a path outside its folder"),
        (zipped("..\\a.npy"), "npz member with a path outside its folder"),
        (zipped("/a.npy"), "npz member with a path outside its folder, found '/a.npy'"),
        (zipped("a.npy", compression=zipfile.ZIP_LZMA), "npz member with an unsupported comp"),
        (zipped("a.npy", compression=zipfile.ZIP_BZIP2), "npz member with an unsupported comp"),
    ],
    ids=[
        "nothing", "cut", "no end", "behind", "before", "renamed", "empty", "text",
        "folder", "parent", "detour", "backslash", "absolute", "lzma", "bz2",
    ],
)  # fmt: skip
@pytest.mark.parametrize("error", [DataError, WeightsError])
def test_archives_that_are_refused(content: bytes, message: str, error: Any) -> None:
    with pytest.raises(error, match=r"^a\.npz: ") as caught:
        names_of(content, error=error)
    assert message in str(caught.value)


def test_an_archive_of_another_kind() -> None:
    assert names_of(zipped("x/a.pkl", "b"), kind="torch") == ["x/a.pkl", "b"]
    with pytest.raises(
        DataError, match=r"torch member with a path outside its folder, found '\.\./"
    ):
        names_of(zipped("../b"), kind="torch")
    with pytest.raises(DataError, match="corrupt or truncated torch, found"):
        names_of(b"PK", kind="torch")


@pytest.mark.parametrize("place", range(7))
def test_a_byte_of_a_member_that_is_wrong(place: int) -> None:
    content = bytearray(zipped("a.npy", "b.npy"))
    content[content.index(b"content") + place] ^= 1
    with ExitStack() as closing:
        member = open_npz_members(io.BytesIO(content), "a.npz", closing)["a"]
        with pytest.raises(DataError, match="corrupt or truncated npz, found Bad CRC-32"):
            member.read(100)


def copied(content: bytes, *, without: str = "", comment: bytes | None = None) -> bytes:
    """Return an archive as rewritten by another tool: without a member, with the comment."""
    again = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(again, "w") as new:
        for info in old.infolist():
            if info.filename != without:
                new.writestr(info, old.read(info))
        new.comment = old.comment if comment is None else comment
    return again.getvalue()


def test_how_many_members_there_are_is_written() -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        assert archive.comment == b"xpnet members: 2"
    assert names_of(copied(GOOD)) == ["b", "a/c"]
    assert names_of(copied(GOOD, comment=b"")) == ["b", "a/c"]


@pytest.mark.parametrize(
    ("content", "found", "expected"),
    [
        (copied(GOOD, without="b.npy"), "xpnet members: 2", "xpnet members: 1"),
        (copied(GOOD, without="a/c.npy"), "xpnet members: 2", "xpnet members: 1"),
        (copied(GOOD, comment=b"hello\xff\n"), r"hello\\xff\\n", "xpnet members: 2"),
    ],
    ids=["first", "last", "other"],
)
def test_another_comment_is_refused(content: bytes, found: str, expected: str) -> None:
    with pytest.raises(DataError, match=f"members, found '{found}', expected '{expected}' or none"):
        names_of(content)


def test_a_name_in_an_extra_field_is_not_taken() -> None:
    content = io.BytesIO()
    info = zipfile.ZipInfo("a.npy")
    name = b"b.npy"
    info.extra = struct.pack("<2HBL", 0x7075, 5 + len(name), 1, zlib.crc32(b"a.npy")) + name
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(info, b"content")
    assert names_of(content.getvalue()) == ["a"]


class Pipe(io.BytesIO):
    """A stream that cannot seek, for which zipfile writes other records."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


@pytest.mark.parametrize("limit", [zipfile.ZIP_FILECOUNT_LIMIT, 1], ids=["usual", "zip64 end"])
@pytest.mark.parametrize("stream", [io.BytesIO, Pipe])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_of_numpy(
    monkeypatch: pytest.MonkeyPatch, save: Any, stream: type[io.BytesIO], limit: int
) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", limit)
    content = stream()
    save(content, a=ARRAYS["b"], b=ARRAYS["a/c"])
    assert names_of(content.getvalue()) == ["a", "b"]


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
    expected = ["a.npy", "folder/", "größe.npy", "later.npy"]
    assert names_of(path.read_bytes(), kind="torch") == expected


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
    assert names_of((tmp_path / "a.zip").read_bytes(), kind="torch") == ["a", "b"]


# Two members, "a" at 0 and "b" at 38; the directory is at 76, its second entry at 123.
SECOND, DIRECTORY, ENTRY, END = 38, 76, 47, 170


def changed(place: int, layout: str, number: Any) -> Callable[[bytearray], bytearray]:
    def change(content: bytearray) -> bytearray:
        struct.pack_into(layout, content, place, number)
        return content

    return change


def inserted(place: int) -> Callable[[bytearray], bytearray]:
    return lambda content: content[:place] + b"more" + content[place:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (inserted(0), "other data before or among the members"),
        (inserted(SECOND), "other data before or among the members"),
        (inserted(DIRECTORY), "other data before or among the members"),
        (inserted(END), "Bad magic number for central directory"),
        (inserted(END + 22), "an end that is cut, or other data after it"),
        (changed(END + 20, "<H", 1), "an end that is cut, or other data after it"),
        (changed(END + 10, "<H", 1), "2 members, but 1 in the end record"),
        (changed(DIRECTORY + 32, "<H", ENTRY), "1 members, but 2 in the end record"),
        (changed(END + 16, "<L", DIRECTORY - 1), "other data before or among the members"),
        (changed(DIRECTORY + 42, "<L", SECOND), "other data before or among the members"),
        (changed(0, "<L", 0), "Bad magic number for file header"),
        (changed(SECOND + 30, "<c", b"c"), "name in directory 'b' and header b'c' differ"),
        (changed(DIRECTORY + 46, "<c", b"c"), "name in directory 'c' and header b'a' differ"),
    ],
    ids=map(str, range(13)),
)
def test_other_bytes_and_members(change: Callable[[bytearray], bytearray], message: str) -> None:
    content = bytearray(zipped("a", "b"))
    assert names_of(bytes(content), kind="torch") == ["a", "b"]
    with pytest.raises(DataError, match=f"corrupt or truncated torch, found .*{message}"):
        names_of(bytes(change(content)), kind="torch")
