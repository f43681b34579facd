"""Opening of files: plain or gzip, known by the content, from files, pipes and standard input."""

import gzip
import io
import os
import sys
import threading
import time

import pytest

from xpnet.files import DataError
from xpnet.files.opening import open_source

CONTENT = bytes(range(256)) * 1000
PACKED = gzip.compress(CONTENT, mtime=0)


def flipped(place):
    return PACKED[:place] + bytes([PACKED[place] ^ 0xFF]) + PACKED[place + 1 or len(PACKED) :]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a 1.csv"


@pytest.mark.parametrize(("content", "expected", "size"), [
    (CONTENT, CONTENT, len(CONTENT)), (PACKED, CONTENT, None), (PACKED * 2, CONTENT * 2, None),
    (PACKED + bytes(100), CONTENT, None), (b"", b"", 0), (b"a", b"a", 1),
    (gzip.compress(b"", mtime=0), b"", None),
], ids=["plain", "packed", "two members", "zeros", "empty", "a", "packed empty"])  # fmt: skip
def test_gzip_is_known_by_its_content(path, monkeypatch, content, expected, size):
    path.write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    for place, name, n in ((path, str(path), size), ("-", "<stdin>", None)):
        with open_source(place) as source:
            assert (source.name, source.size) == (name, n)
            assert source.peek(8)[:8] == expected[:8]
            assert source.read() == expected
    assert not sys.stdin.closed


def test_damaged_gzip(path):
    cut = [PACKED[:-12], PACKED[:-3], PACKED[:2], PACKED + b"garbage"]
    for content in (*cut, *map(flipped, (-6, -2, 2, 12))):  # checksum, length, method, data
        path.write_bytes(content)
        for n in (None, 1 << 30):
            with pytest.raises(DataError, match="gzip") as caught, open_source(path) as source:
                source.read(n)
            assert caught.value.file == str(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_a_pipe_shows_its_first_bytes_though_they_come_one_by_one(path):
    os.mkfifo(path)

    def trickle():
        with path.open("wb", buffering=0) as stream:
            for place in range(20):
                stream.write(CONTENT[place : place + 1])
                time.sleep(0.001)

    writer = threading.Thread(target=trickle)
    writer.start()
    with open_source(path) as source:
        assert source.peek(8)[:8] == CONTENT[:8]
        assert (source.size, source.read()) == (None, CONTENT[:20])
    writer.join()


def test_what_cannot_be_opened_keeps_its_text(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(OSError, match="closed"), open_source("-"):
        pass
    with pytest.raises(FileNotFoundError, match="'nowhere'"), open_source("nowhere"):
        pass
    with pytest.raises(IsADirectoryError), open_source(tmp_path):
        pass
