"""npz files: exactly the arrays that were written, or an error in one line."""

import io
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


def zipped(text):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.npy", text)
    return content.getvalue()


class Exit:
    __reduce__ = lambda _: (sys.exit, ())  # when the object is loaded


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


OTHERS = [b"", b"a,b", GOOD[:-30], zipped(b"text"), zipped(npy(np.ones(9))[:-1])]
# Fewer bytes are read than there are; the checksum is of all.
OTHERS += [zipped(npy(np.ones(30))).replace(b"(30,)", b"(10,)")]
OTHERS += [zipped(npy(1).replace(b"()", b"(9" + b"9" * 15 + b",)"))]
OTHERS += [zipped(npy(np.asarray([Exit()]))), zipped(npy(np.zeros(1, [("a" * 11_000, "f4")])))]


@pytest.mark.parametrize("i", range(len(OTHERS)))
def test_other_files_are_rejected_in_one_line(i):
    with pytest.raises(ValueError, match="npz") as caught:
        read_npz(OTHERS[i])
    assert str(caught.value).isprintable()
