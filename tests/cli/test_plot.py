"""``xpnet plot``: curves in the terminal; `test_pictures` has the files."""

import io
import sys

import pytest

from xpnet.functions.activations import ACTIVATIONS
from xpnet.pictures.activation_curves import text_curves


def test_curves_in_the_terminal(xpnet, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setenv("COLUMNS", "80")
    result = xpnet("plot")
    lines = result.out.splitlines()
    assert (result.code, result.err) == (0, "")
    assert lines[0] == "x from -5 to 5; solid: function; dotted: derivative"
    assert lines[2].split() == ["step", "sigmoid", "relu"]
    assert lines[3].count("y from ") == 3
    assert "▀" in lines[4]
    assert max(map(len, lines)) <= 80


def test_a_terminal_without_blocks(xpnet, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    assert xpnet("plot", "tanh").code == 0
    stream.flush()
    assert "@" in stream.buffer.getvalue().decode("ascii")


def test_a_curve_rises_from_left_to_right():
    _, _, name, limits, *rows, _ = text_curves("identity", width=80, ascii_only=True)
    assert (name, limits) == ("identity", "y from -5.00 to 5.00")
    assert len(rows) == 12
    places = [row.index("@") for row in rows if "@" in row]
    assert places == sorted(places, reverse=True)
    assert (places[0], places[-1]) == (37, 0)


def test_rows_have_a_curve_for_each_element():
    legend = text_curves("softmax", "relu", width=80, ascii_only=True)[0]
    assert legend == (
        "x from -5 to 5; solid: output of x, in the row (x, 0, -1); function;"
        " dotted: output of 0, output of -1, derivative"
    )


@pytest.mark.parametrize("width", [1, 10, 80, 200])
def test_every_activation_fits_the_width(width):
    lines = text_curves(*ACTIVATIONS, width=width, ascii_only=False)[2:]
    assert max(map(len, lines)) <= width
    assert sum("y from" in line for line in lines) > 0 or width == 1
