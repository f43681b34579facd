import pickle
from pathlib import Path

import pytest

from xpnet.files import DataError, FileError, WeightsError, quoted
from xpnet.files.errors import as_line


def test_all_parts_in_order():
    error = DataError(
        "pixel",
        file=Path("train.csv"),
        line=17,
        column=3,
        found=quoted("256"),
        expected="a whole number from 0 to 255",
        hint="look",
    )
    expected = "train.csv:17:3: pixel, found '256', expected a whole number from 0 to 255, look"
    assert str(error) == expected
    assert (error.file, error.line, error.column) == ("train.csv", 17, 3)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, "a: empty"),
        ({"line": 2}, "a:2: empty"),
        ({"found": 0}, "a: empty, found 0"),
        ({"expected": 1}, "a: empty, expected 1"),
        ({"hint": "go"}, "a: empty, go"),
    ],
)
def test_absent_parts_are_left_out(parts, expected):
    assert str(WeightsError("empty", file="a", **parts)) == expected


@pytest.mark.parametrize("kind", [DataError, WeightsError])
def test_both_are_value_errors(kind):
    assert issubclass(kind, FileError)
    assert issubclass(kind, ValueError)


@pytest.mark.parametrize(
    "part",
    [
        {"file": "/folder" * 500 + "/end.csv"},
        {"file": "a", "found": "x" * 5000},
        {"file": "a", "found": "\n" * 5000},
        {"file": "a", "expected": "x" * 5000},
        {"file": "a", "hint": "x\ry" * 5000},
    ],
    ids=["file", "found", "line-ends", "expected", "hint"],
)
def test_always_one_short_line(part):
    text = str(DataError("wrong", **part))
    assert len(text) <= 400 - len("xpnet: ")
    assert text.isprintable()
    assert "..." in text


def test_a_long_path_keeps_both_ends():
    text = str(DataError("wrong", file="/start" + "/middle" * 100 + "/end.csv", line=5))
    assert text.startswith("/start/middle")
    assert text.endswith("/end.csv:5: wrong")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", "'abc'"),
        ("a\nb\0", r"'a\nb\x00'"),
        ("\x1b[31m", r"'\x1b[31m'"),
        (b"\xff".decode("utf-8", "surrogateescape"), r"'\xff'"),
        ("é", "'é'"),
        ("x" * 61, "'" + "x" * 57 + "...'"),
    ],
    ids=["plain", "control", "escape", "stray-byte", "letter", "long"],
)
def test_text_out_of_a_file_is_quoted(text, expected):
    assert quoted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", "a b"),
        ("a\nb\x1b\udcff: gone", r"a\nb\x1b\xff: gone"),
        (f"{'/ab' * 100}: gone", f"{('/ab' * 20)[:58]}...{('/ab' * 20)[-57:]}: gone"),
        (f"{'x' * 120} is kept", f"{'x' * 120} is kept"),
        (f"{'a b' * 1000}: gone", f"{('a b' * 50)[:98]}...{('a b' * 50)[-92:]}: gone"),
    ],
    ids=["plain", "control", "path", "limit", "words"],
)
def test_a_line_keeps_both_ends(text, expected):
    line = as_line(text, 200)
    assert line == expected
    assert len(line) <= 200


def test_an_error_travels_between_processes():
    error = DataError("pixel", file="a.csv", line=3, column=7, found=256, expected=1, hint="go")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is DataError
    assert str(copy) == str(error)
    assert (copy.file, copy.line, copy.column) == ("a.csv", 3, 7)
