import warnings

import pytest

from xpnet.datasets import read, stream
from xpnet.files import DataWarning, quoted

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
        "or say --header yes if the columns are in order",
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


NUMBERS = ",".join(map(str, range(16)))
FROM_ONE = ",".join(map(str, range(1, 17)))
FLOATS = ",".join(map(str, map(float, range(16))))
ROW = ",".join(["7"] * 16)
AMBIGUOUS = "first line, it may be a header or a row of values"
WAY_OUT = "say --header yes or no (in Python header='yes')"


def read_warned(path, low, high, **options):
    """Read a file whose header is numbers, which is told."""
    with pytest.warns(DataWarning, match="taken for a header") as told:
        found = read(path, **options)
    message = (
        f"{path}:1: numbers from {low} to {high} are taken for a header "
        "(--header no, in Python header='no': for a row of values)"
    )
    assert [str(warning.message) for warning in told] == [message]
    assert told[0].filename == __file__
    return found


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        (NUMBERS, 0, 15),
        (FROM_ONE, 1, 16),
        (FLOATS, 0, 15),
        (NUMBERS.replace(",", " , "), 0, 15),
        ('"' + NUMBERS.replace(",", '","') + '"', 0, 15),
        ("\ufeff" + NUMBERS, 0, 15),
        ("\n \n" + NUMBERS, 0, 15),
    ],
    ids=["from-0", "from-1", "floats", "blanks", "quotes", "byte-order-mark", "blank-lines"],
)
@pytest.mark.parametrize("floating", [False, True])
def test_numbers_that_count_up_are_a_header(write, header, low, high, floating):
    path = write(header, ROW)
    if header.startswith("\n"):
        with pytest.warns(DataWarning, match=":3: numbers from 0 to 15 are taken for a header"):
            images, labels = read(path, floating=floating)
    else:
        images, labels = read_warned(path, low, high, floating=floating)
    assert images.tolist() == [[7] * 16]
    assert labels is None


@pytest.mark.parametrize("numbers", [NUMBERS, FROM_ONE, FLOATS])
@pytest.mark.parametrize("side", ["first", "last"])
def test_numbers_beside_a_label(write, numbers, side):
    header, row = (f"label,{numbers}", f"3,{ROW}")
    if side == "last":
        header, row = f"{numbers},label", f"{ROW},3"
    low = int(float(numbers.split(",")[0]))
    images, labels = read_warned(write(header, row), low, low + 15)
    assert images.tolist() == [[7] * 16]
    assert labels.tolist() == [3]


@pytest.mark.parametrize("header", [f"0,{NUMBERS}", f"{NUMBERS},0", f"{NUMBERS},16"])
def test_a_label_among_numbers_is_found_as_without_a_header(write, header):
    values = ["3", *["0"] * 16] if header.startswith("0,0") else [*["0"] * 16, "3"]
    rows = [",".join(values), ",".join(values).replace("3", "5"), ",".join(values)]
    high = 16 if header.endswith("16") else 15
    images, labels = read_warned(write(header, *rows), 0, high)
    assert not images.any()
    assert labels.tolist() == [3, 5, 3]


def test_a_label_among_numbers_is_asked_for(write):
    path = write(f"{NUMBERS},16", f"0,{ROW}")
    with pytest.warns(DataWarning):
        assert read(path, label="first")[1].tolist() == [0]


@pytest.mark.parametrize("options", [{"header": "yes"}, {"label": "none", "header": "yes"}])
def test_a_header_that_is_asked_for_is_not_told(write, options):
    images, _ = read(write(NUMBERS, ROW), **options)
    assert images.tolist() == [[7] * 16]


def test_no_header_where_none_is_asked_for(write):
    images, _ = read(write(NUMBERS, ROW), header="no")
    assert images.tolist() == [list(range(16)), [7] * 16]


def test_a_stream_tells_of_a_header_once(write):
    blocks = stream(write(NUMBERS, ROW, ROW), block_rows=1)
    with pytest.warns(DataWarning) as told:
        assert len(list(blocks)) == 2
    assert [warning.filename for warning in told] == [__file__]


@pytest.mark.parametrize(
    "header",
    ["0", "1", "0,0", "0,1", "1,2,3,4", "0.0,1.0,2.0", "0,0,1", "0,1,0", "digit,0,1", NUMBERS[:-3]],
)
@pytest.mark.parametrize("floating", [False, True])
def test_a_few_numbers_may_be_a_row(refused, write, header, floating):
    found = f"found '{header}'"
    refused(write(header, header), f":1: {AMBIGUOUS}, {found}, {WAY_OUT}", floating=floating)


@pytest.mark.parametrize("header", ["0,1", "1,2,3,4"])
def test_the_way_out(write, header):
    path = write(header, header)
    rows = [[int(field) for field in header.split(",")]]
    assert read(path, header="yes", label="none")[0].tolist() == rows
    assert read(path, header="no", label="none")[0].tolist() == 2 * rows


@pytest.mark.parametrize(
    "numbers",
    [[1, 0, *range(2, 16)], list(range(16, 0, -1)), list(range(28, 56)), list(range(0, 255, 8))],
    ids=["exchanged", "reversed", "part", "steps"],
)
def test_numbers_of_columns_that_are_not_all_columns_in_order(refused, write, numbers):
    header = ",".join(map(str, numbers))
    path = write(header, ",".join(["7"] * len(numbers)))
    refused(path, f":1: {AMBIGUOUS}, found {quoted(header)}, {WAY_OUT}", label="none")
    if sorted(numbers) == numbers:
        assert read(path, header="yes", label="none")[0].tolist() == [[7] * len(numbers)]
    else:
        message = f":1:1: column name out of order, found '{numbers[0]}', expected {min(numbers)}"
        refused(path, message, label="none", header="yes")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (f",{NUMBERS}", ""),
        (f"Unnamed: 0,{NUMBERS}", "Unnamed: 0"),
        (",label,pixel0", ""),
        (f",{NUMBERS},label", ""),
        (",0,1", ""),
    ],
)
@pytest.mark.parametrize("options", [{}, {"header": "yes"}, {"label": "none"}])
def test_the_index_of_pandas(refused, write, header, name, options):
    row = ",".join(["0"] * (header.count(",") + 1))
    refused(
        write(header, row),
        f":1:1: column without a name, found '{name}', if it is the index of pandas, write the file"
        " by to_csv(index=False); if it is the label, say --label first (in Python label='first')",
        want_labels=False,
        **options,
    )


def test_an_index_of_labels(write):
    path = write(f",{NUMBERS}", f"3,{ROW}")
    with pytest.warns(DataWarning):
        assert read(path, label="first")[1].tolist() == [3]


def test_another_name_for_the_label_beside_numbers(refused, write):
    path = write(f"digit,{NUMBERS}", f"3,{ROW}")
    message = (
        ":1:1: column name out of order, found 'digit', expected 0, if it is the label, say --label"
        " first (in Python label='first')"
    )
    refused(path, message)
    for want_labels in (False, True):
        images, _ = read_warned(path, 0, 15, label="first", want_labels=want_labels)
        assert images.tolist() == [[7] * 16]


@pytest.mark.parametrize("header", ["V1,V2,V3,V4", "label,a,b,c", "5,5,5,5"])
def test_a_header_of_any_words(write, header):
    images, labels = read(write(header, "1,2,3,4"), header="yes")
    assert images.tolist() == ([[2, 3, 4]] if "label" in header else [[1, 2, 3, 4]])
    assert (labels is None) == ("label" not in header)


def test_known_names_are_in_order_in_a_header_that_is_asked_for(refused, write):
    path = write("label,pixel1,pixel0", "1,2,3")
    message = ":1:2: column name out of order, found 'pixel1', expected pixel0"
    refused(path, message, header="yes")


def test_names_in_a_row_that_is_asked_for(refused, write):
    message = ":1:1: pixel is not a number, found 'a', expected a whole number from 0 to 255"
    refused(write("a,b,c,d"), message, header="no")


@pytest.mark.parametrize("want_labels", [False, True])
@pytest.mark.parametrize("header", [NUMBERS, f"label,{NUMBERS}"])
def test_numbers_of_a_header_again_are_no_row(refused, write, header, want_labels):
    row = ROW if header == NUMBERS else f"3,{ROW}"
    path = write(header, row, header, row)
    message = (
        f":3: header line again, found '{header}', expected a row of values, "
        "was the file joined from several?"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        refused(path, message, want_labels=want_labels, floating=True)


def test_a_header_alone(write):
    images, labels = read_warned(write(NUMBERS), 0, 15)
    assert (images.shape, labels) == ((0, 16), None)


@pytest.mark.parametrize("header", ["a,b,c,d", "P", "row,p0,p1,p2", "x0,x1,x2,x3"])
def test_words_of_unknown_meaning_are_refused(write, refused, header):
    first = header.split(",")[0]
    row = ",".join("0" for _ in header.split(","))
    message = (
        f":1:1: column name, found {first!r}, expected label, then pixel0 ... or pixel1 ... or"
    )
    rest = "1x1, 1x2 ... in order, or say --header yes if the columns are in order"
    path = write(header, row)
    refused(path, f"{message} {rest}")
    assert read(path, header="yes", label="none")[0].tolist() == [[0] * len(header.split(","))]


COUNTED = ",".join(map(str, range(16)))
JOINED = ",".join(["7"] * 16)


@pytest.mark.parametrize(
    ("again", "options"),
    [
        (COUNTED, {}),
        (COUNTED.replace(",", ", "), {}),
        (",".join(f'"{i}"' for i in range(1, 17)), {}),
        (",".join(f"{i}.0" for i in range(16)), {"floating": True}),
    ],
    ids=["same", "spaced", "quoted", "floats"],
)
@pytest.mark.parametrize("first", ["pixel" + COUNTED.replace(",", ",pixel"), JOINED])
def test_numbers_of_columns_in_the_middle(write, refused, again, options, first):
    path = write(first, JOINED, again, JOINED)
    what = "header line again" if first.startswith("pixel") else "header line"
    found = f"{what}, found {quoted(again)}, expected a row of values"
    refused(path, f":3: {found}, was the file joined from several?", **options)
    if first == JOINED:
        assert len(read(path, header="no", **options)[0]) == 4


@pytest.mark.parametrize("side", ["first", "last"])
def test_numbers_of_columns_beside_a_label_in_the_middle(write, refused, side):
    row, again = f"{JOINED},7", ",".join(map(str, range(17)))
    path = write(row, again)
    found = f"header line, found {quoted(again)}, expected a row of values"
    refused(path, f":2: {found}, was the file joined from several?", label=side)
