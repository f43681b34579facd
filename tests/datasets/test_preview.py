"""What a file of images holds, told by its first rows."""

from pathlib import Path

import numpy as np
import pytest

from xpnet.datasets.preview import preview
from xpnet.files.errors import DataError


def test_the_sample() -> None:
    assert preview("sample") == {
        "format": "idx",
        "images": 1000,
        "shape": "28 x 28",
        "dtype": "uint8",
        "range": "0 to 255",
        "labels": preview("sample")["labels"],
    }
    assert preview("sample")["labels"].endswith("labels-idx1-ubyte.gz")


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("label,pixel0,pixel1\n" + "7,0,9\n" * 300)
    found = preview(path)
    assert found.pop("labels").startswith("in the file: 7, 7, 7")
    assert found == {
        "format": "csv",
        "images": "not counted",
        "shape": "2",
        "dtype": "uint8",
        "range": "0 to 9",
    }


def test_fractions(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("0.5 -1 0 0\n0.25 1 0 0\n")
    found = preview(path, delimiter="space")
    assert (found["dtype"], found["range"], found["labels"]) == ("float32", "-1 to 1", "none")


def test_no_images(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((0, 4), np.uint8))
    assert (preview(path)["images"], preview(path)["range"]) == (0, "no images")


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 4)}
        )
        file.truncate(file.tell() + 4 * 10**9)
    assert (preview(path)["images"], preview(path)["range"]) == (10**9, "0 to 0")


def test_no_images_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\x89PNG\r\n")
    with pytest.raises(DataError, match="a PNG picture"):
        preview(path)
