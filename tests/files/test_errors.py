"""Errors about files: the place, one line, and nothing of a file that a terminal obeys."""

import pickle
from pathlib import Path

import pytest

from xpnet.files.errors import DataError, WeightsError, nearest_hint, quoted


@pytest.mark.parametrize(("place", "text"), [
    ({"file": Path("a.csv"), "line": 17, "column": 3}, "a.csv:17:3: wrong"),
    ({"file": "a.csv", "line": 2}, "a.csv:2: wrong"), ({"file": "a"}, "a: wrong"), ({}, "wrong"),
])  # fmt: skip
@pytest.mark.parametrize("kind", [DataError, WeightsError])
def test_an_error_names_the_place_and_travels_between_processes(kind, place, text):
    for error in (original := kind("wrong", **place), pickle.loads(pickle.dumps(original))):
        assert isinstance(error, ValueError)
        assert (type(error), str(error)) == (kind, text)
        assert error.file == (str(place["file"]) if place else None)
        assert (error.line, error.column) == (place.get("line"), place.get("column"))


@pytest.mark.parametrize(("text", "expected"), [
    ("é's", "é's"), ("a\nb\0", r"a\nb\x00"), ("\x1b[31m", r"\x1b[31m"), ("\u2028", r"\u2028"),
    (b"\xff\x80".decode("utf-8", "surrogateescape"), r"\xff\x80"), ("\U000e0001", r"\U000e0001"),
    ("\ud800", r"\ud800"),
], ids=["plain", "control", "escape", "line", "stray", "tag", "surrogate"])  # fmt: skip
def test_what_a_terminal_might_obey_is_escaped(text, expected):
    assert quoted(text) == f"'{expected}'"
    assert str(DataError(text, file=text)) == f"{expected}: {expected}"


@pytest.mark.parametrize(("length", "expected"), [(60, "x" * 60), (61, "x" * 57 + "...")])
def test_quotes_are_short(length, expected):
    assert quoted("x" * length) == f"'{expected}'"


def test_a_mistyped_word_gets_a_hint():
    assert nearest_hint("relo", ["relu6", "tanh", "ReLU"]) == "; did you mean ReLU?"
    assert nearest_hint("gauss", ["tanh", "ReLU"]) == ""
    assert nearest_hint("whiten", ["hidden"]) == ""
    assert nearest_hint("batch", ["match", "batch-size"]) == "; did you mean batch-size?"
    assert nearest_hint("", ["tanh"]) == ""
