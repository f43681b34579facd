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
    ("name", "content"),
    [
        ("plain", CONTENT),
        ("packed.gz", PACKED),
        ("packed_without_the_suffix.csv", PACKED),
        ("plain_with_the_suffix.gz", CONTENT),
        ("two_members", gzip.compress(CONTENT[:100]) + gzip.compress(CONTENT[100:])),
        ("trailing_zeros", PACKED + bytes(100)),
    ],
)
def test_gzip_is_known_by_its_content(tmp_path, name, content):
    with open_source(write(tmp_path, content, name)) as source:
        assert source.peek(8)[:8] == CONTENT[:8]
        assert source.read() == CONTENT


@pytest.mark.parametrize("content", [b"", b"a", gzip.compress(b"")], ids=["empty", "a", "packed"])
def test_files_with_hardly_any_content(tmp_path, content):
    with open_source(write(tmp_path, content)) as source:
        assert source.read() == (content if len(content) < 2 else b"")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PACKED[:-12], "truncated gzip"),
        (PACKED[:-3], "truncated gzip"),
        (PACKED[:2], "truncated gzip"),
        (PACKED + b"garbage", "gzip data followed by other data, found b'ga'"),
        (flipped(PACKED, -6), "corrupt gzip, found CRC check failed"),
        (flipped(PACKED, -2), "corrupt gzip, found Incorrect length of data produced"),
        (flipped(PACKED, 2), "corrupt gzip, found Unknown compression method"),
        (flipped(PACKED, 12), "corrupt gzip, found Error -3 while decompressing"),
    ],
    ids=["data cut", "trailer cut", "magic only", "garbage", "crc", "length", "method", "data"],
)
def test_each_fault_of_gzip_has_its_name(tmp_path, content, expected):
    path = write(tmp_path, content)
    with open_source(path) as source, pytest.raises(DataError) as caught:
        source.read()
    assert f": {expected}" in str(caught.value)
    assert caught.value.file == str(path)


def test_what_lies_before_a_fault_is_handed_out(tmp_path):
    with open_source(write(tmp_path, PACKED + b"garbage")) as source:
        assert source.read(1000) == CONTENT[:1000]


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
    with pytest.raises(OSError, match="standard input is closed"):
        open_source("-")


def test_size_is_known_of_plain_files_only(tmp_path):
    with open_source(write(tmp_path, CONTENT)) as source:
        assert source.size == len(CONTENT)
    with open_source(write(tmp_path, PACKED)) as source:
        assert source.size is None


def test_what_is_opened_on_top_is_closed_with_the_file(tmp_path):
    above = io.BytesIO()
    with open_source(write(tmp_path, PACKED)) as source:
        source.closing.enter_context(above)
    assert above.closed


def test_missing_file_and_directory_keep_their_text(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such file or directory: 'nowhere'"):
        open_source("nowhere")
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        open_source(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_denied_keeps_its_text(tmp_path):
    path = write(tmp_path, CONTENT)
    path.chmod(0)
    with pytest.raises(PermissionError, match="Permission denied"):
        open_source(path)


@pytest.mark.usefixtures("utf8_names")
@pytest.mark.parametrize("content", [CONTENT, PACKED], ids=["plain", "packed"])
def test_a_path_that_is_not_utf8(tmp_path, content):
    path = write(tmp_path, content, os.fsdecode(b"caf\xe9 1.gz"))
    with open_source(path) as source:
        assert take(source, len(CONTENT)) == CONTENT
        assert r"caf\xe9 1.gz" in str(DataError("wrong", file=source.name))


def test_take_gives_what_there_is_without_memory_for_more():
    assert take(io.BytesIO(b"abc"), 1 << 60) == b"abc"
    assert take(io.BytesIO(b"abc"), 2) == b"ab"
    assert take(io.BytesIO(b"abc"), 0) == b""
