import gzip
import re

import numpy as np
import pytest

from xpnet.datasets import detect_format, read
from xpnet.datasets.preview import preview
from xpnet.datasets.stored_array import StoredArray
from xpnet.files import DataError

KNOWN = "expected one of npy, npz, idx, csv, each plain or gzip"


@pytest.mark.parametrize("content", [b"", gzip.compress(b"")], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a-idx3-ubyte.gz"])
def test_empty_file(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=f": file is empty, {KNOWN}$"):
        read(path)


@pytest.mark.parametrize(
    ("content", "shown", "hint"),
    [
        ("1,2".encode("utf-16"), "ff fe", "UTF-16 text: save it as UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "89 50 4e 47", "a PNG picture"),
        (gzip.compress(gzip.compress(b"1,2")), "1f 8b", "gzip in gzip: unpack it once"),
        (b"BZh91AY", "42 5a 68", "bzip2: unpack it first"),
        (b"\x80\x03}q\x00.", "80", "a pickle: save its arrays as npz"),
        (b"<!DOCTYPE html>", "3c", "a web page or XML: download the file itself"),
    ],
    ids=["utf16", "png", "gzip", "bzip2", "pickle", "html"],
)
def test_other_kinds_of_files(tmp_path, content, shown, hint):
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    message = f": unknown file format, found {shown}, {KNOWN}, {hint}"
    with pytest.raises(DataError, match=re.escape(message) + "$"):
        read(path)


def test_format_is_one_function_and_one_entry(write, monkeypatch):
    def open_raw(source):
        n_rows, n_columns = source.read(6)[-2:]
        return StoredArray(source.name, source, (n_rows, n_columns), np.dtype(np.uint8), None)

    entry = detect_format.array_format("raw", lambda head: head.startswith(b"RAW1"), open_raw)
    monkeypatch.setattr(detect_format, "FORMATS", (entry, *detect_format.FORMATS))
    path = write(b"RAW1\2\3" + bytes(range(6)), name="images")
    write(b"RAW1\2\1\7\0", name="labels")
    images, values = read(path)
    assert images.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert values.tolist() == [7, 0]
    assert preview(path)["format"] == "raw"
    with pytest.raises(DataError, match="file is empty, expected one of raw, npy"):
        read(write(b""))
