"""CSV tables of measurements: which column is the label, and what is missing."""

import re

import numpy as np
import pytest

from xpnet.datasets import read
from xpnet.files import DataError, DataWarning

NUMBERS = [[5.1, 3.5], [4.9, 3.0], [6.3, 3.3], [5.8, 2.7]]
NAMES = ["setosa", "setosa", "Iris, groß", "Äsop"]
ROWS = [f'{a},{b},"{name}"' for (a, b), name in zip(NUMBERS, NAMES, strict=True)]


def check_iris(found):
    images, labels = found
    assert images.dtype == np.float32
    assert images.tolist() == np.float32(NUMBERS).tolist()
    assert labels.tolist() == NAMES


@pytest.mark.parametrize(
    "header",
    [
        *("length (cm),width (cm),species", "length,width,class", "100% a,5 min,Art / Größe"),
        *("Sepal.Length,Sepal.Width,Species", None),
    ],
)
def test_the_only_column_of_text_is_the_label(write, header):
    check_iris(read(write(*[header] * (header is not None), *ROWS)))


def test_a_label_may_be_in_the_middle(write):
    rows = [f"{a},{name},{b}" for (a, b), name in zip(NUMBERS, ["x", "y", "z", "z"], strict=True)]
    images, labels = read(write("a,b,c", *rows))
    assert images.tolist() == np.float32(NUMBERS).tolist()
    assert labels.tolist() == ["x", "y", "z", "z"]


@pytest.mark.parametrize("name", ["Id", '""', "Unnamed: 0", "index", "customer_id"])
def test_row_numbers_are_left_out(write, name):
    path = write(f"{name},a,b,Species", *(f"{7 - i},{row}" for i, row in enumerate(ROWS)))
    with pytest.warns(DataWarning, match=r"column 1, '.*', is left out as row numbers") as caught:
        check_iris(read(path))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("header", [[], ["p,q,r,s"]])
def test_row_numbers_without_a_name(write, header):
    with pytest.warns(DataWarning, match="column 1, .*, is left out as row numbers"):
        images, _ = read(write(*header, *(f"{i},{row}" for i, row in enumerate(2 * ROWS))))
    assert images.shape == (8, 2)


def test_decimal_commas(write):
    rows = [
        f"{a};{b};{name}".replace(".", ",", 2) for (a, b), name in zip(NUMBERS, NAMES, strict=True)
    ]
    for lines in (rows, ["a;b;Art", *rows]):
        path = write(*lines)
        with pytest.raises(DataError, match=r":1: no comma .* try --delimiter ';'"):
            read(path)
        check_iris(read(path, delimiter=";"))


@pytest.mark.parametrize("others", ["5.5", "1.5e3"])
def test_commas_beside_points_are_no_decimal_commas(write, others):
    path = write("a\tb\tkind", f"{others}\t4,788\tx", f"{others}\t359\ty")
    with pytest.raises(DataError, match=r":2:2: value is not a number, found '4,788'"):
        read(path, delimiter="\t")


def test_dates_beside_decimal_commas(write):
    path = write("a;day;kind", "5,5;12.03.2020;x", "7,5;13.03.2020;y")
    images, _ = read(path, delimiter=";", drop=["day"], label="kind")
    assert images.tolist() == [[5.5], [7.5]]


@pytest.mark.parametrize(
    ("header", "values", "place"),
    [
        ("a,b,quality", [(1.5, 300, 5), (2.5, -7, 5), (3, 12, 6)], 2),
        ("kind,b,c", [(1, 300, 1.5), (1, -7, 2.5), (2, 12, 3)], 0),
        (None, [(1, 0.5, 1065.2), (1, 0.7, 985.1), (2, 0.9, 735.3)], 0),
    ],
)
def test_class_numbers_in_the_first_or_last_column(write, header, values, place):
    path = write(*[header] * (header is not None), *(",".join(map(str, x)) for x in values))
    with pytest.warns(DataWarning, match=rf"column {place + 1}, '.*', is read as the label"):
        images, labels = read(path)
    assert labels.tolist() == [row[place] for row in values]
    assert images.shape == (3, 2)
    assert read(path, features=3)[1] is None  # the network has an input for each column
    numbers, _ = read(path, label="none")
    assert numbers.tolist() == np.float32(values).tolist()


def test_options_choose_columns(write):
    path = write("id,Survived,Name,Age", "7,0,A B,22", '9,1,"C, D",38', "2,1,E,26")
    with pytest.warns(DataWarning, match="row numbers"):
        images, labels = read(path, label="Survived", drop=["Name"])
    assert (images.tolist(), labels.tolist()) == ([[22], [38], [26]], [0, 1, 1])
    assert read(path, label="Survived", drop=["1", "3"])[0].tolist() == images.tolist()
    with pytest.raises(DataError, match="no column 'name', found 'id', 'Survived', 'Name', 'Age'"):
        read(path, label="Survived", drop=["name"])
    with pytest.raises(TypeError, match="`drop` must be a sequence of names; got 'Name'"):
        read(path, label="Survived", drop="Name")


def test_all_that_is_missing_is_said_at_once(write, rejected):
    lines = ["Adelie,Biscoe,39.1,male", "Gentoo,Dream,,male", "Adelie,Dream,NA,", "X,Y,3,female"]
    path = write("species,island,bill,sex", *lines)
    message = (
        ": text in 'species', 'island', 'sex'; values missing in 'bill' (line 3, 4), --label NAME"
        " chooses the label, --drop 'species,island,sex' leaves columns out; complete or"
        " remove these lines"
    )
    rejected(path, message)
    message = (
        ": text in 'island', 'sex'; values missing in 'bill' (line 3, 4), --drop 'island,sex'"
        " leaves columns out; complete or remove these lines"
    )
    rejected(path, message, label="species")
    rejected(
        path,
        ": values missing in 'bill' (line 3, 4), complete or remove these lines",
        label="species",
        drop=["island", "sex"],
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,b,class,y", "1,2,3,4.5"], ": ambiguous label column, found 'class', 'y', use --label"),
        (["a,b,c", "1,7,1", "1,300,1", "2,-4,2"], ": ambiguous label column, found 'a', 'c', use"),
        (
            ["a,b,name", *[f"{i / 2},1,n{i % 299}" for i in range(300)]],
            ": 299 different labels, more",
        ),
        (
            ["a,b,name", *[f"{i / 2},1,n{i}" for i in range(6)]],
            ": text in 'name', --label NAME choo",
        ),
        (["a,b,name", "1.5,2,x", "1.5,2"], ":3: row is too short, found 2 values, expected 3"),
        (["a,b,name", *["1.5,2,x"] * 30, "1.5,?x,y"], ":32:2: value is not a number, found '?x'"),
        (
            ["a,b,name", "1.5,2,x", "1.5,2,\x1b[1m"],
            ":3:3: label, found '\\x1b[1m', expected a name",
        ),
        (["a,b,class", "1.5,2,1", "1.5,2,-1"], ":3:3: label, found '-1', expected an integer"),
    ],
)
def test_tables_that_cannot_be_read(write, lines, message):
    with pytest.raises(DataError, match=re.escape(message)):
        read(write(*lines))


def test_the_file_is_not_utf8(tmp_path):
    (tmp_path / "a.csv").write_text("\n".join(["a,b,art", *ROWS]), "latin-1")
    with pytest.raises(DataError, match=r":4:3: label is not UTF-8 text, found 'Iris, gro\\xdf'"):
        read(tmp_path / "a.csv")


def test_the_network_has_other_inputs(write, rejected):
    message = (
        ": 2 instead of 3 columns of numbers, 'a', 'b', --label, --drop and --model choose others"
    )
    rejected(write("a,b,species", *ROWS), message, features=3)


@pytest.mark.parametrize("header", ["label,pixel0,pixel1,pixel2,pixel3", None])
def test_pixels_with_names_of_classes_are_bytes(write, header):
    n = 4 if header else 64
    rows = [f"{name},{','.join(['7'] * n)}" for name in ("cat", "dog", "cat")]
    images, labels = read(write(*[header] * (header is not None), *rows))
    assert (images.dtype, labels.tolist()) == (np.uint8, ["cat", "dog", "cat"])
    assert images.shape == (3, n)


def test_pixels_of_fractions_need_no_option(write):
    images, labels = read(write("label,pixel0,pixel1", "3,0.0,0.5", "1,1.0,0.25"))
    assert images.tolist() == [[0, 0.5], [1, 0.25]]
    assert labels.tolist() == [3, 1]


def test_an_unwanted_label_may_be_missing(write):
    images, labels = read(write("a,b,species", "1.5,2.5,x", "1.5,2.5,"), want_labels=False)
    assert (images.shape, labels) == ((2, 2), None)


@pytest.mark.parametrize("options", [{"label": "species"}, {"drop": ["a"]}])
def test_other_formats_have_no_names_of_columns(options):
    with pytest.raises(DataError, match="only CSV files have names of columns: leave out --label"):
        read("sample", **options)


def test_blank_lines_between_blanks(write):
    assert read(write("  ", "5 2", " ", "3 4"), delimiter="space", label="none")[0].shape == (2, 2)
