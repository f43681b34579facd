import math
import re

import numpy as np
import pytest

from xpnet.datasets import read, sample, stream
from xpnet.datasets.csv_columns import split
from xpnet.files import DataError

DARK = np.zeros((6, 16), int)
DARK[:, 5] = 200  # not at an edge
LIT = DARK.copy()
LIT[3, 0] = LIT[4, 15] = 7
NOISE = np.random.default_rng(0).integers(0, 10, DARK.shape)
LABELS = [5, 0, 4, 1, 9, 9]


@pytest.fixture
def write_table(tmp_path):
    """Write pictures with labels on a side, as np.savetxt does."""

    def write(pictures, labels, side, fmt="%d"):
        columns = (labels, pictures) if side == "first" else (pictures, labels)
        np.savetxt(tmp_path / "a.csv", np.column_stack(columns), fmt, ",")
        return tmp_path / "a.csv"

    return write


@pytest.mark.parametrize("side", ["first", "last"])
@pytest.mark.parametrize("fmt", ["%d", "%.1f"])
def test_dark_corners_and_labels_that_repeat_tell_where_the_label_is(write_table, side, fmt):
    images, labels = read(write_table(DARK, LABELS, side, fmt), floating=fmt == "%.1f")
    assert labels.tolist() == LABELS
    assert np.array_equal(images, DARK)


@pytest.mark.parametrize("side", ["first", "last"])
@pytest.mark.parametrize("rows", [1, 5, None])
@pytest.mark.parametrize("block_rows", [100, 4096])
def test_the_labels_of_a_sorted_file_are_found_whatever_number_of_rows_is_wanted(
    write_table, side, rows, block_rows
):
    pictures, labels = np.tile(DARK, (350, 1)), np.repeat([0, 1], [2000, 100])
    path = write_table(pictures, labels, side)
    blocks = [values for _, values in stream(path, rows=rows, block_rows=block_rows)]
    assert np.array_equal(np.concatenate(blocks), labels[:rows])


@pytest.mark.parametrize("side", ["first", "last"])
@pytest.mark.parametrize(
    ("pictures", "labels"),
    [
        (255 - DARK, [0] * 6),
        (255 - DARK, [5] * 6),
        (255 - DARK, LABELS),
        (NOISE, [0] * 6),
        (NOISE, LABELS),
        (LIT, LABELS),
        (DARK, [0] * 6),
        (DARK, [3] * 6),
        (0 * DARK, [0] * 6),
        (DARK, range(6)),
        (DARK, [4, 2, 5, 0, 1, 3]),
        (DARK, [5, 0, 4, 1, 9, 256]),
        (DARK, [5, 0, 4, 1, 9, -9]),
        (DARK[:1], [5]),
        (DARK[:2], [5, 0]),
        (DARK[:, :9], LABELS),
        (DARK[:, :1], LABELS),
    ],
    ids=[
        "inverted-0", "inverted-5", "inverted", "noise-0", "noise", "lit-corner",
        "only-0", "only-3", "blank", "row-numbers", "shuffled-row-numbers", "large", "negative",
        "one-row", "two-rows", "3x3", "1x1",
    ],
)  # fmt: skip
def test_without_evidence_the_label_is_asked_for(write_table, pictures, labels, side):
    path = write_table(pictures, labels, side)
    with pytest.raises(DataError, match=":1: label column, it may be the first or the last"):
        read(path)
    images, values = read(path, label=side, want_labels=max(labels) < 256 and min(labels) >= 0)
    assert np.array_equal(images, pictures)
    assert values is None or values.tolist() == list(labels)


@pytest.mark.parametrize("labels", [LABELS, [0, 1, 2, 3, 3, 300]], ids=["9", "300"])
def test_labels_are_below_the_number_of_classes(write_table, labels):
    with pytest.raises(DataError, match=r"0 to (9|300) in column 1 and only 0 in column 17"):
        read(write_table(DARK, labels, "first"), classes=9)


def test_what_was_seen_is_said(write, refused):
    row = ",".join(["255"] * 16)
    refused(
        write(f"0,{row}", f"0,{row}", f"4,{row}"),
        ":1: label column, it may be the first or the last, found 17 values a row, 0 to 4 in "
        "column 1 and only 255 in column 17, of 3 rows, say --label first, last or none (in "
        "Python label='first')",
    )


@pytest.mark.parametrize("fault", ["x", "1,2", "9,0,,9,0", "0," * 17 + "0"])
def test_a_faulty_row_is_no_evidence_and_is_found_when_it_is_read(write_table, fault):
    path = write_table(DARK, LABELS, "first")
    path.write_text(path.read_text() + fault)
    assert read(path, rows=6)[1].tolist() == LABELS
    with pytest.raises(DataError, match=re.escape(f"{path}:7:")):
        read(path)


@pytest.mark.parametrize("n_features", [12, 16])
def test_numbers_that_are_no_picture_have_no_corners(write_table, n_features):
    path = write_table(DARK[:, :n_features], LABELS, "last")
    if n_features == 16:
        assert read(path, features=n_features)[1].tolist() == LABELS
    else:
        with pytest.raises(DataError, match="label column, it may be the first or the last"):
            read(path, features=n_features)


@pytest.mark.parametrize(("label", "expected"), [("first", [5]), ("last", [6])])
def test_the_option_wins(write, label, expected):
    images, labels = read(write("5,0,9,9,6"), label=label)
    assert labels.tolist() == expected
    assert images.shape == (1, 4)


def test_the_option_none_takes_all_columns(write):
    images, labels = read(write("5,0,9,9,6"), label="none")
    assert images.tolist() == [[5, 0, 9, 9, 6]]
    assert labels is None


@pytest.mark.parametrize(
    ("label", "rule"),
    [
        ("auto", "784 pixels, with or without a label"),
        ("first", "784 pixels, and a label"),
        ("last", "784 pixels, and a label"),
        ("none", "784 pixels, without a label"),
    ],
)
def test_another_number_of_columns_than_the_network_has(write, refused, label, rule):
    path = write(",".join(["7"] * 65))
    message = f":1: row, found 65 values a row, expected {rule}"
    refused(path, message, features=784, label=label)


def test_features_tell_that_there_is_no_label(write):
    images, labels = read(write("5,0,9,9,6"), features=5)
    assert images.shape == (1, 5)
    assert labels is None


def test_a_number_of_columns_that_fits_no_picture(refused, write):
    refused(
        write("9,2,3"),
        ":1: row, found 3 values a row, expected a square number of pixels, with or without a "
        "label, say --label first, last or none (in Python label='first')",
    )


@pytest.mark.parametrize("n_pixels", [4, 9, 64, 784])
def test_a_square_number_of_columns_has_no_label(write, n_pixels):
    assert math.isqrt(n_pixels) ** 2 == n_pixels
    images, labels = read(write(",".join(["7"] * n_pixels)))
    assert images.shape == (1, n_pixels)
    assert labels is None


@pytest.mark.parametrize(
    ("line", "delimiter", "expected"),
    [
        ("a,b\n", ",", ["a", "b"]),
        ('"a,b",c\n', ",", ["a,b", "c"]),
        ("a,,\n", ",", ["a", "", ""]),
        (" a  b\tc \n", " ", ["a", "b", "c"]),
        ('a,"b\n', ",", ["a", "b\n"]),
    ],
)
def test_split(line, delimiter, expected):
    assert split(line, delimiter) == expected


def test_split_takes_quoted_fields_of_any_length():
    field = "x" * 200_000
    assert split(f'"{field}",b', ",") == [f'"{field}"', "b"]


@pytest.mark.parametrize("place", [0, 784])
@pytest.mark.parametrize(("n", "is_guessed"), [(10, True), (11, False), (100, False)])
def test_row_numbers_that_begin_anew_are_no_labels(tmp_path, place, n, is_guessed):
    images = sample()[0][:200].reshape(200, -1)
    table = np.insert(images, place, np.arange(200) % n, axis=1)
    path = tmp_path / "a.csv"
    np.savetxt(path, table, "%d", ",")
    if is_guessed:
        assert read(path)[1].tolist() == (np.arange(200) % n).tolist()
    else:
        with pytest.raises(DataError, match="label column, it may be the first or the last"):
            read(path)
