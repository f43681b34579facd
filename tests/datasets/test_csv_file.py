import gzip
import io
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from xpnet.datasets import csv_file, read, stream
from xpnet.files import DataError

HEADER = "label,pixel0,pixel1,pixel2,pixel3\n"
ROWS = "1,0,2,3,0\n2,255,6,7,0\n"
GOOD = HEADER + ROWS
IMAGES = [[0, 2, 3, 0], [255, 6, 7, 0]]
LABELS = [1, 2]
WHOLE = "a whole number from 0 to 255"


@pytest.fixture
def write(tmp_path):
    def write_text(content, name="train.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_text


def refused(path, message, **options):
    """Read the file, which must be refused with exactly this message after its name."""
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read(path, **options)
    assert str(caught.value).removeprefix(str(path)) == message
    return caught.value


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
def test_good_files_are_equal(write, content):
    images, labels = read(write(content))
    assert (images.dtype, labels.dtype) == (np.uint8, np.uint8)
    assert images.tolist() == IMAGES
    assert labels.tolist() == LABELS
    assert images.flags.writeable
    assert images.flags.c_contiguous


def test_blank_lines_count_in_line_numbers(write):
    error = refused(
        write(HEADER + "1,0,2,3,4\n\n  \n2,0,256,7,8\n"),
        f":5:3: pixel, found '256', expected {WHOLE}",
    )
    assert (error.line, error.column) == (5, 3)


def test_lines_after_the_first_block_keep_their_numbers(write):
    text = HEADER + "1,0,2,3,4\n" * 10_000 + "1,0,2,3,x\n"
    refused(write(text), f":10002:5: pixel is not a number, found 'x', expected {WHOLE}")


def test_short_row(write):
    refused(write(GOOD + "1,2,3\n"), ":4: row is too short, found 3 values, expected 5")


def test_long_row(write):
    refused(write(GOOD + "1,2,3,4,5,6\n"), ":4: row is too long, found 6 values, expected 5")


def test_trailing_comma(write):
    refused(
        write(GOOD + "1,2,3,4,5,\n"),
        ":4: row is too long, found 6 values, expected 5, the line ends in a delimiter",
    )


@pytest.mark.parametrize("field", ["", " ", '""'])
@pytest.mark.parametrize("floating", [False, True])
def test_empty_field(write, field, floating):
    rule = "a finite number" if floating else WHOLE
    path = write(GOOD + f"1,2,{field},4,5\n")
    refused(path, f":4:3: pixel is missing, found '', expected {rule}", floating=floating)


@pytest.mark.parametrize("field", ["nan", "inf", "-Infinity"])
@pytest.mark.parametrize("floating", [False, True])
def test_not_finite(write, field, floating):
    rule = "a finite number" if floating else WHOLE
    path = write(GOOD + f"1,2,{field},4,5\n")
    refused(path, f":4:3: pixel, found '{field}', expected {rule}", floating=floating)


@pytest.mark.parametrize("field", ["abc", "1_0", "\uff11\uff12", "0x10", "1 2", "#"])
@pytest.mark.parametrize("floating", [False, True])
def test_text_instead_of_a_number(write, field, floating):
    rule = "a finite number" if floating else WHOLE
    path = write(GOOD + f"1,2,{field},4,5\n")
    refused(
        path, f":4:3: pixel is not a number, found '{field}', expected {rule}", floating=floating
    )


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        (b"1\xff", r"is not UTF-8 text, found '1\xff'"),
        (b"1\x00", r"holds a NUL byte, found '1\x00'"),
        (b"\x1b[2J", r"is not a number, found '\x1b[2J'"),
    ],
    ids=["not-utf8", "nul", "escape"],
)
def test_bytes_that_are_no_text(write, field, complaint):
    path = write(GOOD.encode() + b"1,2," + field + b",4,5\n")
    refused(path, f":4:3: pixel {complaint}, expected {WHOLE}")


@pytest.mark.parametrize("field", ["12.0", "12.5", "1e2", "0.5"])
def test_decimal_fraction(write, field):
    path = write(GOOD + f"1,2,{field},4,5\n")
    refused(
        path,
        f":4:3: pixel, found '{field}', expected {WHOLE}, try --float (in Python floating=True)",
    )
    images, labels = read(path, floating=True)
    assert images.dtype == np.float32
    assert images[2].tolist() == [2, float(field), 4, 5]
    assert labels.tolist() == [1, 2, 1]


@pytest.mark.parametrize("field", ["256", "-1", "1e30", "99999999999999999999", "-0.5"])
def test_number_out_of_range(write, field):
    refused(write(GOOD + f"1,2,{field},4,5\n"), f":4:3: pixel, found '{field}', expected {WHOLE}")


def test_number_too_large_for_float32(write):
    path = write(GOOD + "1,2,1e39,4,5\n")
    refused(path, ":4:3: pixel, found '1e39', expected a finite number of float32", floating=True)


@pytest.mark.parametrize("label", ["10", "-1", "3.7"])
@pytest.mark.parametrize("floating", [False, True])
def test_label_out_of_range(write, label, floating):
    path = write(GOOD + f"{label},2,3,4,5\n")
    refused(
        path,
        f":4:1: label, found '{label}', expected a whole number from 0 to 9",
        classes=10,
        floating=floating,
    )


@pytest.mark.parametrize("label", ["10", "-1", "3.7", "", "abc", "256", "nan"])
@pytest.mark.parametrize("side", ["first", "last"])
@pytest.mark.parametrize("floating", [False, True])
def test_label_that_nobody_wants_does_no_harm(write, label, side, floating):
    line = f"{label},2,3,4,5\n" if side == "first" else f"2,3,4,5,{label}\n"
    images, labels = read(write(line), label=side, want_labels=False, floating=floating)
    assert images.tolist() == [[2, 3, 4, 5]]
    assert labels is None


@pytest.mark.parametrize("floating", [False, True])
def test_columns_are_counted_in_the_file_though_the_label_is_cut_off(write, floating):
    path = write(GOOD + "1,2,3,nan,5\n")
    rule = "a finite number" if floating else WHOLE
    message = f":4:4: pixel, found 'nan', expected {rule}"
    refused(path, message, want_labels=False, floating=floating)


def test_row_of_a_label_alone_when_nobody_wants_it(write):
    refused(
        write(HEADER + "7\n"),
        ":2: row is too short, found 1 values, expected 5",
        want_labels=False,
    )


def test_label_missing_in_every_row(write):
    images, labels = read(write("pixel0,pixel1,pixel2,pixel3\n0,2,3,4\n"))
    assert images.tolist() == [[0, 2, 3, 4]]
    assert labels is None


def test_header_missing_keeps_the_first_image(write):
    images, labels = read(write(ROWS), label="first")
    assert images.tolist() == IMAGES
    assert labels.tolist() == LABELS


def test_header_repeated_in_the_middle(write):
    refused(
        write(GOOD + GOOD),
        ":4: header line again, found 'label,pixel0,pixel1,pixel2,pixel3', "
        "expected a row of values, was the file joined from several?",
    )


@pytest.mark.parametrize("floating", [False, True])
def test_header_only_gives_no_rows_of_the_right_width(write, floating):
    images, labels = read(write(HEADER), floating=floating)
    assert images.shape == (0, 4)
    assert images.dtype == (np.float32 if floating else np.uint8)
    assert (labels.shape, labels.dtype) == ((0,), np.uint8)


@pytest.mark.parametrize("want_labels", [False, True])
def test_no_rows_have_the_width_of_the_images(write, want_labels):
    assert read(write(GOOD), rows=0, want_labels=want_labels)[0].shape == (0, 4)


@pytest.mark.parametrize("content", ["\n\n", " \t\r\n", "\ufeff"])
def test_file_of_blank_lines(write, content):
    refused(write(content), ": file is empty, found blank lines only")


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
def test_other_delimiter(write, content, character, hint):
    path = write(content.replace(",", character))
    first = content.partition("\n")[0].replace(",", character).replace("\t", r"\t")
    refused(path, f":1: no comma between the values, found '{first}', try --delimiter {hint}")
    assert read(path, delimiter=character, label="first")[0].tolist() == IMAGES


def test_space_stands_for_any_run_of_blanks(write):
    images, labels = read(
        write("1.0  0 -2.5\t3 4 \n"), delimiter="space", floating=True, label="first"
    )
    assert images.tolist() == [[0, -2.5, 3, 4]]
    assert labels.tolist() == [1]


@pytest.mark.parametrize(("before", "line"), [("", 1), (HEADER, 2), (GOOD, 4)])
def test_comment_line(write, before, line):
    refused(
        write(f"{before}# made by x\n{ROWS}"),
        f":{line}: comment line, found '# made by x', expected a row of values, remove the line",
    )


@pytest.mark.parametrize(
    "row",
    ['1,0,2,3,"4\n5,0,2,3,4\n', '1,0,2,3,"\n4"\n', '1,0,2,3,"4\n', '1,0,2,3,"4'],
    ids=["quoted-end", "quoted-break", "last", "no-final"],
)
def test_quote_that_is_not_closed(write, row):
    refused(write(HEADER + row), ":2:5: quote is not closed on its line")


def test_endless_line(write):
    text = gzip.compress(HEADER.encode() + b"1" * (1 << 24), compresslevel=1)
    refused(write(text), ":2: line is too long, expected at most 16777216 characters")


def test_line_of_far_more_values_than_bytes(write):
    path = write(gzip.compress(HEADER.encode() + b"1," * 100_000))
    refused(
        path,
        ": line 2 of 100,001 values, too large to hold at once, found 20,000,200 bytes, expected "
        "at most 16,777,216, --max-data-bytes (max_data_bytes=) raises the limit",
    )
    refused(path, ":2: row is too long, found 100001 values, expected 5", max_data_bytes=20_000_200)


class Endless(io.RawIOBase):
    """A file without end, of which `n_bytes` were read."""

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


@pytest.mark.parametrize("blank", [b"\n", b"\r", b"\r\n", b" \t\n"], ids=repr)
@pytest.mark.parametrize(("start", "n_others"), [("", 0), (GOOD, 3)], ids=["none", "rows"])
@pytest.mark.parametrize("reading", [read, lambda path: read("sample", labels=path)])
def test_blank_lines_without_end(monkeypatch, blank, start, n_others, reading):
    endless = Endless(
        start.encode() if reading is read else b"label\n3\n4\n"[: 5 * n_others], blank
    )
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(endless)))
    n_blanks = (1 << 20) + n_others + 1
    with pytest.raises(DataError) as caught:
        reading("-")
    assert str(caught.value) == (
        f"<stdin>:{n_others + n_blanks}: too many blank lines, found {n_blanks} beside {n_others} "
        "others, expected at most 1048576 more"
    )
    assert endless.n_bytes < len(blank) * n_blanks + 1_000_000


def test_a_blank_line_behind_every_row(write, monkeypatch):
    monkeypatch.setattr(csv_file, "_BLANK_LINES", 3)
    images, _ = read(write(HEADER + "\n1,0,2,3,0\n" * 100 + "\n\n"))
    assert len(images) == 100
    message = ":204: too many blank lines, found 104 beside 100 others, expected at most 3 more"
    path = write("1,0,2,3,0\n\n" * 100 + "\n\n\n\n")
    refused(path, message, label="first")


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    images, labels = read("-")
    assert images.tolist() == IMAGES
    assert labels.tolist() == LABELS


def test_rows_stops_before_a_faulty_line(write):
    images, labels = read(write(GOOD + "broken\n"), rows=2)
    assert images.tolist() == IMAGES
    assert labels.tolist() == LABELS


def test_the_message_about_a_huge_field_is_short(write):
    with pytest.raises(DataError) as caught:
        read(write(GOOD + "1,2," + "x" * 1_000_000 + ",4,5\n"))
    assert len(str(caught.value)) <= 393


@given(
    images=arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12)),
    block_rows=st.integers(1, 13),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_round_trip(tmp_path_factory, images, block_rows, end):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(end.join(",".join(map(str, row)) for row in images.tolist()).encode())
    blocks = [block for block, _ in stream(path, label="none", header="no", block_rows=block_rows)]
    assert np.array_equal(np.concatenate(blocks), images)
    assert max(len(block) for block in blocks) == min(block_rows, len(images))


def test_blocks_of_very_long_lines_are_shorter_and_lose_nothing(write, monkeypatch):
    monkeypatch.setattr(csv_file, "_BLOCK_CHARACTERS", 25)
    lengths = [len(images) for images, _ in stream(write(HEADER + "1,0,2,3,4\n" * 7))]
    assert lengths == [3, 3, 1]
