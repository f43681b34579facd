"""``xpnet plot``: curves in the terminal; `test_pictures` has the files."""

import sys


def test_curves_in_the_terminal(xpnet, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setenv("COLUMNS", "80")
    result = xpnet("plot")
    lines = result.out.splitlines()
    assert (result.code, result.err, max(map(len, lines)) <= 80) == (0, "", True)
    assert lines[2].split() == ["step", "sigmoid", "relu"]
    limits = ("y from 0.00 to 1.00", "y from 0.01 to 0.99", "y from 0.00 to 5.00")
    assert lines[3].split() == " ".join(limits).split()


def test_a_curve_rises_from_left_to_right(xpnet):
    _, _, name, limits, *rows = xpnet("plot", "identity").out.rstrip().splitlines()
    assert (name, limits, len(rows)) == ("identity", "y from -5.00 to 5.00", 12)
    places = [row.index("▄█" if "▄█" in row else "█") for row in rows if "█" in row]
    assert places == sorted(places, reverse=True)
    assert len(places) == 12


def test_functions_of_rows_are_refused(refused):
    code, line = refused("plot", "softmax")
    assert (code, "softmax" in line) == (2, True)
