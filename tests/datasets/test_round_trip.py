"""Images written in any format and read again, whole and in blocks."""

import gzip

import numpy as np
import pytest
from array_files import idx, npy, npz
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from xpnet.datasets import read, stream


def csv(images, end="\n"):
    return end.join(",".join(map(str, row)) for row in images.tolist()).encode()


FORMATS = {
    "idx": idx,
    "npy": npy,
    "npy in column-major order": lambda images: npy(np.asfortranarray(images)),
    "npz": lambda images: npz(images=images),
    "npz in column-major order": lambda images: npz(images=np.asfortranarray(images)),
    "csv": csv,
    "csv of Windows": lambda images: csv(images, "\r\n"),
    "csv of old Macs": lambda images: csv(images, "\r"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40)
@given(data=st.data())
def test_round_trip(tmp_path_factory, name, pack, data):
    block_rows = data.draw(st.integers(1, 8))
    rows = data.draw(st.sampled_from([None, 0, 1, 3, 99]))
    max_dims = 2 if "csv" in name else 4
    dtypes = ["u1", "f4", ">f4", "f8", ">f8"] if name.startswith("np") else ["u1"]
    dtype = data.draw(st.sampled_from(dtypes))
    elements = {"allow_nan": False, "allow_infinity": False} if dtype != "u1" else None
    shapes = array_shapes(min_dims=2, max_dims=max_dims, max_side=7)
    images = data.draw(arrays(dtype, shapes, elements=elements))
    path = tmp_path_factory.mktemp("images") / "a"
    path.write_bytes(pack(FORMATS[name](images)))
    options = {"label": "none", "header": "no"} if "csv" in name else {}
    expected = images[:rows]
    blocks = [found for found, _ in stream(path, block_rows=block_rows, rows=rows, **options)]
    for found in (np.concatenate(blocks), read(path, rows=rows, **options)[0]):
        narrow = "csv" in name and images.shape[1] < 64  # measurements
        assert found.dtype == ("f4" if narrow else images.dtype.newbyteorder("="))
        assert np.array_equal(found, expected)
    assert max(map(len, blocks)) == min(block_rows, len(expected))
    assert all(block.flags.c_contiguous and block.flags.writeable for block in blocks)
