import math

import pytest

from xpnet.datasets import read
from xpnet.datasets.columns import split


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["5,0,9,9,0", "0,0,9,9,0"], [5, 0]),
        (["0,9,9,0,5", "0,9,9,0,0"], [5, 0]),
        (["0.0,9,9,0,5"], [5]),
    ],
    ids=["first", "last", "decimal"],
)
def test_the_pixel_in_the_corner_tells_where_the_label_is(write, lines, expected):
    _, labels = read(write(*lines), floating=True)
    assert labels.tolist() == expected


def test_the_corner_is_looked_at_far_down_a_sorted_file(write):
    _, labels = read(write(*["0,9,9,0,0"] * 5000, "0,9,9,0,1"))
    assert labels[-1] == 1


@pytest.mark.parametrize("line", ["0,9,9,9,0", "5,9,9,9,5"], ids=["both-zero", "none-zero"])
def test_label_first_or_last_cannot_be_told(write, refused, line):
    refused(
        write(line),
        ":1: label column, it may be the first or the last, found 5 values a row, "
        "say --label first, last or none (in Python label='first')",
    )


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
        write("1,2,3"),
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
