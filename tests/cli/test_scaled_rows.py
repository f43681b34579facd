"""Range of the inputs: it depends on rows, not on the sizes of blocks."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from xpnet import Scale
from xpnet.cli.scaled_rows import blocks_in_range
from xpnet.files.errors import DataError
from xpnet.networks.initializers import init_network

BLANK, DIM, LIT = [0.0, 0.0, 0.0], [0.0, 1.0, 0.5], [0.0, 3.0, 200.0]
NEGATIVE = [0.0, -2.0, 0.0]
# Where blocks of seven rows are cut.
CUTS = [(), (1,), (3,), (1, 2, 3, 4, 5, 6), (0, 0, 2, 5), (6,)]


def through(model, rows, cuts):
    """Return the network, and the rows and labels that come through, in blocks."""
    rows, labels = np.asarray(rows, np.float32), np.arange(len(rows))
    bounds = [0, *cuts, len(rows)]
    given = [(rows[i:j], labels[i:j]) for i, j in pairwise(bounds)]
    network, blocks = blocks_in_range(model, "sample", iter(given))
    found, numbers = zip(*blocks, strict=True)
    assert [x.shape for x in found] == [x.shape for x, _ in given]
    np.testing.assert_array_equal(np.concatenate(numbers), labels)
    return network, np.concatenate(found)


@pytest.mark.parametrize("cuts", CUTS, ids=str)
@pytest.mark.parametrize(
    ("rows", "is_scaled"),
    [
        ([BLANK] * 7, 0),
        ([BLANK] * 6 + [LIT], 1),
        ([BLANK] * 6 + [DIM], 0),
        ([LIT] + [BLANK] * 3 + [DIM] * 3, 1),
        ([BLANK, LIT, BLANK, DIM, DIM, LIT, BLANK], 1),
        ([BLANK, DIM, BLANK, DIM, DIM, NEGATIVE, BLANK], 0),
    ],
    ids=str,
)
def test_the_first_row_that_is_not_blank_decides(model_of, capsys, rows, is_scaled, cuts):
    inside = Scale(0.7)
    network, found = through(
        model_of(init_network([3, 2], preprocessing=inside), "0..1", is_own=False), rows, cuts
    )
    assert network.preprocessing == (*[Scale(1 / 255)] * is_scaled, inside)
    np.testing.assert_array_equal(found, np.asarray(rows, np.float32))
    note = "xpnet: sample has values above 1: all are divided by 255 first (--input-range"
    note += " 0..255: as they are)\n"
    assert capsys.readouterr().err == note * is_scaled


@pytest.mark.parametrize("cuts", CUTS, ids=str)
@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (
            [BLANK, DIM, BLANK, DIM, LIT, DIM, LIT],
            "sample: pixel 2 of row 5, found 3.0, expected 0 to 1, as in row 2",
        ),
        (
            [DIM, NEGATIVE, BLANK, DIM, LIT, DIM, LIT],
            "sample: pixel 2 of row 5, found 3.0, expected 0 to 1, as in row 1",
        ),
        ([DIM] * 6 + [LIT], "sample: pixel 2 of row 7, found 3.0, expected 0 to 1, as in row 1"),
    ],
    ids=str,
)
def test_a_row_that_contradicts_is_refused(model_of, rows, line, cuts):
    with pytest.raises(DataError) as caught:
        through(model_of(init_network([3, 2]), "0..1", is_own=False), rows, cuts)
    assert str(caught.value) == (
        f"{line}, convert the file to bytes, which are all divided by 255, or give"
        " --input-range 0..255, which takes all values as they are"
    )


@pytest.mark.parametrize("cuts", CUTS, ids=str)
@pytest.mark.parametrize("input_range", ["0..1", "0.1307,0.3081"])
def test_standardised_values_are_refused(model_of, input_range, cuts):
    rows = [BLANK] * 2 + [[-0.42, 2.8, -0.5]] + [NEGATIVE] * 4
    with pytest.raises(DataError) as caught:
        through(model_of(init_network([3, 2]), input_range, is_own=False), rows, cuts)
    assert str(caught.value) == (
        "sample: pixel 3 of row 3, found -0.5, expected 0 to 1, or 0 to 255, leave out"
        " --input-range, or give --input-range 0..255, which takes all values as they are"
    )


@pytest.mark.parametrize("cuts", CUTS, ids=str)
@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([BLANK] * 7, ""),
        ([BLANK] * 6 + [DIM], ""),
        (
            [BLANK, DIM, BLANK, LIT, DIM, LIT, LIT],
            (
                "sample has values above 1 (3 in row 4), and model.onnx is given them as they are"
                " (--input-range 0..255: no note; 0..1: divided by 255, if the first image"
                " that is not blank has such a value)"
            ),
        ),
    ],
    ids=str,
)
def test_large_values_are_told_once(model_of, capsys, rows, told, cuts):
    network, _ = through(model_of(init_network([3, 2]), is_own=False), rows, cuts)
    assert network.preprocessing == ()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == bool(told)
    assert told in "".join(lines)


@pytest.mark.parametrize("cuts", CUTS, ids=str)
@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([BLANK] * 7, ""),
        (
            [BLANK] * 6 + [DIM],
            (
                "sample has values of at most 1, but the network's first step, pixels / 255,"
                " expects larger numbers: give raw bytes, or multiply by 255"
            ),
        ),
        ([DIM] * 6 + [LIT], ""),
    ],
    ids=str,
)
def test_small_values_are_told_once(model_of, capsys, rows, told, cuts):
    model = model_of(init_network([3, 2], preprocessing=Scale(1 / 255)))
    network, _ = through(model, rows, cuts)
    assert network is model.network
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == bool(told)
    assert told in "".join(lines)


@pytest.fixture
def foreign(tmp_path):
    """Write the book's arrays of a network that tells a pixel's side by its sign."""
    weight = np.zeros((784, 2))
    weight[:, 1] = 1.0
    path = tmp_path / "book.npz"
    np.savez(path, W1=weight, b1=np.asarray([0.5, 0.0]))
    return path


@pytest.mark.parametrize("batch_size", ["1", "1337", "5000", "12000"])
def test_blank_rows_first(xpnet, tmp_path, foreign, batch_size):
    rows = np.zeros((9000, 784), np.float32)
    rows[8000:, 0] = 100.0  # divided by 255, less than the bias; as it is, more
    rows[8500:, 0] = 200.0
    np.save(tmp_path / "rows.npy", rows)
    words = (tmp_path / "rows.npy", "--model", foreign, "--batch-size", batch_size)
    result = xpnet("predict", *words, "--input-range", "0..1")
    assert result.code == 0
    labels = [int(line.split(",")[1]) for line in result.out.splitlines()[1:]]
    assert labels == [0] * 8500 + [1] * 500
    raw = xpnet("predict", *words, "--input-range", "0..255")
    labels = [int(line.split(",")[1]) for line in raw.out.splitlines()[1:]]
    assert labels == [0] * 8000 + [1] * 1000


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "-o", "labels.csv"),
        ("parity",),
        ("show", "--rows", "7000", "-o", "digits.png"),
        ("bench", "--batch-sizes", "10", "--rounds", "1"),
    ],
    ids=" ".join,
)
def test_a_contradiction_is_refused_by_each_command(refused, tmp_path, foreign, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    rows = np.zeros((7000, 784), np.float32)
    rows[5000, 3], rows[6000, 7] = 0.5, 2.0
    np.save("rows.npy", rows)
    code, line = refused(*words, "rows.npy", "--model", foreign, "--input-range", "0..1")
    assert code == 3
    assert "rows.npy: pixel 8 of row 6001, found 2.0, expected 0 to 1, as in row 5001" in line
    assert not Path("labels.csv").exists()
