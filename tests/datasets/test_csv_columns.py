import math
import re

import numpy as np
import pytest

from xpnet.datasets import read, sample, stream
from xpnet.datasets.csv_columns import split_fields
from xpnet.files import DataError

DARK = np.zeros((6, 16), int)
DARK[:, 5] = 200  # not at an edge
LIT = DARK.copy()
LIT[3, 0] = LIT[4, 15] = 7
NOISE = np.random.default_rng(0).integers(0, 10, DARK.shape)
LABELS = [5, 0, 4, 1, 9, 9]


@pytest.fixture
def write_table(tmp_path):
    """Write images with labels in the first or last column, as np.savetxt does."""

    def write(images, labels, side, fmt="%d"):
        columns = (labels, images) if side == "first" else (images, labels)
        np.savetxt(tmp_path / "a.csv", np.column_stack(columns), fmt, ",")
        return tmp_path / "a.csv"

    return write


@pytest.mark.parametrize("side", ["first", "last"])
@pytest.mark.parametrize("fmt", ["%d", "%.1f"])
def test_label_column_beside_dark_corners(write_table, side, fmt):
    images, labels = read(write_table(DARK, LABELS, side, fmt), floating=fmt == "%.1f")
    assert labels.tolist() == LABELS
    assert np.array_equal(images, DARK)


@pytest.mark.parametrize("side", ["first", "last"])
@pytest.mark.parametrize("rows", [1, 5, None])
@pytest.mark.parametrize("block_rows", [100, 4096])
def test_label_column_does_not_depend_on_rows(write_table, side, rows, block_rows):
    images, labels = np.tile(DARK, (350, 1)), np.repeat([0, 1], [2000, 100])
    path = write_table(images, labels, side)
    blocks = [values for _, values in stream(path, rows=rows, block_rows=block_rows)]
    assert np.array_equal(np.concatenate(blocks), labels[:rows])


@pytest.mark.parametrize("side", ["first", "last"])
@pytest.mark.parametrize(
    ("images", "labels"),
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
def test_ambiguous_label_column(write_table, images, labels, side):
    path = write_table(images, labels, side)
    with pytest.raises(DataError, match=":1: ambiguous label column, first or last"):
        read(path)
    found, values = read(path, label=side, want_labels=max(labels) < 256 and min(labels) >= 0)
    assert np.array_equal(found, images)
    assert values is None or values.tolist() == list(labels)


@pytest.mark.parametrize("labels", [LABELS, [0, 1, 2, 3, 3, 300]], ids=["9", "300"])
def test_label_column_is_below_classes(write_table, labels):
    with pytest.raises(DataError, match=r"0 to (9|300) in column 1 and only 0 in column 17"):
        read(write_table(DARK, labels, "first"), classes=9)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ("004", "0 to 4 in column 1 and only 255 in column 17, of 3 rows"),
        ("x", "nothing in column 1 and nothing in column 17, of 0 rows"),
    ],
)
def test_ambiguous_label_column_shows_the_values(write, rejected, labels, found):
    row = ",".join(["255"] * 16)
    rejected(
        write(*[f"{label},{row}" for label in labels]),
        f":1: ambiguous label column, first or last, found 17 values per row, {found}, use --label "
        "first, last or none (in Python label='first')",
    )


@pytest.mark.parametrize("fault", ["x", "1,2", "9,0,,9,0", "0," * 17 + "0"])
def test_invalid_row_is_ignored_until_it_is_read(write_table, fault):
    path = write_table(DARK, LABELS, "first")
    path.write_text(path.read_text() + fault)
    assert read(path, rows=6)[1].tolist() == LABELS
    with pytest.raises(DataError, match=re.escape(f"{path}:7:")):
        read(path)


@pytest.mark.parametrize("n_features", [12, 16])
def test_non_square_rows_have_no_corners(write_table, n_features):
    path = write_table(DARK[:, :n_features], LABELS, "last")
    if n_features == 16:
        assert read(path, features=n_features)[1].tolist() == LABELS
    else:
        with pytest.raises(DataError, match="ambiguous label column, first or last"):
            read(path, features=n_features)


@pytest.mark.parametrize(("label", "expected"), [("first", [5]), ("last", [6])])
def test_option_label(write, label, expected):
    images, labels = read(write("5,0,9,9,6"), label=label)
    assert labels.tolist() == expected
    assert images.shape == (1, 4)


def test_option_label_none(write):
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
def test_number_of_columns_differs_from_features(write, rejected, label, rule):
    path = write(",".join(["7"] * 65))
    message = f":1: row, found 65 values per row, expected {rule}"
    rejected(path, message, features=784, label=label)


def test_features_without_label(write):
    images, labels = read(write("5,0,9,9,6"), features=5)
    assert images.shape == (1, 5)
    assert labels is None


def test_number_of_columns_is_not_square(rejected, write):
    rejected(
        write("9,2,3"),
        ":1: row, found 3 values per row, expected a square number of pixels, with or without a "
        "label, use --label first, last or none (in Python label='first')",
    )


@pytest.mark.parametrize("n_pixels", [4, 9, 64, 784])
def test_square_number_of_columns(write, n_pixels):
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
    assert split_fields(line, delimiter) == expected


def test_split_long_quoted_field():
    field = "x" * 200_000
    assert split_fields(f'"{field}",b', ",") == [f'"{field}"', "b"]


@pytest.mark.parametrize("place", [0, 784])
@pytest.mark.parametrize(("n", "is_guessed"), [(10, True), (11, False), (100, False)])
def test_restarting_row_numbers_are_not_labels(tmp_path, place, n, is_guessed):
    images = sample()[0][:200].reshape(200, -1)
    table = np.insert(images, place, np.arange(200) % n, axis=1)
    path = tmp_path / "a.csv"
    np.savetxt(path, table, "%d", ",")
    if is_guessed:
        assert read(path)[1].tolist() == (np.arange(200) % n).tolist()
    else:
        with pytest.raises(DataError, match="ambiguous label column, first or last"):
            read(path)
