"""Headers of names in CSV files."""

import pytest

from xpnet.datasets import read

INTEGER = "an integer from 0 to 255"
KNOWN = "label, then pixel0 ... or pixel1 ... or 1x1, 1x2 ... in order"


@pytest.mark.parametrize(
    ("header", "label"),
    [
        ("label,pixel0,pixel1,pixel2,pixel3", 0),
        ("pixel0,pixel1,pixel2,pixel3,label", 4),
        ("label,pixel1,pixel2,pixel3,pixel4", 0),
        ("pixel1,pixel2,pixel3,pixel4,class", 4),
        ("label,1x1,1x2,2x1,2x2", 0),
        ("target,0,1,2,3", 0),
        ("y,1,2,3,4", 0),
        ("LABEL,PIXEL0,PIXEL1,PIXEL2,PIXEL3", 0),
        ('"label","pixel0","pixel1","pixel2","pixel3"', 0),
    ],
)
def test_known_names(write, header, label):
    images, labels = read(write(header, "9,8,7,6,5"))
    values = [9, 8, 7, 6, 5]
    assert labels.tolist() == [values.pop(label)]
    assert images.tolist() == [values]


@pytest.mark.parametrize("header", ["pixel0,pixel1,pixel2,pixel3", "1x1,1x2,2x1,2x2"])
def test_header_without_a_label(write, header):
    images, labels = read(write(header, "9,8,7,6"))
    assert images.tolist() == [[9, 8, 7, 6]]
    assert labels is None


ONE_LABEL = "none, or the first or last column"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "label,pixel0,pixel2,pixel1,pixel3",
            ":1:3: column name out of order, found 'pixel2', expected pixel1",
        ),
        (
            "label,pixel0,pixel1,pixel1,pixel3",
            ":1:4: column name out of order, found 'pixel1', expected pixel2",
        ),
        ("label,1x1,2x1,1x2,2x2", ":1:3: column name out of order, found '2x1', expected 1x2"),
        ("pixel0,label,pixel1", f":1: label in the header, found column 2, expected {ONE_LABEL}"),
        (
            "label,pixel0,class",
            f":1: label in the header, found column 1 and column 3, expected {ONE_LABEL}",
        ),
        ("label", ":1: header, found 0 pixel columns, expected at least 1"),
    ],
    ids=["permuted", "repeated", "transposed", "middle", "two labels", "label alone"],
)
def test_invalid_header(rejected, write, header, message):
    rejected(write(header, header.replace("label", "1")), message)


@pytest.mark.parametrize(
    ("header", "label", "found"),
    [
        ("label,pixel0,pixel1", "last", "column 1"),
        ("label,pixel0,pixel1", "none", "column 1"),
        ("pixel0,pixel1,label", "first", "column 3"),
        ("pixel0,pixel1,pixel2", "first", "none"),
        ("pixel0,pixel1,pixel2", "last", "none"),
    ],
)
def test_header_contradicts_label(write, rejected, header, label, found):
    path = write(header, "1,2,3")
    rule = f"{label}, as set by --label (in Python label=)"
    message = f":1: label in the header, found {found}, expected {rule}"
    rejected(path, message, label=label)


@pytest.mark.parametrize(
    ("header", "label"), [("digit,pixel0,pixel1", "first"), ("pixel0,pixel1,digit", "last")]
)
def test_label_selected_by_the_option_has_any_name(write, header, label):
    _, labels = read(write(header, "1,2,3"), label=label)
    assert labels.tolist() == [1 if label == "first" else 3]


def test_number_of_pixels_is_not_features(rejected, write):
    path = write("label,pixel0,pixel1", "1,2,3")
    rejected(path, ":1: header, found 2 pixel columns, expected 784", features=784)


def test_first_row_with_an_invalid_field_is_not_a_header(rejected, write):
    message = f":1:3: pixel is not a number, found 'abc', expected {INTEGER}"
    rejected(write("1,0,abc,3,4"), message, label="first")


@pytest.mark.parametrize("header", ["V1,V2,V3,V4", "label,a,b,c", "5,5,5,5"])
def test_header_yes_accepts_any_words(write, header):
    images, labels = read(write(header, "1,2,3,4"), header="yes")
    assert images.tolist() == ([[2, 3, 4]] if "label" in header else [[1, 2, 3, 4]])
    assert (labels is None) == ("label" not in header)


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        (
            ["label,pixel1,pixel0", "1,2,3"],
            "yes",
            ":1:2: column name out of order, found 'pixel1', expected pixel0",
        ),
        (["a,b,c,d"], "no", f":1:1: pixel is not a number, found 'a', expected {INTEGER}"),
    ],
)
def test_option_header_does_not_fit(rejected, write, lines, header, message):
    rejected(write(*lines), message, header=header)


@pytest.mark.parametrize("header", ["P", ",".join(f"x{i}" for i in range(64))])
def test_unknown_names(write, rejected, header):
    path = write(header, ",".join("0" for _ in header.split(",")))
    found = f"found {header.split(',')[0]!r}, expected {KNOWN}"
    rejected(path, f":1:1: column name, {found}, or use --header yes if the columns are in order")
    assert read(path, header="yes", label="none")[0].tolist() == [[0] * len(header.split(","))]
