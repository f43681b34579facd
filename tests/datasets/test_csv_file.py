import gzip
import io
import sys

import numpy as np
import pytest

from xpnet.datasets import csv_file, read, stream
from xpnet.files import DataError, quoted

HEADER = "label,pixel0,pixel1,pixel2,pixel3\n"
ROWS = "1,0,2,3,0\n2,255,6,7,0\n"
GOOD = HEADER + ROWS
IMAGES = [[0, 2, 3, 0], [255, 6, 7, 0]]
LABELS = [1, 2]
INTEGER = "an integer from 0 to 255"


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD.removesuffix("\n"),
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\n\n \t \n"),
        gzip.compress(GOOD.encode()),
        GOOD.replace(",", ", "),
        GOOD.replace("1,0", '"1","0"').replace("label", '"label"'),
        GOOD.replace("label", " LABEL ").replace("pixel", "Pixel"),
    ],
    ids=["lf", "crlf", "cr", "no-final", "bom", "blank-lines", "gzip", "spaces", "quotes", "case"],
)
def test_equivalent_files(write, content):
    images, labels = read(write(content))
    assert (images.dtype, labels.dtype) == (np.uint8, np.uint8)
    assert images.tolist() == IMAGES
    assert labels.tolist() == LABELS
    assert images.flags.writeable
    assert images.flags.c_contiguous


def test_standard_input_and_rows_before_an_invalid_line(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{GOOD}broken".encode())))
    images, labels = read("-", rows=2)
    assert (images.tolist(), labels.tolist()) == (IMAGES, LABELS)


def test_blank_lines_count_in_line_numbers(write, rejected):
    error = rejected(
        write(HEADER + "1,0,2,3,4\n\n  \n2,0,256,7,8\n"),
        f":5:3: pixel, found '256', expected {INTEGER}",
    )
    assert (error.line, error.column) == (5, 3)


def test_lines_after_the_first_block_keep_their_numbers(write, rejected):
    text = HEADER + "1,0,2,3,4\n" * 10_000 + "1,0,2,3,x\n"
    rejected(write(text), f":10002:5: pixel is not a number, found 'x', expected {INTEGER}")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2,3", "row is too short, found 3 values, expected 5"),
        ("1,2,3,4,5,6", "row is too long, found 6 values, expected 5"),
        ("1,2,3,4,5,", "row is too long, found 6 values, expected 5, the line ends in a delimiter"),
    ],
)
def test_row_of_another_length(write, rejected, row, message):
    rejected(write(f"{GOOD}{row}\n"), f":4: {message}")


@pytest.mark.parametrize(
    ("complaint", "field"),
    [
        *[(" is missing", field) for field in ("", " ", '""')],
        *[("", field) for field in ("nan", "inf", "-Infinity")],
        *[(" is not a number", x) for x in ("abc", "1_0", "\uff11\uff12", "0x10", "1 2", "#")],
        (" is not a number", "\x1b[2J"),
        (" contains a NUL byte", "1\0"),
        (" is not UTF-8 text", "1\udcff"),
    ],
)
@pytest.mark.parametrize("floating", [False, True])
def test_not_a_finite_number(write, rejected, complaint, field, floating):
    rule = "a finite number" if floating else INTEGER
    path = write(f"{GOOD}1,2,{field},4,5\n".encode(errors="surrogateescape"))
    found = quoted(field.strip(' "'))
    message = f":4:3: pixel{complaint}, found {found}, expected {rule}"
    rejected(path, message, floating=floating)


@pytest.mark.parametrize(
    ("field", "options", "rule"),
    [
        *[(field, {}, INTEGER) for field in ("256", "-1", "1e30", "9" * 20, "-0.5")],
        ("1e39", {"floating": True}, "a finite number of float32"),
    ],
)
def test_number_out_of_range(write, rejected, field, options, rule):
    path = write(GOOD + f"1,2,{field},4,5\n")
    rejected(path, f":4:3: pixel, found '{field}', expected {rule}", **options)


@pytest.mark.parametrize("field", ["12.0", "12.5", "1e2", "0.5"])
def test_decimal_fraction(write, field, rejected):
    path = write(GOOD + f"1,2,{field},4,5\n")
    rejected(
        path,
        f":4:3: pixel, found '{field}', expected {INTEGER}, try --float (in Python floating=True)",
    )
    images, labels = read(path, floating=True)
    assert images.dtype == np.float32
    assert images[2].tolist() == [2, float(field), 4, 5]
    assert labels.tolist() == [1, 2, 1]


@pytest.mark.parametrize("label", ["10", "-1", "3.7"])
@pytest.mark.parametrize("floating", [False, True])
def test_label_out_of_range(write, label, floating, rejected):
    path = write(GOOD + f"{label},2,3,4,5\n")
    rejected(
        path,
        f":4:1: label, found '{label}', expected an integer from 0 to 9",
        classes=10,
        floating=floating,
    )


@pytest.mark.parametrize("label", ["10", "-1", "3.7", "", "abc", "256", "nan"])
@pytest.mark.parametrize("side", ["first", "last"])
@pytest.mark.parametrize("floating", [False, True])
def test_unwanted_label_may_be_invalid(write, label, side, floating):
    line = f"{label},2,3,4,5\n" if side == "first" else f"2,3,4,5,{label}\n"
    images, labels = read(write(line), label=side, want_labels=False, floating=floating)
    assert images.tolist() == [[2, 3, 4, 5]]
    assert labels is None


@pytest.mark.parametrize(
    ("row", "floating", "message"),
    [
        ("1,2,3,nan,5", False, f":2:4: pixel, found 'nan', expected {INTEGER}"),
        ("abc,2,3,nan,5", False, f":2:4: pixel, found 'nan', expected {INTEGER}"),
        ("1,2,0.5,nan,5", True, ":2:4: pixel, found 'nan', expected a finite number"),
        ("1,2,0.5,x,5", True, ":2:4: pixel is not a number, found 'x', expected a finite number"),
        ("7", False, ":2: row is too short, found 1 values, expected 5"),
    ],
)
def test_position_of_an_error_counts_an_unwanted_label(write, rejected, row, floating, message):
    rejected(write(f"{HEADER}{row}\n"), message, want_labels=False, floating=floating)


def test_no_label_column(write):
    images, labels = read(write("pixel0,pixel1,pixel2,pixel3\n0,2,3,4\n"))
    assert images.tolist() == [[0, 2, 3, 4]]
    assert labels is None


def test_header_repeated_in_the_middle(write, rejected):
    rejected(
        write(GOOD + GOOD),
        ":4: repeated header line, found 'label,pixel0,pixel1,pixel2,pixel3', "
        "expected a row of values, was the file concatenated from several?",
    )


@pytest.mark.parametrize("floating", [False, True])
@pytest.mark.parametrize(("content", "rows"), [(HEADER, None), (GOOD, 0)])
def test_no_rows(write, content, rows, floating):
    path = write(content)
    images, labels = read(path, rows=rows, floating=floating)
    assert images.shape == (0, 4)
    assert images.dtype == (np.float32 if floating else np.uint8)
    assert (labels.shape, labels.dtype) == ((0,), np.uint8)
    assert read(path, rows=rows, want_labels=False)[0].shape == (0, 4)


@pytest.mark.parametrize("content", ["\n\n", " \t\r\n", "\ufeff"])
def test_file_of_blank_lines(write, content, rejected):
    rejected(write(content), ": file is empty, found blank lines only")


@pytest.mark.parametrize(
    ("character", "hint"),
    [
        (";", "';' (in Python delimiter=';')"),
        ("\t", r"tab (in Python delimiter='\t')"),
        (" ", "space (in Python delimiter=' ')"),
    ],
    ids=["semicolon", "tab", "space"],
)
@pytest.mark.parametrize("content", [GOOD, ROWS], ids=["header", "no-header"])
def test_other_delimiter(write, content, character, hint, rejected):
    path = write(content.replace(",", character))
    first = content.partition("\n")[0].replace(",", character).replace("\t", r"\t")
    rejected(path, f":1: no comma between the values, found '{first}', try --delimiter {hint}")
    images, labels = read(path, delimiter=character, label="first")
    assert (images.tolist(), labels.tolist()) == (IMAGES, LABELS)


def test_delimiter_space(write):
    images, labels = read(
        write("1.0  0 -2.5\t3 4 \n"), delimiter="space", floating=True, label="first"
    )
    assert images.tolist() == [[0, -2.5, 3, 4]]
    assert labels.tolist() == [1]


@pytest.mark.parametrize(("before", "line"), [("", 1), (HEADER, 2), (GOOD, 4)])
def test_comment_line(write, before, line, rejected):
    rejected(
        write(f"{before}# made by x\n{ROWS}"),
        f":{line}: comment line, found '# made by x', expected a row of values, remove the line",
    )


@pytest.mark.parametrize(
    "row",
    ['1,0,2,3,"4\n5,0,2,3,4\n', '1,0,2,3,"\n4"\n', '1,0,2,3,"4\n', '1,0,2,3,"4'],
    ids=["quoted-end", "quoted-break", "last", "no-final"],
)
def test_unclosed_quote(write, row, rejected):
    rejected(write(HEADER + row), ":2:5: quote is not closed on its line")


@pytest.mark.parametrize(
    ("row", "side"), [('2,3,4,5,"', "last"), ('",2,3,4,5', "first")], ids=["last", "first"]
)
def test_unclosed_quote_in_an_unwanted_label(write, row, side):
    text = f"1,2,3,4,5\n{row}\n6,7,8,9,0\n"
    with pytest.raises(DataError, match=r":2:[15]: quote is not closed on its line"):
        read(write(text), label=side, header="no", want_labels=False)


def test_line_is_too_long(write, rejected):
    text = gzip.compress(HEADER.encode() + b"1" * (1 << 24), compresslevel=1)
    rejected(write(text), ":2: line is too long, expected at most 16777216 characters")


def test_line_of_too_many_values(write, rejected):
    path = write(gzip.compress(HEADER.encode() + b"1," * 100_000))
    rejected(
        path,
        ": line 2 of 100,001 values, too large to hold at once, found 20,000,200 bytes, expected "
        "at most 16,777,216, --max-data-bytes (max_data_bytes=) raises the limit",
    )
    rejected(
        path, ":2: row is too long, found 100001 values, expected 5", max_data_bytes=20_000_200
    )


class Endless(io.RawIOBase):
    """An endless file that counts the bytes read."""

    def __init__(self, start, repeated):
        self.start, self.repeated, self.n_bytes = start, repeated, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        content = self.start or self.repeated * (len(buffer) // len(self.repeated))
        self.start = b""
        buffer[: len(content)] = content
        self.n_bytes += len(content)
        return len(content)


@pytest.mark.parametrize(
    ("blank", "start", "reading"),
    [
        (b"\n", GOOD, read),
        (b"\r", "", read),
        (b"\r\n", "label\n3\n4\n", lambda path: read("sample", labels=path)),
        (b" \t\n", "", lambda path: read("sample", labels=path)),
    ],
)
def test_endless_blank_lines(monkeypatch, blank, start, reading):
    endless, n_others = Endless(start.encode(), blank), start.count("\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(endless)))
    n_blanks = (1 << 20) + n_others + 1
    with pytest.raises(DataError) as caught:
        reading("-")
    assert str(caught.value) == (
        f"<stdin>:{n_others + n_blanks}: too many blank lines, found {n_blanks} beside {n_others} "
        "others, expected at most 1048576 more"
    )
    assert endless.n_bytes < len(blank) * n_blanks + 1_000_000


def test_blank_line_after_every_row(write, monkeypatch, rejected):
    monkeypatch.setattr(csv_file, "_BLANK_LINES", 3)
    images, _ = read(write(HEADER + "\n1,0,2,3,0\n" * 100 + "\n\n"))
    assert len(images) == 100
    message = ":204: too many blank lines, found 104 beside 100 others, expected at most 3 more"
    path = write("1,0,2,3,0\n\n" * 100 + "\n\n\n\n")
    rejected(path, message, label="first")


def test_message_for_a_huge_field_is_short(write):
    with pytest.raises(DataError) as caught:
        read(write(GOOD + "1,2," + "x" * 1_000_000 + ",4,5\n"))
    assert len(str(caught.value)) <= 393


def test_blocks_of_long_lines_are_shorter(write, monkeypatch):
    monkeypatch.setattr(csv_file, "_BLOCK_CHARACTERS", 25)
    lengths = [len(images) for images, _ in stream(write(HEADER + "1,0,2,3,4\n" * 7))]
    assert lengths == [3, 3, 1]
