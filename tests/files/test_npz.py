"""npz files: exactly the arrays that were written, or an error in one line."""

import io
import struct
import sys
import zipfile

import numpy as np
import pytest

from xpnet.files.npz import npz_bytes, read_npz

ARRAYS = {"b": np.arange(40.0), "größe": np.ones((2, 3), ">f4"), "0-d": np.asarray(1.5)}
ARRAYS |= {"empty": np.zeros((0, 3), "f2"), "bool": np.asarray([True]), "text": np.asarray("ü")}
ARRAYS |= {"complex": np.asarray([1 + 2j, np.nan]), "columns": np.arange(6).reshape(2, 3).T}
GOOD = npz_bytes(ARRAYS)


class Pipe(io.BytesIO):
    def tell(self):  # NumPy writes other records if it cannot seek
        raise io.UnsupportedOperation


def assert_same(arrays):
    assert list(arrays) == list(ARRAYS)
    for name, x in arrays.items():
        np.testing.assert_array_equal(x, ARRAYS[name], strict=ARRAYS[name].dtype.isnative)
        assert x.flags.writeable
        assert x.dtype.isnative


def test_numpy_and_xpnet_read_and_write_the_same_files():
    for save in (np.savez, np.savez_compressed):
        for content in (io.BytesIO(), Pipe()):
            save(content, **ARRAYS)
            assert_same(read_npz(content.getvalue()))
    with np.load(io.BytesIO(GOOD)) as archive:
        assert_same({name: x.astype(x.dtype.newbyteorder("=")) for name, x in archive.items()})
    assert npz_bytes(ARRAYS) == GOOD
    assert read_npz(zipped(*TWO, comment=b"xpnet members: 2")) == {"a": 1, "b": 2}  # 0.2 wrote it


def zipped(*members, method=zipfile.ZIP_DEFLATED, comment=b""):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, text in members:
            archive.writestr(name, text)
        archive.comment = comment
    return content.getvalue()


class Exit:
    __reduce__ = lambda _: (sys.exit, ())  # when the object is loaded


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


ONE, TWO = [("a.npy", npy(1))], [("a.npy", npy(1)), ("b.npy", npy(2))]
DIRECTORY, ENTRY = zipped(*TWO).index(b"PK\1\2"), 46 + 5


def without_entry(start):
    """Return a file of two members whose directory names one."""
    cut, old = zipped(*TWO), DIRECTORY + start
    cut = cut[:old] + cut[old + ENTRY :]
    return cut[:-14] + struct.pack("<2H2LH", 1, 1, ENTRY, DIRECTORY, 0)


OTHERS = [b"a,b", GOOD + GOOD, without_entry(0), without_entry(ENTRY)]
OTHERS += [zipped(*TWO).replace(b"b.npy", b"a.npy"), zipped(*ONE, comment=b"xpnet members: 2")]
OTHERS += [zipped(*ONE, method=zipfile.ZIP_BZIP2)]
OTHERS += [zipped(("a.txt", npy(1))), zipped(("a.npy", npy(1) + b"\0"))]
OTHERS += [zipped(("a.npy", npy(1).replace(b"()", b"(9" + b"9" * 15 + b",)")))]
OTHERS += [zipped(("a.npy", npy(np.asarray([Exit()]))))]
OTHERS += [zipped(("a.npy", npy(np.zeros(1, [("a" * n, "f4")])))) for n in (1, 11_000)]


@pytest.mark.parametrize("i", range(len(OTHERS)))
def test_other_files_are_rejected_in_one_line(i):
    with pytest.raises(ValueError, match="npz") as caught:
        read_npz(OTHERS[i])
    assert str(caught.value).isprintable()
