"""``xpnet inspect``: what is in any file."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xpnet import load, save


def test_the_embedded_network(xpnet: Any) -> None:
    result = xpnet("inspect", "sample")
    assert result.code == 0
    assert "  layers.0.weight  F32  784 x 50\n" in result.out
    assert '"sigmoid", "sigmoid", "identity"' in result.out


def test_npz_of_weights(xpnet: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    save(load("sample"), path)
    found = json.loads(xpnet("inspect", path, "--json").out)
    assert ["W1", "float32", [784, 50]] in found["arrays"]
    assert found["bytes"] == path.stat().st_size


def test_npz_of_images(xpnet: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, images=np.zeros((5, 2, 3), np.uint8), labels=np.arange(5, dtype=np.uint8))
    found = json.loads(xpnet("inspect", path, "--json").out)
    assert found["arrays"] == [["images", "uint8", [5, 2, 3]], ["labels", "uint8", [5]]]
    assert (found["images"], found["shape"]) == (5, "2 x 3")
    assert found["labels"].startswith("in the file: 0, 1, 2, 3, 4")


def test_csv(xpnet: Any, labelled: Path) -> None:
    out = xpnet("inspect", labelled).out
    assert "format  csv\nimages  not counted\nshape   784\ndtype   uint8\n" in out


def test_columns_in_a_compressed_file_are_not_read(xpnet: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.npy.gz"
    with gzip.open(path, "wb") as file:
        np.save(file, np.asfortranarray(np.zeros((5, 2, 3))))
    out = xpnet("inspect", path).out
    assert "images  5\nshape   2 x 3\ndtype   float64\nrange   not read (column-major order)" in out


def test_how_much_is_held_at_once_is_limited(xpnet: Any, refused: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.npz.gz"
    np.savez(tmp_path / "x.npz", images=np.zeros((50, 2, 3), np.uint8))
    path.write_bytes(gzip.compress((tmp_path / "x.npz").read_bytes()))
    code, line = refused("inspect", path, "--max-data-bytes", "300")
    assert (code, "expected at most 300, --max-data-bytes" in line) == (3, True)
    assert "images  50\n" in xpnet("inspect", path, "--max-data-bytes", "3000").out


def test_many_arrays_are_counted(xpnet: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **{f"a{i}": np.zeros(2) for i in range(50)})
    assert xpnet("inspect", path).out.endswith("  ... and 10 more arrays\n")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "file is empty"),
        (b"\x89PNG\r\n", "a PNG picture"),
        (b"PK\x03\x04" + bytes(40), "corrupt or truncated npz"),
        (b"\x10" + bytes(7) + b"{", "not valid safetensors"),
    ],
    ids=str,
)
def test_files_that_are_nothing(refused: Any, tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    code, line = refused("inspect", path)
    assert code in {3, 4}
    assert text in line


def test_a_missing_file(refused: Any, tmp_path: Path) -> None:
    code, line = refused("inspect", tmp_path / "missing")
    assert code == 3
    assert "missing: No such file" in line
