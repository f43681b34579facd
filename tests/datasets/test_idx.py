import gzip
import math
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest

from xpnet.datasets import read

MAGIC = "00 00 08 and the number of dimensions (IDX of uint8), or a CSV, npy or npz file"


def idx(*shape, content=None):
    """Return the bytes of an IDX file; its pixels count up from 0."""
    header = b"\0\0\x08" + bytes([len(shape)]) + np.array(shape, ">u4").tobytes()
    return header + (bytes(range(math.prod(shape))) if content is None else content)


@pytest.fixture(params=["plain", "gzip"])
def write(request, write):
    return write if request.param == "plain" else lambda content: write(gzip.compress(content))


@contextmanager
def memory_at_most(limit):
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= limit


def test_no_images(write):
    images, _ = read(write(idx(0, 28, 28)))
    assert images.shape == (0, 28, 28)
    assert images.dtype == np.uint8


@pytest.mark.parametrize("magic", [b"\0", b"\0\0\x08", b"\0\1\x08\3", b"\7\0\x08\3"])
def test_invalid_first_bytes(write, magic, rejected):
    rejected(write(magic), f": first bytes, found {magic.hex(' ')}, expected {MAGIC}")


@pytest.mark.parametrize("kind", [0x00, 0x09, 0x0B, 0x0C, 0x0D, 0x0E, 0xFF])
def test_wrong_type_code(write, kind, rejected):
    content = b"\0\0" + bytes([kind, 3]) + bytes(20)
    rejected(
        write(content),
        f": IDX type code, found {kind:02x} in 00 00 {kind:02x} 03, expected 08 (uint8)",
    )


@pytest.mark.parametrize("n_dimensions", [0, 5, 255])
def test_number_of_dimensions(write, n_dimensions, rejected):
    content = b"\0\0\x08" + bytes([n_dimensions]) + bytes(2000)
    shown = f"{n_dimensions} in 00 00 08 {n_dimensions:02x}"
    rejected(write(content), f": IDX number of dimensions, found {shown}, expected 1 to 4")


def test_truncated_header(write, rejected):
    rejected(write(idx(3, 2, 2)[:9]), ": truncated IDX header, found 9 bytes, expected 16")


@pytest.mark.parametrize("shape", [(3, 0, 28), (3, 28, 0), (0, 0)])
def test_images_without_pixels(write, shape, rejected):
    shown = " x ".join(map(str, shape))
    rejected(write(idx(*shape)), f": images without pixels, found shape {shown}")


@pytest.mark.parametrize("n_missing", [1, 4, 12])
def test_truncated_data(write, n_missing, rejected):
    message = f": truncated data, found {12 - n_missing} bytes, expected 12 bytes (3 rows of 4)"
    rejected(write(idx(3, 2, 2)[:-n_missing]), message)


@pytest.mark.parametrize("n_more", [1, 100])
def test_extra_data(tmp_path, n_more, rejected):
    path = tmp_path / "a"
    path.write_bytes(idx(3, 2, 2) + bytes(n_more))
    found = f"found {12 + n_more} bytes, expected 12 bytes (3 rows of 4)"
    rejected(path, f": extra data after the last row, {found}")


def test_extra_gzip_data_is_not_unpacked(tmp_path, rejected):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(idx(3, 2, 2) + bytes(1 << 25)))
    found = "found more than 12 bytes, expected 12 bytes (3 rows of 4)"
    with memory_at_most(1 << 22):
        rejected(path, f": extra data after the last row, {found}")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (2**31, 28, 28),
            "truncated data, found 2 bytes, expected 1683627180032 bytes (2147483648 rows of 784)",
        ),
        (
            (1, 2**12, 2**12),
            "truncated data, found 2 bytes, expected 16777216 bytes (1 rows of 16777216)",
        ),
    ],
)
def test_huge_shapes_take_no_memory(write, shape, message, rejected):
    path = write(idx(*shape, content=b"12"))
    with memory_at_most(1 << 22):
        rejected(path, f": {message}")


def test_huge_rows_take_no_memory(tmp_path, rejected):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(idx(*(2**32 - 1,) * 3, content=b"12")))
    message = "image too large to hold at once, found 18,446,744,065,119,617,025 bytes, expected"
    hint = "--max-data-bytes (max_data_bytes=) raises the limit"
    with memory_at_most(1 << 22):
        rejected(path, f": {message} at most 16,777,216, {hint}")


def test_labels_instead_of_images(write, rejected):
    rejected(write(idx(5)), ": not images, found 1 dimension, expected 2 to 4, these may be labels")


def test_rows_stops_before_truncated_data(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(idx(3, 2, 2)[:-1]))
    assert read(path, rows=2)[0].shape == (2, 2, 2)
