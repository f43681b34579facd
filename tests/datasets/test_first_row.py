"""Rows of a file from a given one on, read without those before them."""

import gzip
import io

import numpy as np
import pytest

from xpnet.datasets import stream
from xpnet.datasets.preview import count_images
from xpnet.files import DataError
from xpnet.files.opening import open_source

ROWS = np.arange(40 * 6, dtype=np.uint8).reshape(40, 2, 3)
IDX = bytes([0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0, 0, 3]) + ROWS.tobytes()
WRITERS = {
    "bytes.npy": lambda path: np.save(path, ROWS),
    "float64.npy": lambda path: np.save(path, ROWS.astype(">f8")),
    "images-idx3-ubyte": lambda path: path.write_bytes(IDX),
}
COLUMNS = io.BytesIO()
np.save(COLUMNS, np.asfortranarray(ROWS))
CONTENTS = {
    "x.npy": COLUMNS.getvalue(),
    "idx.gz": gzip.compress(IDX),
    "a.csv": b"pixel0,pixel1\n1,2\n3,4\n",
}


def read_from(path, first_row, rows=None, **options):
    given = {"block_rows": 3, "want_labels": False, **options}
    blocks = stream(path, first_row=first_row, rows=rows, **given)
    return np.concatenate([block for block, _ in blocks])


@pytest.mark.parametrize("name", WRITERS)
def test_rows(tmp_path, name):
    WRITERS[name](tmp_path / name)
    assert count_images(tmp_path / name)[2]
    for first_row, rows in [(0, 2), (1, None), (7, 7), (38, 5), (39, None), (40, 3), (10**9, None)]:
        found, expected = read_from(tmp_path / name, first_row, rows), ROWS[first_row:][:rows]
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", CONTENTS)
def test_rows_that_cannot_be_skipped(tmp_path, name):
    (tmp_path / name).write_bytes(CONTENTS[name])
    assert not count_images(tmp_path / name)[2]
    assert len(read_from(tmp_path / name, 0)) > 1
    with pytest.raises(ValueError, match=r"`first_row` must be 0 for .*, whose rows cannot be"):
        read_from(tmp_path / name, 1)


def test_errors(tmp_path):
    path, x = tmp_path / "x.npy", ROWS.astype(np.float32)
    x[30, 1, 2] = np.nan
    np.save(path, x)
    assert len(read_from(path, 31)) == 9
    with pytest.raises(DataError, match="pixel 2, 3 of row 31, found nan"):
        read_from(path, 7)
    with pytest.raises(ValueError, match=r"`first_row` must be 0 with labels from .*x.npy; got 7"):
        read_from(path, 7, labels=path, want_labels=True)
    with pytest.raises(ValueError, match="`first_row` must be at least 0; got -1"):
        read_from(path, -1)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_skipped_bytes(tmp_path, compress):
    content = np.random.default_rng(0).bytes(1 << 20)
    (tmp_path / "x").write_bytes(compress(content))
    for n_read in (0, 5, 70_000):
        with open_source(tmp_path / "x") as source:
            assert source.read(n_read) == content[:n_read]
            for n in (0, 3, 900_000):
                source.skip(n)
            assert source.read() == content[n_read + 900_003 :]
            if compress is bytes:  # they are not read
                assert source.incoming.n_read < 400_000
