import gzip
import re

import numpy as np
import pytest

from xpnet.datasets import detect_format, read
from xpnet.datasets.stored_array import StoredArray
from xpnet.files import DataError

KNOWN = "expected one of npy, npz, picture, idx, csv, each plain or gzip"


@pytest.mark.parametrize("content", [b"", gzip.compress(b"")], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a-idx3-ubyte.gz"])
def test_empty_file(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=f": file is empty, {KNOWN}$"):
        read(path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("1,2".encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        ("1,2".encode("utf-16-be"), None),  # without its mark, it is not recognised
        (b"\xfe\xff\x001", "UTF-16 text; save it as UTF-8"),
        (gzip.compress(gzip.compress(b"1,2", mtime=0), mtime=0), "gzip in gzip; unpack it once"),
        (b"BZh91AY", "bzip2; unpack it first"),
        (b"\xfd7zXZ\0", "xz; unpack it first"),
        (b"\x28\xb5\x2f\xfd", "zstd; unpack it first"),
        (b"\x89HDF\r\n", "HDF5; save its arrays as npz"),
        (b"PAR1", "Parquet; save it as CSV"),
        (b"\x80\x03}q\x00.", "a pickle; save its arrays as npz"),
        (b"<!DOCTYPE html>", "a web page or XML; download the file itself"),
        (b"\x40\1\0\0\0\0\0\0{", "safetensors, a network; give it by --model"),
        (b"\x08\x0a\x12\x05xpnet", "ONNX, a network; give it by --model"),
        (b"%PDF-1.7", "PDF; save its pages as PNG"),
        (b"\0\0\0\x18ftypheic", "a HEIC or AVIF picture; save it as PNG or JPEG"),
    ],
    ids=str,
)
def test_other_kinds_of_files(tmp_path, content, kind):
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    message = "first bytes, found 00 31 00 2c" if kind is None else f"it is {kind}"
    with pytest.raises(DataError, match=re.escape(f"train.csv: {message}")):
        read(path)


def test_format_is_one_function_and_one_entry(write, monkeypatch):
    def open_raw(source):
        n_rows, n_columns = source.read(6)[-2:]
        return StoredArray(source, source, (n_rows, n_columns), np.dtype(np.uint8), None)

    entry = detect_format.array_format("raw", rb"RAW1", open_raw)
    monkeypatch.setattr(detect_format, "DATA_FORMATS", (entry, *detect_format.DATA_FORMATS))
    path = write(b"RAW1\2\3" + bytes(range(6)), name="images")
    write(b"RAW1\2\1\7\0", name="labels")
    images, values = read(path)
    assert images.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert values.tolist() == [7, 0]
    with pytest.raises(DataError, match="file is empty, expected one of raw, npy"):
        read(write(b""))
