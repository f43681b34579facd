import gzip
import io
import os
import sys
import threading

import pytest

from xpnet.files import DataError
from xpnet.files.opening import open_source
from xpnet.files.taking import take

CONTENT = bytes(range(256)) * 1000
PACKED = gzip.compress(CONTENT, mtime=0)


def flipped(content, place):
    changed = bytearray(content)
    changed[place] ^= 0xFF
    return bytes(changed)


def write(folder, content, name="file"):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "size"),
    [
        ("plain", CONTENT, len(CONTENT)),
        ("packed.gz", PACKED, None),
        ("packed_without_the_suffix.csv", PACKED, None),
        ("plain_with_the_suffix.gz", CONTENT, len(CONTENT)),
        ("two_members", PACKED + PACKED, None),
        ("trailing_zeros", PACKED + bytes(100), None),
    ],
)
def test_gzip_is_known_by_its_content(tmp_path, name, content, size):
    with open_source(write(tmp_path, content, name)) as source:
        assert source.size == size
        assert source.peek(8)[:8] == CONTENT[:8]
        assert source.read() == CONTENT * (1 + (name == "two_members"))


@pytest.mark.parametrize("content", [b"", b"a", gzip.compress(b"")], ids=["empty", "a", "packed"])
def test_files_with_hardly_any_content(tmp_path, content):
    with open_source(write(tmp_path, content)) as source:
        assert source.read() == (content if len(content) < 2 else b"")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (PACKED[:-12], "end"),
        (PACKED[:-3], "end"),
        (PACKED[:2], "end"),
        (PACKED + b"garbage", "ga"),
        (flipped(PACKED, -6), "CRC"),
        (flipped(PACKED, -2), "length"),
        (flipped(PACKED, 2), "method"),
        (flipped(PACKED, 12), "-3"),
    ],
    ids=["data cut", "trailer cut", "magic only", "garbage", "crc", "length", "method", "data"],
)
@pytest.mark.parametrize("n", [None, 1 << 30])
def test_damaged_gzip(tmp_path, content, word, n):
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=word) as caught, open_source(path) as source:
        source.read(n)
    assert caught.value.file == str(path)


def test_a_pipe_shows_its_first_bytes_though_they_come_one_by_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def trickle():
        with pipe.open("wb", buffering=0) as stream:
            for place in range(20):
                stream.write(CONTENT[place : place + 1])

    writer = threading.Thread(target=trickle)
    writer.start()
    with open_source(pipe) as source:
        assert source.size is None
        assert source.peek(8)[:8] == CONTENT[:8]
        assert source.read() == CONTENT[:20]
    writer.join()


@pytest.mark.parametrize("content", [CONTENT, PACKED], ids=["plain", "packed"])
def test_a_dash_is_standard_input_and_leaves_it_open(monkeypatch, content):
    standard = io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr(sys, "stdin", standard)
    with open_source("-") as source:
        assert (source.name, source.path, source.size) == ("<stdin>", None, None)
        assert source.read() == CONTENT
    assert not standard.buffer.closed


def test_standard_input_that_is_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(OSError, match="closed"), open_source("-"):
        pass


def test_missing_file_and_directory_keep_their_text(tmp_path):
    with pytest.raises(FileNotFoundError, match="'nowhere'"), open_source("nowhere"):
        pass
    with pytest.raises(IsADirectoryError), open_source(tmp_path):
        pass


@pytest.mark.usefixtures("utf8_names")
@pytest.mark.parametrize("content", [CONTENT, PACKED], ids=["plain", "packed"])
def test_a_path_that_is_not_utf8(tmp_path, content):
    path = write(tmp_path, content, os.fsdecode(b"caf\xe9 1.gz"))
    with open_source(path) as source:
        assert source.read() == CONTENT
        assert r"caf\xe9 1.gz" in str(DataError("wrong", file=source.name))


def test_take_gives_what_there_is_without_memory_for_more():
    assert take(io.BytesIO(b"abc"), 1 << 60) == b"abc"
    assert take(io.BytesIO(b"abc"), 2) == b"ab"
    assert take(io.BytesIO(b"abc"), 0) == b""
