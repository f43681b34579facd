"""Headers of numbers in CSV files, as pandas writes them."""

import warnings

import pytest

from xpnet.datasets import read, stream
from xpnet.files import DataWarning, quoted

NUMBERS = ",".join(map(str, range(16)))
FROM_ONE = ",".join(map(str, range(1, 17)))
FLOATS = ",".join(map(str, map(float, range(16))))
ROW = ",".join(["7"] * 16)
AMBIGUOUS = "ambiguous first line, a header or a row of values"
HEADER_HINT = "use --header yes or no (in Python header='yes')"


def read_warned(path, low, high, **options):
    """Read a file with a header of numbers, and check the warning."""
    with pytest.warns(DataWarning, match="read as a header") as caught:
        found = read(path, **options)
    message = (
        f"{path}:1: numbers from {low} to {high} are read as a header; "
        "if they are values, use --header no (in Python header='no')"
    )
    assert [str(warning.message) for warning in caught] == [message]
    assert caught[0].filename == __file__
    return found


@pytest.mark.parametrize(
    "header",
    [
        NUMBERS,
        FROM_ONE,
        FLOATS,
        NUMBERS.replace(",", " , "),
        '"' + NUMBERS.replace(",", '","') + '"',
    ],
    ids=["from-0", "from-1", "floats", "blanks", "quotes"],
)
@pytest.mark.parametrize("side", ["first", "last", "none"])
@pytest.mark.parametrize("floating", [False, True])
def test_numbers_that_count_up_are_a_header(write, header, side, floating):
    low = 1 if header == FROM_ONE else 0
    form = {"first": "{1},{0}", "last": "{0},{1}", "none": "{0}"}[side]
    path = write(form.format(header, "label"), form.format(ROW, 3))
    images, labels = read_warned(path, low, low + 15, floating=floating)
    assert images.tolist() == [[7] * 16]
    assert labels is None if side == "none" else labels.tolist() == [3]


@pytest.mark.parametrize(("start", "line"), [("\ufeff", 1), ("\n \n", 3)])
def test_numbers_after_a_byte_order_mark_or_blank_lines(write, start, line):
    with pytest.warns(DataWarning, match=f":{line}: numbers from 0 to 15 are read as a header"):
        images, labels = read(write(start + NUMBERS, ROW))
    assert (images.tolist(), labels) == ([[7] * 16], None)


@pytest.mark.parametrize("header", [f"0,{NUMBERS}", f"{NUMBERS},0", f"{NUMBERS},16"])
def test_label_column_below_a_header_of_numbers(write, header):
    values = ["3", *["0"] * 16] if header.startswith("0,0") else [*["0"] * 16, "3"]
    rows = [",".join(values), ",".join(values).replace("3", "5"), ",".join(values)]
    high = 16 if header.endswith("16") else 15
    images, labels = read_warned(write(header, *rows), 0, high)
    assert not images.any()
    assert labels.tolist() == [3, 5, 3]


@pytest.mark.parametrize("header", [f"{NUMBERS},16", f",{NUMBERS}"])
def test_label_option_below_a_header_of_numbers(write, header):
    path = write(header, f"3,{ROW}")
    with pytest.warns(DataWarning):
        assert read(path, label="first")[1].tolist() == [3]


@pytest.mark.parametrize("options", [{"header": "yes"}, {"label": "none", "header": "yes"}])
def test_no_warning_with_header_yes(write, options):
    images, _ = read(write(NUMBERS, ROW), **options)
    assert images.tolist() == [[7] * 16]


def test_header_no(write):
    images, _ = read(write(NUMBERS, ROW), header="no")
    assert images.tolist() == [list(range(16)), [7] * 16]


def test_stream_warns_once(write):
    blocks = stream(write(NUMBERS, ROW, ROW), block_rows=1)
    with pytest.warns(DataWarning) as caught:
        assert len(list(blocks)) == 2
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    "header",
    ["0", "1", "0,0", "0,1", "1,2,3,4", "0.0,1.0,2.0", "0,0,1", "0,1,0", "digit,0,1", NUMBERS[:-3]],
)
@pytest.mark.parametrize("floating", [False, True])
def test_few_numbers_are_ambiguous(rejected, write, header, floating):
    found = f"found '{header}'"
    path = write(header, header)
    rejected(path, f":1: {AMBIGUOUS}, {found}, {HEADER_HINT}", floating=floating)
    if "digit" not in header:
        row = [float(field) for field in header.split(",")]
        for option, rows in (("yes", [row]), ("no", [row, row])):
            images, _ = read(path, header=option, label="none", floating=True)
            assert images.tolist() == rows


@pytest.mark.parametrize(
    "numbers",
    [[1, 0, *range(2, 16)], list(range(16, 0, -1)), list(range(28, 56)), list(range(0, 255, 8))],
    ids=["exchanged", "reversed", "part", "steps"],
)
def test_column_numbers_out_of_order(rejected, write, numbers):
    header = ",".join(map(str, numbers))
    path = write(header, ",".join(["7"] * len(numbers)))
    rejected(path, f":1: {AMBIGUOUS}, found {quoted(header)}, {HEADER_HINT}", label="none")
    if sorted(numbers) == numbers:
        assert read(path, header="yes", label="none")[0].tolist() == [[7] * len(numbers)]
    else:
        message = f":1:1: column name out of order, found '{numbers[0]}', expected {min(numbers)}"
        rejected(path, message, label="none", header="yes")


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
def test_pandas_index(rejected, write, header, name, options):
    row = ",".join(["0"] * (header.count(",") + 1))
    rejected(
        write(header, row),
        f":1:1: column without a name, found '{name}', if it is a pandas index, write the file with"
        " to_csv(index=False); if it is the label, use --label first (in Python label='first')",
        want_labels=False,
        **options,
    )


def test_unknown_label_name_beside_numbers(rejected, write):
    path = write(f"digit,{NUMBERS}", f"3,{ROW}")
    message = (
        ":1:1: column name out of order, found 'digit', expected 0, if it is the label, use --label"
        " first (in Python label='first')"
    )
    rejected(path, message)
    for want_labels in (False, True):
        images, _ = read_warned(path, 0, 15, label="first", want_labels=want_labels)
        assert images.tolist() == [[7] * 16]


@pytest.mark.parametrize("want_labels", [False, True])
@pytest.mark.parametrize("header", [NUMBERS, f"label,{NUMBERS}"])
def test_repeated_header_of_numbers(rejected, write, header, want_labels):
    row = ROW if header == NUMBERS else f"3,{ROW}"
    path = write(header, row, header, row)
    message = (
        f":3: repeated header line, found '{header}', expected a row of values, "
        "was the file concatenated from several?"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        rejected(path, message, want_labels=want_labels, floating=True)


def test_header_without_rows(write):
    images, labels = read_warned(write(NUMBERS), 0, 15)
    assert (images.shape, labels) == ((0, 16), None)


@pytest.mark.parametrize(
    ("again", "options"),
    [
        (NUMBERS, {}),
        (NUMBERS.replace(",", ", "), {}),
        (",".join(f'"{i}"' for i in range(1, 17)), {}),
        (",".join(f"{i}.0" for i in range(16)), {"floating": True}),
    ],
    ids=["same", "spaced", "quoted", "floats"],
)
@pytest.mark.parametrize("first", ["pixel" + NUMBERS.replace(",", ",pixel"), ROW])
def test_header_of_numbers_in_the_middle(write, rejected, again, options, first):
    path = write(first, ROW, again, ROW)
    what = "repeated header line" if first.startswith("pixel") else "header line"
    found = f"{what}, found {quoted(again)}, expected a row of values"
    rejected(path, f":3: {found}, was the file concatenated from several?", **options)
    if first == ROW:
        assert len(read(path, header="no", **options)[0]) == 4


@pytest.mark.parametrize("side", ["first", "last"])
def test_header_of_numbers_beside_a_label_in_the_middle(write, rejected, side):
    row, again = f"{ROW},7", ",".join(map(str, range(17)))
    path = write(row, again)
    found = f"header line, found {quoted(again)}, expected a row of values"
    rejected(path, f":2: {found}, was the file concatenated from several?", label=side)
