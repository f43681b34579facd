import gzip
import re

import pytest

from xpnet.datasets import read
from xpnet.files import DataError

KNOWN = "expected a CSV, IDX, npy or npz file, each plain or gzip"


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
