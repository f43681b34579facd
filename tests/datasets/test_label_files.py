import gzip
import re

import numpy as np
import pytest

from xpnet.datasets import read, stream
from xpnet.datasets.label_files import labels_beside
from xpnet.files import DataError

IMAGES = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)


def idx(array):
    array = np.asarray(array, np.uint8)
    header = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


@pytest.fixture
def write(tmp_path):
    def write_file(name, content):
        path = tmp_path / name
        if isinstance(content, np.ndarray):
            np.save(path, content)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def refused(path, message, **options):
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
def test_labels_are_found_by_the_usual_name(write, images, labels):
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
        ("packed", gzip.compress(idx([3, 4, 5]))),
        ("values.npy", np.array([3, 4, 5])),
        ("column.npy", np.array([[3.0], [4.0], [5.0]])),
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


def test_labels_of_an_npz_file(write, tmp_path):
    np.savez(tmp_path / "a.npz", x=IMAGES, y=[3, 4, 5])
    path = write("pixels", idx(IMAGES))
    assert read(path, labels=tmp_path / "a.npz")[1].tolist() == [3, 4, 5]


def test_a_file_of_labels_wins_over_a_column(write):
    path = write("a.csv", "label,pixel0\n9,1\nbad,2\n8,3\n")
    images, labels = read(path, labels=write("labels", idx([3, 4, 5])))
    assert images.tolist() == [[1], [2], [3]]
    assert labels.tolist() == [3, 4, 5]


@pytest.mark.parametrize("rows", [None, 1])
def test_another_number_of_labels_names_both_files(write, rows):
    path, labels = write("pixels", idx(IMAGES)), write("names", idx([3, 4]))
    message = (
        f"{path}: images and labels differ in number, found 3 images, expected 2 as in {labels}"
    )
    refused(path, message, labels=labels, rows=rows)


@pytest.mark.parametrize("n_images", [2, 4])
def test_another_number_of_labels_than_lines_names_both_files(write, n_images):
    path, labels = write("a.csv", "9,2,3,4\n" * n_images), write("names", idx([3, 4, 5]))
    message = f"{path}: images and labels differ in number, found {n_images} images, expected 3 as"
    refused(path, f"{message} in {labels}", labels=labels)


def test_rows_of_images_without_a_count_need_as_many_labels_at_least(write):
    path, labels = write("a.csv", "9,2,3,4\n" * 4), write("names", idx([3, 4, 5]))
    assert read(path, labels=labels, rows=2)[1].tolist() == [3, 4]
    refused(path, "found 4 images, expected 3 as in", labels=labels, rows=4)


def test_images_and_labels_swapped_names_both_files(write):
    path, labels = write("pixels", idx(IMAGES)), write("names", idx([3, 4, 5]))
    message = f"{labels}: not images, found 1 dimension, expected 2 to 4, is it swapped with "
    refused(labels, f"{message}the labels file {path}?", labels=path)


def test_images_for_labels_names_both_files(write):
    path, labels = write("pixels", idx(IMAGES)), write("names", idx(IMAGES))
    message = f"{labels}: not labels, found shape 3 x 2 x 2, expected 1 dimension, is it swapped"
    refused(path, f"{message} with the images file {path}?", labels=labels)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx([3, 4, 10]), ": label of row 3, found 10, expected a whole number from 0 to 9"),
        ("3\n4\n10\n", ":3:1: label, found '10', expected a whole number from 0 to 9"),
        ("3\n4.5\n6\n", ":2:1: label, found '4.5', expected a whole number from 0 to 9"),
        ("3\n4,5\n6\n", ":2: row is too long, found 2 values, expected 1"),
        ("3,4\n", ":1: not labels, found 2 columns, expected one column of labels"),
    ],
    ids=["idx", "csv", "fraction", "row", "columns"],
)
def test_wrong_labels(write, content, message):
    path, labels = write("pixels", idx(IMAGES)), write("names", content)
    refused(path, f"{labels}{message}", labels=labels, classes=10)


def test_missing_file_of_labels_keeps_its_text(write):
    with pytest.raises(FileNotFoundError, match="'nowhere'"):
        read(write("pixels", idx(IMAGES)), labels="nowhere")
    assert read(write("pixels", idx(IMAGES)), labels="nowhere", want_labels=False)[1] is None


FOUR = "9,2,3,4\n" * 4
HEADER_HINT = (
    "if line 1 of the labels is a header, remove it, or say --header yes if all CSV files have one "
    "(in Python header='yes')"
)


@pytest.mark.parametrize("zero", ["0", "0.0", '"0"'])
@pytest.mark.parametrize("images", ["pixels", "a.csv"])
@pytest.mark.parametrize("rows", [None, 2])
def test_a_zero_that_pandas_writes_above_labels(write, zero, images, rows):
    path = write(images, idx(np.zeros((4, 2, 2)))) if images == "pixels" else write(images, FOUR)
    labels = write("labels.csv", f"{zero}\n0\n1\n2\n3\n")
    message = (
        f"{path}: images and labels differ in number, found 4 images, expected 5 as in {labels}"
    )
    if zero != "0.0":  # which is no label
        refused(path, f"{message}, {HEADER_HINT}", labels=labels, rows=rows)
    if images == "pixels":
        assert read(path, labels=labels, rows=rows, header="yes")[1].tolist() == [0, 1, 2, 3][:rows]


@pytest.mark.parametrize("rows", [None, 2])
@pytest.mark.parametrize("header", ["auto", "no"])
def test_a_label_0_in_the_first_line_is_a_label(write, rows, header):
    path, labels = write("a.csv", FOUR), write("labels.csv", "0\n1\n2\n3\n")
    assert read(path, labels=labels, rows=rows, header=header)[1].tolist() == [0, 1, 2, 3][:rows]


def test_both_files_have_a_header(write):
    path, labels = write("a.csv", "0,1\n5,6\n7,8\n"), write("labels.csv", "0\n3\n4\n")
    images, values = read(path, labels=labels, header="yes", label="none")
    assert (images.tolist(), values.tolist()) == ([[5, 6], [7, 8]], [3, 4])


def test_a_label_is_no_header(write):
    path, labels = write("pixels", idx(IMAGES)), write("labels.csv", "5\n3\n4\n5\n")
    message = f"{labels}:1: header of the labels, found '5', expected a word, or 0"
    refused(path, message, labels=labels, header="yes")


def test_no_other_difference_is_put_down_to_a_header(write):
    path, labels = write("pixels", idx(IMAGES)), write("labels.csv", "0\n1\n2\n3\n4\n")
    with pytest.raises(DataError, match=re.escape(f"expected 5 as in {labels}") + "$"):
        read(path, labels=labels)


@pytest.mark.parametrize("damaged", [b"\xbd", b"%", b"-"])
def test_a_damaged_first_label_is_no_header(write, damaged):
    images, labels = write("pixels", idx(IMAGES)), write("labels.csv", damaged + b"\n4\n5\n6\n")
    refused(images, f"{labels}:1:1: label", labels=labels)
