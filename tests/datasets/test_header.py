import pytest

from xpnet.datasets import read

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
def test_known_dialects(write, header, label):
    images, labels = read(write(header, "9,8,7,6,5"))
    values = [9, 8, 7, 6, 5]
    assert labels.tolist() == [values.pop(label)]
    assert images.tolist() == [values]


@pytest.mark.parametrize("header", ["pixel0,pixel1,pixel2,pixel3", "1x1,1x2,2x1,2x2"])
def test_header_without_a_label(write, header):
    images, labels = read(write(header, "9,8,7,6"))
    assert images.tolist() == [[9, 8, 7, 6]]
    assert labels is None


def test_columns_permuted(refused, write):
    path = write("label,pixel0,pixel2,pixel1,pixel3", "9,8,7,6,5")
    refused(path, ":1:3: column name out of order, found 'pixel2', expected pixel1")


def test_columns_repeated(refused, write):
    path = write("label,pixel0,pixel1,pixel1,pixel3", "9,8,7,6,5")
    refused(path, ":1:4: column name out of order, found 'pixel1', expected pixel2")


def test_rows_and_columns_of_the_picture_exchanged(refused, write):
    path = write("label,1x1,2x1,1x2,2x2", "9,8,7,6,5")
    refused(path, ":1:3: column name out of order, found '2x1', expected 1x2")


def test_unknown_column_names(refused, write):
    path = write("label,a,b", "9,8,7")
    refused(
        path,
        f":1:2: column name, found 'a', expected {KNOWN}, "
        "or remove the line if the columns are in order",
    )


def test_label_in_the_middle(refused, write):
    path = write("pixel0,label,pixel1", "1,2,3")
    rule = "none, or the first or last column"
    refused(path, f":1: label in the header, found column 2, expected {rule}")


def test_two_labels(refused, write):
    path = write("label,pixel0,class", "1,2,3")
    rule = "none, or the first or last column"
    refused(path, f":1: label in the header, found column 1 and column 3, expected {rule}")


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
def test_header_against_the_option(write, refused, header, label, found):
    path = write(header, "1,2,3")
    message = f":1: label in the header, found {found}, expected {label}, as the option says"
    refused(path, message, label=label)


@pytest.mark.parametrize(
    ("header", "label"), [("digit,pixel0,pixel1", "first"), ("pixel0,pixel1,digit", "last")]
)
def test_any_name_will_do_for_the_label_that_is_pointed_at(write, header, label):
    _, labels = read(write(header, "1,2,3"), label=label)
    assert labels.tolist() == [1 if label == "first" else 3]


def test_header_with_another_number_of_pixels(refused, write):
    path = write("label,pixel0,pixel1", "1,2,3")
    refused(path, ":1: header, found 2 pixel columns, expected 784", features=784)


def test_header_of_a_label_alone(refused, write):
    refused(write("label", "1"), ":1: header, found 0 pixel columns, expected at least 1")


def test_first_row_with_one_wrong_field_is_no_header(refused, write):
    path = write("1,0,abc,3,4")
    message = ":1:3: pixel is not a number, found 'abc', expected a whole number from 0 to 255"
    refused(path, message, label="first")
