"""Fast parsing of bytes in digits: the same numbers as NumPy's parser, or none."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from xpnet.datasets import csv_digits
from xpnet.datasets.csv_digits import parse_digits

repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=200)
tables = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40))


def lines_of(table, delimiter=","):
    return [f"{delimiter.join(map(str, row))}\n" for row in table.tolist()]


@repeatable
@given(table=tables, delimiter=st.sampled_from(",;\t|"))
def test_tables_come_back(table, delimiter):
    found = parse_digits(lines_of(table, delimiter), delimiter, table.shape[1])
    np.testing.assert_array_equal(found, table, strict=True)


@pytest.mark.parametrize("characters", [1, 7, 100, 1000])
def test_groups_of_lines(monkeypatch, characters):
    monkeypatch.setattr(csv_digits, "_CHARACTERS", characters)
    table = np.arange(500).reshape(50, 10).astype(np.uint8)
    np.testing.assert_array_equal(parse_digits(lines_of(table), ",", 10), table)


def test_all_spellings_of_a_byte():
    for width in (1, 2, 3):
        numbers = [n for n in range(256) if n < 10**width]
        line = ",".join(f"{n:0{width}d}" for n in numbers)
        assert parse_digits([line], ",", len(numbers)).tolist() == [numbers]


@repeatable
@given(text=st.text('0125,\n -+.\r;"', max_size=30))
def test_what_is_accepted_is_what_numpy_reads(text):
    lines = text.splitlines(keepends=True)
    if not lines:
        return
    found = parse_digits(lines, ",", 2)
    if found is not None:
        expected = np.loadtxt(lines, np.int64, delimiter=",", comments=None, ndmin=2)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "line",
    [
        "1,2",
        "1,2,3,4",
        "1,,3",
        ",2,3",
        "1,2,",
        "1,2,256",
        "1,2,260",
        "300,2,3",
        "1,2,999",
        "1,0012,3",
        "1,2,-3",
        "1,2,+3",
        "1,2,3.0",
        "1, 2,3",
        '1,"2",3',
        "1,2,٣",
        "1,2,x",
        "1;2;3",
        "1,2\n3",
        "1,2,3\n\n",
        "1,2,3\r",
        "1\x002,3",
        "",
    ],
    ids=repr,
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_other_lines_are_left_to_the_other_parser(line, place):
    lines = ["10,20,30\n"] * 2
    assert parse_digits(lines, ",", 3) is not None
    lines.insert(place, f"{line}\n" if place < 2 else line)
    assert parse_digits(lines, ",", 3) is None
