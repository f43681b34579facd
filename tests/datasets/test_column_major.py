"""Arrays in column-major order, read as the same images as in row-major order."""

import gzip
import io
import re

import numpy as np
import pytest

from xpnet.datasets import read
from xpnet.files import DataError

IMAGES = np.asfortranarray(np.random.default_rng(0).integers(0, 256, (50, 4, 3), np.uint8))


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(IMAGES)[:-1], "truncated data, found 599 bytes, expected 600 bytes (50 rows of 12)"),
        (npy(IMAGES) + b"1", "extra data after the last row, found more than 600 bytes"),
        (npy(IMAGES)[:-500] + bytes(1 << 20), "extra data after the last row, found more than"),
    ],
    ids=["cut", "longer", "much longer"],
)
def test_compressed_file_of_another_size(tmp_path, content, message):
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match=re.escape(f"{path}: {message}")):
        read(path)


def test_labels_in_a_column(tmp_path):
    path, labels = tmp_path / "images", tmp_path / "labels"
    path.write_bytes(npy(IMAGES))
    values = np.arange(50, dtype=np.uint8)
    for array in (values[:, None], np.asfortranarray(np.stack([values] * 2, 1))[:, :1]):
        labels.write_bytes(npy(array).replace(b"False", b"True "))
        assert read(path, labels=labels)[1].tolist() == values.tolist()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_no_rows(tmp_path, pack):
    header = io.BytesIO()
    form = {"descr": "<f4", "fortran_order": True, "shape": (0, 16)}
    np.lib.format.write_array_header_1_0(header, form)
    path = tmp_path / "images"
    path.write_bytes(pack(header.getvalue()))
    assert read(path)[0].shape == (0, 16)
