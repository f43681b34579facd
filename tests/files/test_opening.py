"""Opening of files: plain or gzip, known by the content, from files, pipes and standard input."""

import gzip
import io
import os
import sys
import threading

import pytest

from xpnet.files import DataError
from xpnet.files.opening import open_source

CONTENT = bytes(range(256)) * 100
PACKED = gzip.compress(CONTENT, mtime=0)
CONTENTS = [  # the file; what is read, and its size if that is known
    (CONTENT, CONTENT, len(CONTENT)),
    (PACKED, CONTENT, None),
    (PACKED * 2, CONTENT * 2, None),
    (PACKED + bytes(100), CONTENT, None),
    (gzip.compress(b"", mtime=0), b"", None),
    (b"", b"", 0),
]


class OneByOne(io.BytesIO):
    def readinto(self, buffer):  # as a pipe may give its bytes
        return super().readinto(buffer[:1])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a 1.csv"


@pytest.mark.parametrize("i", range(len(CONTENTS)))
def test_gzip_is_known_by_its_content(path, monkeypatch, i):
    content, expected, size = CONTENTS[i]
    path.write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(OneByOne(content)))
    for place, name, n in ((path, str(path), size), ("-", "<stdin>", None)):
        with open_source(place) as source:
            assert (source.name, source.size) == (name, n)
            assert source.peek(8)[:8] == expected[:8]
            assert source.read() == expected
    assert not sys.stdin.closed


def flipped(place):
    return PACKED[:place] + bytes([PACKED[place] ^ 0xFF]) + PACKED[place + 1 or len(PACKED) :]


def test_damaged_gzip(path):
    cut = [PACKED[:-12], PACKED[:-3], PACKED[:2], PACKED + b"garbage"]
    for content in (*cut, *map(flipped, (-6, -2, 2, 12))):  # checksum, length, method, data
        path.write_bytes(content)
        for n in (None, 1 << 30):
            with pytest.raises(DataError, match="gzip") as caught, open_source(path) as source:
                source.read(n)
            assert caught.value.file == str(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_the_size_of_a_pipe_is_unknown(path):
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=[CONTENT])
    writer.start()
    with open_source(path) as source:
        assert (source.size, source.read()) == (None, CONTENT)
    writer.join()


def test_what_cannot_be_opened_keeps_its_text(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(OSError, match="closed"), open_source("-"):
        pass
    with pytest.raises(FileNotFoundError, match="'nowhere'"), open_source("nowhere"):
        pass
    with pytest.raises(IsADirectoryError), open_source(tmp_path):
        pass
