import errno
import gzip
import io
import os
import re
import sys
import tempfile
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from xpnet.datasets import read, stream
from xpnet.files import DataError

IMAGES = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
LABELS = np.array([7, 0, 9])
NAMES = "one of images, x, X and data, and at most one of labels, y and target"


def npy(array):
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def npz(**members):
    content = io.BytesIO()
    np.savez_compressed(content, **members)
    return content.getvalue()


def zipped(*members, **options):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", **options) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return content.getvalue()


@pytest.fixture
def write(tmp_path):
    def write_bytes(content):
        path = tmp_path / "a.csv"
        path.write_bytes(content)
        return path

    return write_bytes


def refused(path, message, **options):
    with pytest.raises(DataError, match=message) as caught:
        read(path, **options)
    assert caught.value.file == str(path)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("u1", "u1"),
        ("i1", "u1"),
        ("<i8", "u1"),
        (">i4", "u1"),
        ("f2", "f4"),
        ("f4", "f4"),
        (">f4", "f4"),
        ("f8", "f8"),
        (">f8", "f8"),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_dtypes(write, dtype, expected, order):
    images, labels = read(write(npy(np.asarray(IMAGES, dtype, order=order))))
    assert images.dtype == np.dtype(expected)
    assert images.dtype.isnative
    assert images.flags.c_contiguous
    assert images.flags.writeable
    assert np.array_equal(images, IMAGES)
    assert labels is None


@pytest.mark.parametrize(
    ("dtype", "shown"),
    [
        (bool, "bool"),
        (complex, "complex128"),
        (str, "<U3"),
        (bytes, r"\|S3"),
        (object, "object"),
        ("M8[s]", r"datetime64\[s\]"),
        ([("a", "u1")], r"\[\('a', 'u1'\)\]"),
    ],
)
def test_refused_dtypes(write, dtype, shown):
    refused(write(npy(IMAGES.astype(dtype))), f"dtype of the array, found {shown}, expected ")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (IMAGES.astype(int) * 100, "pixel 2, 2 of row 1, found 300, expected 0 to 255"),
        (IMAGES.astype(int) - 1, "pixel 1, 1 of row 1, found -1, expected 0 to 255"),
        (
            np.float32([[0, 1], [2, np.nan]]),
            "pixel 2 of row 2, found nan, expected a finite number",
        ),
        (np.float64([[0, 1], [-np.inf, 2]]), "pixel 1 of row 2, found -inf, expected a finite"),
        (np.uint8(3), r"npy shape, found \(\), expected rows of pixels"),
        (LABELS, "not images, found 1 dimension, expected 2 to 4, these may be labels"),
        (IMAGES[:, :0], "images without pixels, found shape 3 x 0 x 2"),
    ],
    ids=["large", "negative", "nan", "inf", "scalar", "labels", "no-pixels"],
)
def test_refused_values(write, array, message):
    refused(write(npy(array)), message)


def test_the_row_is_counted_over_all_blocks(write):
    images = np.zeros((5000, 4), int)
    images[4500, 1] = 256
    refused(write(npy(images)), "pixel 2 of row 4501, found 256")


GOOD = npy(IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD[:-1], "data is cut off, found 11 bytes, expected 12 bytes"),
        (GOOD + b"1", "data goes on after the last row, found 13 bytes, expected 12 bytes"),
        (GOOD[:20], "npy header, found EOF"),
        (GOOD[:9], "npy header, found EOF"),
        (GOOD[:6], "npy version, found 93 4e 55 4d 50 59, expected 1.0 or 2.0"),
        (GOOD[:6] + b"\x09" + GOOD[7:], "npy version, found 93 4e 55 4d 50 59 09 00, expected"),
        (GOOD[:8] + b"\xff\xff" + GOOD[10:], "npy header, found 65535 bytes, expected at most"),
        (GOOD.replace(b"(3, 2, 2)", b"(-3,2, 2)"), r"npy shape, found \(-3, 2, 2\)"),
        (GOOD.replace(b"(3, 2, 2)", b"(True, 2)"), r"npy shape, found \(True, 2\)"),
        (GOOD.replace(b"(3, 2, 2)", b"(3, 2,99)"), "data is cut off, found 12 bytes, expected 594"),
        (GOOD.replace(b"'shape'", b"'shxpe'"), "npy header, found Header does not contain"),
        (GOOD.replace(b"}", b"("), "npy header, found "),
        (GOOD.replace(b"|u1", b"|zz"), "npy header, found "),
    ],
    ids=[
        "cut", "longer", "header-cut", "length-cut", "magic-only", "version", "header-length",
        "negative", "bool", "huge", "keys", "syntax", "dtype",
    ],
)  # fmt: skip
def test_broken_npy(write, content, message):
    refused(write(content), message)


@pytest.mark.parametrize("array", [IMAGES, np.asfortranarray(IMAGES)], ids=["C", "F"])
def test_fortran_order_is_checked_for_its_size_too(write, array):
    packed = npz(images=array)
    assert np.array_equal(read(write(packed))[0], IMAGES)
    refused(write(npy(array) + b"1"), "data goes on after the last row")


@pytest.mark.parametrize("images", ["images", "x", "X", "data"])
@pytest.mark.parametrize("labels", ["labels", "y", "target"])
def test_names_of_images_and_labels(write, images, labels):
    path = write(npz(**{images: IMAGES, labels: LABELS}))
    found, values = read(path)
    assert np.array_equal(found, IMAGES)
    assert (values.dtype, values.tolist()) == (np.uint8, [7, 0, 9])
    assert read(path, want_labels=False)[1] is None


@pytest.mark.parametrize("name", ["images", "whatever", "arr_0"])
def test_one_array_alone_is_the_images(write, name):
    images, labels = read(write(npz(**{name: IMAGES})))
    assert np.array_equal(images, IMAGES)
    assert labels is None


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        (("x_train", "x_test"), "x_test, x_train"),
        (("images", "data"), "data, images"),
        (("x", "X", "y"), "X, x, y"),
        (("images", "labels", "y"), "images, labels, y"),
        (("labels", "y"), "labels, y"),
    ],
)
def test_names_that_leave_a_choice(write, members, shown):
    path = write(npz(**dict.fromkeys(members, IMAGES)))
    refused(path, f"names of the arrays, found {shown}, expected {NAMES}, save the wanted arrays")


def test_labels_of_two_names_do_not_matter_where_none_are_wanted(write):
    path = write(npz(images=IMAGES, labels=LABELS, y=LABELS))
    assert np.array_equal(read(path, want_labels=False)[0], IMAGES)


def test_other_arrays_beside_the_images_are_left(write):
    images, labels = read(write(npz(images=IMAGES, ids=LABELS)))
    assert np.array_equal(images, IMAGES)
    assert labels is None


def test_more_labels_than_images(write):
    path = write(npz(images=IMAGES, labels=[1, 2, 3, 4]))
    refused(
        path, "images and labels differ in number, found 3 images, expected 4 as in its 'labels'"
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, -1, 2], "label of row 2, found -1, expected a whole number from 0 to 9"),
        ([1, 2, 10], "label of row 3, found 10, expected a whole number from 0 to 9"),
        ([0.5, 1, 2], "label of row 1, found 0.5, expected a whole number from 0 to 9"),
        ([np.nan, 1, 2], "label of row 1, found nan, expected a whole number from 0 to 9"),
        (np.eye(3), "not labels, found shape 3 x 3, expected 1 dimension"),
        (["a", "b", "c"], "dtype of the array, found <U1"),
    ],
    ids=["negative", "large", "fraction", "nan", "one-hot", "text"],
)
def test_wrong_labels(write, labels, message):
    path = write(npz(images=IMAGES, labels=labels))
    refused(path, message, classes=10)
    assert read(path, want_labels=False)[1] is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("dtype", "bits"), [("f2", 0x7C01), ("f4", 0x7F80_0001), ("f8", 0x7FF0_0000_0000_0001)]
)
def test_a_signalling_nan_is_an_error_and_no_warning(write, dtype, bits, order):
    values = np.zeros(3, f"{order}u{dtype[1:]}")
    values[1] = bits
    values = values.view(f"{order}{dtype}")
    refused(write(npz(images=IMAGES, labels=values)), "label of row 2, found nan, expected a whole")
    refused(write(npy(values[:, None])), "pixel 1 of row 2, found nan, expected a finite number")


@pytest.mark.parametrize("labels", [[[7], [0], [9]], [7.0, 0.0, 9.0]], ids=["column", "floats"])
def test_labels_of_other_forms(write, labels):
    assert read(write(npz(images=IMAGES, labels=labels)))[1].tolist() == [7, 0, 9]


PACKED = npz(images=IMAGES, labels=LABELS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PACKED[:-10], "corrupt or truncated npz, found File is not a zip file"),
        (PACKED[:60] + bytes([PACKED[60] ^ 255]) + PACKED[61:], "corrupt or truncated npz, found "),
        (zipped(), "npz without arrays"),
        (zipped(("a.txt", "x")), r"npz member that is not an npy file, found 'a\.txt'"),
        (zipped(("a.npy", "x")), "npy version, found 78, expected 1.0 or 2.0"),
        (zipped(("a.npy", GOOD + b"1")), "data goes on after the last row, found 13 bytes"),
    ],
    ids=["cut", "corrupt", "empty", "text", "not-npy", "longer"],
)
def test_broken_npz(write, content, message):
    refused(write(content), message)


def test_encrypted_member(write):
    content = bytearray(zipped(("images.npy", GOOD)))
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + place] |= 1
    refused(write(bytes(content)), "compression, or encrypted, found 'images.npy'")


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_member_twice(write):
    content = zipped(("images.npy", GOOD), ("images.npy", GOOD))
    refused(write(content), re.escape("duplicate npz member, found 'images.npy'"))


@pytest.mark.parametrize("content", [GOOD, PACKED], ids=["npy", "npz"])
def test_rows(write, content):
    assert np.array_equal(read(write(content), rows=2)[0], IMAGES[:2])
    assert read(write(content), rows=0)[0].shape == (0, 2, 2)


@given(
    images=st.sampled_from(["u1", "f4", "f8"]).flatmap(
        lambda dtype: arrays(
            dtype,
            array_shapes(min_dims=2, max_dims=4, max_side=5),
            elements={"allow_nan": False, "allow_infinity": False} if dtype != "u1" else None,
        )
    ),
    block_rows=st.integers(1, 6),
    form=st.sampled_from([npy, lambda array: npz(images=array)]),
)
def test_round_trip(tmp_path_factory, images, block_rows, form):
    path = tmp_path_factory.mktemp("npz") / "a"
    path.write_bytes(form(images))
    found = np.concatenate([block for block, _ in stream(path, block_rows=block_rows)])
    assert found.dtype == images.dtype
    assert np.array_equal(found, images)


@pytest.mark.parametrize("content", [PACKED, gzip.compress(PACKED)], ids=["plain", "gzip"])
def test_standard_input_cannot_seek_but_is_read(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    images, labels = read("-")
    assert np.array_equal(images, IMAGES)
    assert labels.tolist() == [7, 0, 9]


def test_a_full_temporary_folder_is_named(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", full)
    monkeypatch.setattr("xpnet.datasets.limits._SPOOL_BYTES", 100)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PACKED)))
    with pytest.raises(OSError, match="No space left on device") as caught:
        read("-")
    assert caught.value.filename == str(tmp_path)


def test_file_of_labels_with_names_that_leave_a_choice(write, tmp_path):
    labels = tmp_path / "labels.npz"
    np.savez(labels, first=LABELS, second=LABELS)
    with pytest.raises(
        DataError, match="found first, second, expected one of labels, y and target"
    ):
        read(write(GOOD), labels=labels)


def test_capital_letters(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, X=np.zeros((2, 4), np.uint8), Y=np.arange(2))
    assert read(path)[1].tolist() == [0, 1]
