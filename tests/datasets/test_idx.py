import gzip
import math
import re
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from xpnet.datasets import read, stream
from xpnet.files import DataError

MAGIC = "00 00 08 and the number of dimensions (IDX of uint8), or a CSV, npy or npz file"


def idx(*shape, content=None):
    """Return the bytes of an IDX file; its pixels count up from 0."""
    header = b"\0\0\x08" + bytes([len(shape)]) + np.array(shape, ">u4").tobytes()
    return header + (bytes(range(math.prod(shape))) if content is None else content)


@pytest.fixture(params=["plain", "gzip"])
def write(request, tmp_path):
    def write_bytes(content):
        path = tmp_path / "digits"
        path.write_bytes(gzip.compress(content) if request.param == "gzip" else content)
        return path

    return write_bytes


def refused(path, message):
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read(path)
    assert str(caught.value).removeprefix(str(path)) == message


@contextmanager
def memory_at_most(limit):
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= limit


@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 2), (3, 1, 2, 2)])
def test_images_keep_their_shape(write, shape):
    images, labels = read(write(idx(*shape)))
    assert images.tolist() == np.arange(12).reshape(shape).tolist()
    assert images.dtype == np.uint8
    assert labels is None


def test_arrays_can_be_written_to(write):
    images, _ = read(write(idx(3, 2, 2)))
    images += 1
    assert images[0, 0, 0] == 1


def test_no_images_are_an_empty_batch(write):
    images, _ = read(write(idx(0, 28, 28)))
    assert images.shape == (0, 28, 28)
    assert images.dtype == np.uint8


@pytest.mark.parametrize("magic", [b"\0", b"\0\0\x08", b"\0\1\x08\3", b"\7\0\x08\3"])
def test_short_or_wrong_first_bytes(write, magic):
    refused(write(magic), f": first bytes, found {magic.hex(' ')}, expected {MAGIC}")


@pytest.mark.parametrize("kind", [0x00, 0x09, 0x0B, 0x0C, 0x0D, 0x0E, 0xFF])
def test_wrong_type_code(write, kind):
    content = b"\0\0" + bytes([kind, 3]) + bytes(20)
    refused(
        write(content),
        f": IDX type code, found {kind:02x} in 00 00 {kind:02x} 03, expected 08 (uint8)",
    )


@pytest.mark.parametrize("n_dimensions", [0, 5, 255])
def test_number_of_dimensions(write, n_dimensions):
    content = b"\0\0\x08" + bytes([n_dimensions]) + bytes(2000)
    shown = f"{n_dimensions} in 00 00 08 {n_dimensions:02x}"
    refused(write(content), f": IDX number of dimensions, found {shown}, expected 1 to 4")


def test_header_cut_off(write):
    refused(write(idx(3, 2, 2)[:9]), ": IDX header is cut off, found 9 bytes, expected 16")


@pytest.mark.parametrize("shape", [(3, 0, 28), (3, 28, 0), (0, 0)])
def test_pictures_without_pixels(write, shape):
    shown = " x ".join(map(str, shape))
    refused(write(idx(*shape)), f": images without pixels, found shape {shown}")


@pytest.mark.parametrize("n_missing", [1, 4, 12])
def test_data_cut_off(write, n_missing):
    message = f": data is cut off, found {12 - n_missing} bytes, expected 12 bytes (3 rows of 4)"
    refused(write(idx(3, 2, 2)[:-n_missing]), message)


@pytest.mark.parametrize("n_more", [1, 100])
def test_data_that_goes_on(tmp_path, n_more):
    path = tmp_path / "a"
    path.write_bytes(idx(3, 2, 2) + bytes(n_more))
    found = f"found {12 + n_more} bytes, expected 12 bytes (3 rows of 4)"
    refused(path, f": data goes on after the last row, {found}")


def test_gzip_that_goes_on_without_end_is_not_unpacked(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(idx(3, 2, 2) + bytes(1 << 25)))
    found = "found more than 12 bytes, expected 12 bytes (3 rows of 4)"
    with memory_at_most(1 << 22):
        refused(path, f": data goes on after the last row, {found}")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (2**32 - 1,) * 3,
            (
                "too large, found shape 4294967295 x 4294967295 x 4294967295, "
                "expected at most 268435456 bytes a row"
            ),
        ),
        (
            (2**31, 28, 28),
            "data is cut off, found 2 bytes, expected 1683627180032 bytes (2147483648 rows of 784)",
        ),
        (
            (1, 2**12, 2**12),
            "data is cut off, found 2 bytes, expected 16777216 bytes (1 rows of 16777216)",
        ),
    ],
)
def test_huge_shapes_take_no_memory(write, shape, message):
    path = write(idx(*shape, content=b"12"))
    with memory_at_most(1 << 22):
        refused(path, f": {message}")


def test_labels_in_the_place_of_images(write):
    refused(write(idx(5)), ": not images, found 1 dimension, expected 2 to 4, these may be labels")


@pytest.mark.parametrize(("rows", "expected"), [(0, 0), (1, 1), (3, 3), (99, 3)])
def test_rows(write, rows, expected):
    images, _ = read(write(idx(3, 2, 2)), rows=rows)
    assert images.tolist() == np.arange(12).reshape(3, 2, 2)[:expected].tolist()


def test_rows_stops_before_data_cut_off(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(idx(3, 2, 2)[:-1]))
    assert read(path, rows=2)[0].shape == (2, 2, 2)


@given(
    images=arrays(np.uint8, array_shapes(min_dims=2, max_dims=4, max_side=7)),
    block_rows=st.integers(1, 8),
    packed=st.booleans(),
)
def test_round_trip(tmp_path_factory, images, block_rows, packed):
    path = tmp_path_factory.mktemp("idx") / "a"
    content = idx(*images.shape, content=images.tobytes())
    path.write_bytes(gzip.compress(content) if packed else content)
    blocks = [block for block, _ in stream(path, block_rows=block_rows)]
    assert np.array_equal(np.concatenate(blocks), images)
    assert max(len(block) for block in blocks) == min(block_rows, len(images))
