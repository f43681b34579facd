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


def check_error(path, message, **options):
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
def test_unsupported_dtypes(write, dtype, shown):
    check_error(write(npy(IMAGES.astype(dtype))), f"dtype of the array, found {shown}, expected ")


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
        (
            np.zeros((2, 3, 1, 1, 4), np.uint8),
            r"not images, found 5 dimensions, expected 2 to 4, save \(n, n_pixels\)",
        ),
        (IMAGES[:, :0], "images without pixels, found shape 3 x 0 x 2"),
    ],
    ids=["large", "negative", "nan", "inf", "scalar", "labels", "5-d", "no-pixels"],
)
def test_invalid_values(write, array, message):
    check_error(write(npy(array)), message)


def test_row_number_counts_all_blocks(write):
    images = np.zeros((5000, 4), int)
    images[4500, 1] = 256
    check_error(write(npy(images)), "pixel 2 of row 4501, found 256")


GOOD = npy(IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD[:-1], "truncated data, found 11 bytes, expected 12 bytes"),
        (GOOD + b"1", "extra data after the last row, found 13 bytes, expected 12 bytes"),
        (npy(np.asfortranarray(IMAGES)) + b"1", "extra data after the last row, found 13 bytes"),
        (GOOD[:20], "npy header, found EOF"),
        (GOOD.replace(b"(3, 2, 2)", b"(3, 2,99)"), "truncated data, found 12 bytes, expected 594"),
    ],
    ids=["cut", "longer", "longer-columns", "header-cut", "huge"],
)
def test_damaged_npy(write, content, message):
    check_error(write(content), message)


@pytest.mark.parametrize("images", ["images", "x", "X", "data"])
@pytest.mark.parametrize("labels", ["labels", "y", "Y", "target"])
def test_names_of_images_and_labels(write, images, labels):
    path = write(npz(**{images: IMAGES, labels: LABELS}))
    found, values = read(path)
    assert np.array_equal(found, IMAGES)
    assert (values.dtype, values.tolist()) == (np.uint8, [7, 0, 9])
    assert read(path, want_labels=False)[1] is None


@pytest.mark.parametrize("name", ["images", "whatever", "arr_0"])
def test_single_array(write, name):
    images, labels = read(write(npz(**{name: IMAGES})))
    assert np.array_equal(images, IMAGES)
    assert labels is None


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        (("train_X", "test_X"), "test_X, train_X"),
        (("images", "data"), "data, images"),
        (("x", "X", "y"), "X, x, y"),
        (("images", "labels", "y"), "images, labels, y"),
        (("labels", "y"), "labels, y"),
    ],
)
def test_ambiguous_names(write, members, shown):
    path = write(npz(**dict.fromkeys(members, IMAGES)))
    check_error(path, f"names of the arrays, found {shown}, expected {NAMES}, save the arrays")


def test_unwanted_labels_may_be_ambiguous(write):
    path = write(npz(images=IMAGES, labels=LABELS, y=LABELS))
    assert np.array_equal(read(path, want_labels=False)[0], IMAGES)


def test_other_arrays_are_ignored(write):
    images, labels = read(write(npz(images=IMAGES, ids=LABELS)))
    assert np.array_equal(images, IMAGES)
    assert labels is None


def test_more_labels_than_images(write):
    path = write(npz(images=IMAGES, labels=[1, 2, 3, 4]))
    check_error(
        path, "images and labels differ in number, found 3 images, expected 4 as in its 'labels'"
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, -1, 2], "label of row 2, found -1, expected an integer from 0 to 9"),
        ([1, 2, 10], "label of row 3, found 10, expected an integer from 0 to 9"),
        ([0.5, 1, 2], "label of row 1, found 0.5, expected an integer from 0 to 9"),
        ([np.nan, 1, 2], "label of row 1, found nan, expected an integer from 0 to 9"),
        (np.eye(3), r"found shape 3 x 3, expected 1 dimension, one-hot labels\? save labels.argm"),
        (
            [{}, "b", "c"],
            r"found object, expected plain numbers, save strings by array.astype\(str",
        ),
    ],
    ids=["negative", "large", "fraction", "nan", "one-hot", "objects"],
)
def test_invalid_labels(write, labels, message):
    path = write(npz(images=IMAGES, labels=labels))
    check_error(path, message, classes=10)
    assert read(path, want_labels=False)[1] is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("dtype", "bits"), [("f2", 0x7C01), ("f4", 0x7F80_0001), ("f8", 0x7FF0_0000_0000_0001)]
)
def test_signalling_nan_is_an_error_without_warning(write, dtype, bits, order):
    values = np.zeros(3, f"{order}u{dtype[1:]}")
    values[1] = bits
    values = values.view(f"{order}{dtype}")
    check_error(
        write(npz(images=IMAGES, labels=values)), "label of row 2, found nan, expected an integer"
    )
    check_error(
        write(npy(values[:, None])), "pixel 1 of row 2, found nan, expected a finite number"
    )


@pytest.mark.parametrize("labels", [[[7], [0], [9]], [7.0, 0.0, 9.0]], ids=["column", "floats"])
def test_labels_as_column_or_floats(write, labels):
    assert read(write(npz(images=IMAGES, labels=labels)))[1].tolist() == [7, 0, 9]


PACKED = npz(images=IMAGES, labels=LABELS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PACKED[:-10], "corrupt or truncated npz, found File is not a zip file"),
        (PACKED[:60] + bytes([PACKED[60] ^ 255]) + PACKED[61:], "corrupt or truncated npz, found "),
        (zipped(("a.npy", "x")), "npy version, found 78, expected 1.0 or 2.0"),
        (zipped(("a.npy", GOOD + b"1")), "extra data after the last row, found 13 bytes"),
    ],
    ids=["cut", "corrupt", "not-npy", "longer"],
)
def test_damaged_npz(write, content, message):
    check_error(write(content), message)


def test_encrypted_member(write):
    content = bytearray(zipped(("images.npy", GOOD)))
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + place] |= 1
    check_error(write(bytes(content)), "compression, or encrypted, found 'images.npy'")


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_duplicate_member(write):
    content = zipped(("images.npy", GOOD), ("images.npy", GOOD))
    check_error(write(content), re.escape("duplicate npz member, found 'images.npy'"))


@pytest.mark.parametrize("content", [PACKED, gzip.compress(PACKED)], ids=["plain", "gzip"])
def test_standard_input(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    images, labels = read("-")
    assert np.array_equal(images, IMAGES)
    assert labels.tolist() == [7, 0, 9]


def test_full_disk_error_has_the_folder(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", full)
    monkeypatch.setattr("xpnet.datasets.limits._SPOOL_BYTES", 100)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PACKED)))
    with pytest.raises(OSError, match="No space left on device") as caught:
        read("-")
    assert caught.value.filename == str(tmp_path)


def test_ambiguous_names_in_a_labels_file(write, tmp_path):
    labels = tmp_path / "labels.npz"
    np.savez(labels, first=LABELS, second=LABELS)
    with pytest.raises(
        DataError, match="found first, second, expected one of labels, y and target"
    ):
        read(write(GOOD), labels=labels)


@pytest.mark.parametrize("dtype", ["<U4", ">U4"])
def test_labels_are_strings(write, dtype):
    names = np.asarray(["cat", "Äsop", "cat"], dtype)
    path = write(npz(X=IMAGES, y=names))
    assert read(path)[1].tolist() == names.tolist()
    blocks = [labels.tolist() for _, labels in stream(path, block_rows=2)]
    assert blocks == [["cat", "Äsop"], ["cat"]]


def test_target_names_of_scikit_learn(write):
    names = ["setosa", "virginica"]
    arrays = {"data": IMAGES, "target": [1, 0, 1], "feature_names": ["a", "b"]}
    path = write(npz(**arrays, target_names=names))
    assert read(path)[1].tolist() == ["virginica", "setosa", "virginica"]
    message = "label without a name, found 2, expected 0 to 1, as in 'target_names'"
    check_error(write(npz(**(arrays | {"target": [0, 1, 2]}), target_names=names)), message)


def test_parts_with_capital_letters(write):
    path = write(npz(X_train=IMAGES, y_train=LABELS, X_test=IMAGES[:1], y_test=LABELS[:1]))
    assert read(path, split="test")[1].tolist() == LABELS[:1].tolist()
    assert np.array_equal(read(path, split="train")[0], IMAGES)
