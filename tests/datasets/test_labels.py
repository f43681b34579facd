import gzip
import io
import re

import numpy as np
import pytest

from xpnet.datasets import read, stream
from xpnet.datasets.read import labels_beside
from xpnet.files import DataError

IMAGES = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)


def idx(array):
    array = np.asarray(array, np.uint8)
    header = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


def npz(**members):
    content = io.BytesIO()
    np.savez(content, **members)
    return content.getvalue()


@pytest.fixture
def write(write):
    return lambda name, content: write(content, name=name)


def check_error(path, message, **options):
    with pytest.raises(DataError, match=re.escape(message)):
        read(path, **options)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("images.npy", "labels.npy"),
    ],
)
def test_labels_beside_the_images(write, images, labels):
    path = write(images, idx(IMAGES))
    content = idx([3, 4, 5])
    expected = write(labels, gzip.compress(content) if labels.endswith("gz") else content)
    assert labels_beside(path) == expected
    assert read(path)[1].tolist() == [3, 4, 5]
    assert read(path, want_labels=False)[1] is None


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "digits", "labels.npy"])
def test_no_labels_beside(write, name):
    path = write(name, idx(IMAGES))
    assert labels_beside(path) is None
    assert read(path)[1] is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("idx", idx([3, 4, 5])),
        ("packed", gzip.compress(idx([3, 4, 5]), mtime=0)),
        ("values.npy", np.array([3, 4, 5])),
        ("column.npy", np.array([[3.0], [4.0], [5.0]])),
        ("labels.npz", npz(x=IMAGES, y=[3, 4, 5])),
        ("single.npz", npz(values=[3, 4, 5])),
        ("headerless.csv", "3\n4\n5\n"),
        ("header.csv", "label\n3\n\n4\n5"),
        ("other.csv", "digit\r\n3\r\n4\r\n5\r\n"),
    ],
)
@pytest.mark.parametrize("block_rows", [1, 2, 3, 4096])
def test_labels_of_any_format(write, name, content, block_rows):
    path, labels = write("pixels", idx(IMAGES)), write(name, content)
    blocks = list(stream(path, labels=labels, block_rows=block_rows))
    assert np.array_equal(np.concatenate([images for images, _ in blocks]), IMAGES)
    assert np.concatenate([values for _, values in blocks]).tolist() == [3, 4, 5]
    assert all(len(images) == len(values) for images, values in blocks)


def test_labels_file_overrides_a_column(write):
    path = write("a.csv", "label,pixel0\n9,1\nbad,2\n8,3\n")
    images, labels = read(path, labels=write("labels", idx([3, 4, 5])))
    assert images.tolist() == [[1], [2], [3]]
    assert labels.tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("content", "n_images", "n_labels", "rows"),
    [
        (idx(IMAGES), 3, 2, None),
        (idx(IMAGES), 3, 2, 1),
        ("9,2,3,4\n" * 2, 2, 3, None),
        ("9,2,3,4\n" * 4, 4, 3, None),
        ("9,2,3,4\n" * 4, 4, 3, 4),
    ],
)
def test_numbers_differ(write, content, n_images, n_labels, rows):
    path, labels = write("images", content), write("names", idx([3, 4, 5][:n_labels]))
    found = f"found {n_images} images, expected {n_labels} as in {labels}"
    message = f"{path}: images and labels differ in number, {found}"
    check_error(path, message, labels=labels, rows=rows)


def test_rows_of_csv_need_no_more_labels(write):
    path, labels = write("a.csv", "9,2,3,4\n" * 4), write("names", idx([3, 4, 5]))
    assert read(path, labels=labels, rows=2)[1].tolist() == [3, 4]


def test_images_and_labels_swapped(write):
    path, labels = write("pixels", idx(IMAGES)), write("names", idx([3, 4, 5]))
    message = f"{labels}: not images, found 1 dimension, expected 2 to 4, is it swapped with "
    check_error(labels, f"{message}the labels file {path}?", labels=path)


def test_images_instead_of_labels(write):
    path, labels = write("pixels", idx(IMAGES)), write("names", idx(IMAGES))
    message = f"{labels}: not labels, found shape 3 x 2 x 2, expected 1 dimension, is it swapped"
    check_error(path, f"{message} with the images file {path}?", labels=labels)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx([3, 4, 10]), ": label of row 3, found 10, expected an integer from 0 to 9"),
        ("3\n4\n10\n", ":3:1: label, found '10', expected an integer from 0 to 9"),
        ("3\n4.5\n6\n", ":2:1: label, found '4.5', expected an integer from 0 to 9"),
        ("3\n4,5\n6\n", ":2: row is too long, found 2 values, expected 1"),
        ("3,4\n", ":1: not labels, found 2 columns, expected one column of labels, is it swapped"),
    ],
    ids=["idx", "csv", "fraction", "row", "columns"],
)
def test_invalid_labels(write, content, message):
    path, labels = write("pixels", idx(IMAGES)), write("names", content)
    check_error(path, f"{labels}{message}", labels=labels, classes=10)


def test_missing_labels_file(write):
    with pytest.raises(FileNotFoundError, match="'nowhere'"):
        read(write("pixels", idx(IMAGES)), labels="nowhere")
    assert read(write("pixels", idx(IMAGES)), labels="nowhere", want_labels=False)[1] is None


FOUR = "9,2,3,4\n" * 4
HEADER_HINT = (
    "if line 1 of the labels is a header, remove it, or use --header yes if all CSV files have one "
    "(in Python header='yes')"
)


@pytest.mark.parametrize("zero", ["0", "0.0", '"0"'])
@pytest.mark.parametrize("images", ["pixels", "a.csv"])
@pytest.mark.parametrize("rows", [None, 2])
def test_zero_header_of_pandas(write, zero, images, rows):
    path = write(images, idx(np.zeros((4, 2, 2)))) if images == "pixels" else write(images, FOUR)
    labels = write("labels.csv", f"{zero}\n0\n1\n2\n3\n")
    message = (
        f"{path}: images and labels differ in number, found 4 images, expected 5 as in {labels}"
    )
    if zero != "0.0":  # which is no label
        check_error(path, f"{message}, {HEADER_HINT}", labels=labels, rows=rows)
    if images == "pixels":
        assert read(path, labels=labels, rows=rows, header="yes")[1].tolist() == [0, 1, 2, 3][:rows]


@pytest.mark.parametrize("rows", [None, 2])
@pytest.mark.parametrize("header", ["auto", "no"])
def test_label_0_in_the_first_line(write, rows, header):
    path, labels = write("a.csv", FOUR), write("labels.csv", "0\n1\n2\n3\n")
    assert read(path, labels=labels, rows=rows, header=header)[1].tolist() == [0, 1, 2, 3][:rows]


def test_header_of_both_files(write):
    path, labels = write("a.csv", "0,1\n5,6\n7,8\n"), write("labels.csv", "0\n3\n4\n")
    images, values = read(path, labels=labels, header="yes", label="none")
    assert (images.tolist(), values.tolist()) == ([[5, 6], [7, 8]], [3, 4])


def test_label_is_not_a_header(write):
    path, labels = write("pixels", idx(IMAGES)), write("labels.csv", "5\n3\n4\n5\n")
    message = f"{labels}:1: header of the labels, found '5', expected a word, or 0"
    check_error(path, message, labels=labels, header="yes")


def test_header_hint_only_for_one_label_more(write):
    path, labels = write("pixels", idx(IMAGES)), write("labels.csv", "0\n1\n2\n3\n4\n")
    with pytest.raises(DataError, match=re.escape(f"expected 5 as in {labels}") + "$"):
        read(path, labels=labels)


@pytest.mark.parametrize("damaged", [b"\xbd", b"%", b"-"])
def test_damaged_first_label_is_not_a_header(write, damaged):
    images, labels = write("pixels", idx(IMAGES)), write("labels.csv", damaged + b"\n4\n5\n6\n")
    check_error(images, f"{labels}:1:1: label", labels=labels)
