"""Errors about files and packages: the place, one line, nothing that a terminal obeys."""

import pickle
from pathlib import Path

import pytest

from xpnet.files.errors import DataError, WeightsError, nearest_hint, quoted
from xpnet.files.optional import MissingPackageError, import_optional


@pytest.mark.parametrize("kind", [DataError, WeightsError])
def test_an_error_names_the_place_and_travels_between_processes(kind):
    for n, text in enumerate(["wrong", "a.csv: wrong", "a.csv:17: wrong", "a.csv:17:3: wrong"]):
        place = dict([("file", Path("a.csv")), ("line", 17), ("column", 3)][:n])
        for error in (original := kind("wrong", **place), pickle.loads(pickle.dumps(original))):
            assert isinstance(error, ValueError)
            assert (type(error), str(error)) == (kind, text)
            assert error.file == ("a.csv" if place else None)
            assert (error.line, error.column) == (place.get("line"), place.get("column"))


def test_what_a_terminal_might_obey_is_escaped_and_quotes_are_short():
    stray = b"\xff\x80".decode("utf-8", "surrogateescape")
    texts = {"é's": "é's", "a\nb\0": r"a\nb\x00", "\x1b[31m": r"\x1b[31m", stray: r"\xff\x80"}
    texts |= {x: ascii(x)[1:-1] for x in ("\u2028", "\U000e0001", "\ud800")}
    for text, expected in texts.items():
        assert quoted(text) == f"'{expected}'"
        assert str(DataError(text, file=text)) == f"{expected}: {expected}"
    assert quoted("x" * 60) == f"'{'x' * 60}'"
    assert quoted("x" * 61) == f"'{'x' * 57}...'"


def test_a_mistyped_word_gets_a_hint():
    assert nearest_hint("relo", ["relu6", "tanh", "ReLU"]) == "; did you mean ReLU?"
    assert nearest_hint("gauss", ["tanh", "ReLU"]) == ""
    assert nearest_hint("whiten", ["hidden"]) == ""
    assert nearest_hint("batch", ["match", "batch-size"]) == "; did you mean batch-size?"
    assert nearest_hint("", ["tanh"]) == ""


@pytest.mark.parametrize(("package", "command"), [(None, "no_such"), ("Such", "Such")])
def test_a_missing_package(package, command):
    assert import_optional("json.decoder", "unused").__name__ == "json.decoder"
    with pytest.raises(MissingPackageError, match=f"needed: pip install {command}$") as caught:
        import_optional("no_such.part", "needed", package)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert (type(error), error.name) == (MissingPackageError, "no_such")
