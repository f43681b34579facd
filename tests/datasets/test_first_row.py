"""Rows of a file from a given one on, read without those before them."""

import gzip

import numpy as np
import pytest

from xpnet.datasets.preview import can_skip_rows
from xpnet.datasets.read import stream_with
from xpnet.datasets.read_options import ReadOptions
from xpnet.files import DataError, open_source

ROWS = np.arange(40 * 6, dtype=np.uint8).reshape(40, 2, 3)
PIXELS = ",".join(f"pixel{i}" for i in range(6))
IDX = bytes([0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0, 0, 3]) + ROWS.tobytes()


def npy(x):
    return lambda path: np.save(path, x)


FILES = {
    "bytes.npy": npy(ROWS),
    "columns.npy": npy(np.asfortranarray(ROWS)),
    "float64.npy": npy(ROWS.astype(">f8")),
    "float16 columns.npy": npy(np.asfortranarray(ROWS.astype("f2"))),
    "images-idx3-ubyte": lambda path: path.write_bytes(IDX),
}
OTHERS = {
    "idx.gz": lambda path: path.write_bytes(gzip.compress(IDX)),
    "a.npz": lambda path: np.savez(path, images=ROWS),
    "a.csv": lambda path: np.savetxt(
        path, ROWS.reshape(40, 6), "%d", ",", header=PIXELS, comments=""
    ),
}


def read_from(path, first_row, rows=None):
    options = ReadOptions(first_row=first_row, rows=rows, block_rows=3, want_labels=False)
    return np.concatenate([block for block, _ in stream_with(path, options)])


@pytest.mark.parametrize("name", FILES)
def test_rows(tmp_path, name):
    FILES[name](tmp_path / name)
    assert can_skip_rows(tmp_path / name)
    for first_row, rows in [(0, 2), (1, None), (7, 7), (38, 5), (39, None), (40, 3), (10**9, None)]:
        found = read_from(tmp_path / name, first_row, rows)
        expected = ROWS[first_row:][:rows]
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", OTHERS)
def test_rows_that_cannot_be_skipped(tmp_path, name):
    OTHERS[name](tmp_path / name)
    assert not can_skip_rows(tmp_path / name)
    assert len(read_from(tmp_path / name, 0)) == 40
    with pytest.raises(ValueError, match=r"`first_row` must be 0 for .*, whose rows cannot be"):
        read_from(tmp_path / name, 1)


@pytest.mark.parametrize("order", "CF")
def test_errors(tmp_path, order):
    x = np.asarray(ROWS, np.float32, order=order)
    x[30, 1, 2] = np.nan
    np.save(tmp_path / "x.npy", x)
    assert len(read_from(tmp_path / "x.npy", 31)) == 9
    with pytest.raises(DataError, match="pixel 2, 3 of row 31, found nan"):
        read_from(tmp_path / "x.npy", 7)
    (tmp_path / "y.csv").write_text("1\n" * 40)
    with pytest.raises(ValueError, match=r"`first_row` must be 0 with labels from .*y.csv; got 7"):
        list(stream_with(tmp_path / "x.npy", ReadOptions(first_row=7, labels=tmp_path / "y.csv")))
    with pytest.raises(ValueError, match="`first_row` must be at least 0; got -1"):
        ReadOptions(first_row=-1)
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-1])
    with pytest.raises(DataError, match="truncated data, found 959 bytes, expected 960"):
        read_from(tmp_path / "x.npy", 7)


@pytest.mark.parametrize("n_read", [0, 5, 70_000])
def test_skipped_bytes_are_not_read(tmp_path, n_read):
    content = np.random.default_rng(0).bytes(1 << 20)
    for compress in (bytes, gzip.compress):
        (tmp_path / "x").write_bytes(compress(content))
        with open_source(tmp_path / "x") as source:
            assert source.read(n_read) == content[:n_read]
            for n in (0, 3, 900_000):
                source.skip(n)
            rest = content[n_read + 900_003 :]
            assert source.read() == rest
            if compress is bytes:
                assert source.incoming.n_read <= n_read + len(rest) + (1 << 17)
