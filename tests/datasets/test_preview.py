"""Previews of image files."""

from pathlib import Path

import numpy as np
import pytest

from xpnet.datasets.preview import preview
from xpnet.datasets.read_options import ReadOptions
from xpnet.files.errors import DataError


def test_the_sample() -> None:
    assert preview("sample") == {
        "format": "idx",
        "images": 1000,
        "shape": [28, 28],
        "dtype": "uint8",
        "range": [0, 255],
        "labels": preview("sample")["labels"],
    }
    assert preview("sample")["labels"]["place"].endswith("labels-idx1-ubyte.gz")


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("label,pixel0,pixel1\n" + "7,0,9\n" * 300)
    found = preview(path)
    assert found.pop("labels") == {"place": "in the file", "first": [7] * 10}
    assert found == {
        "format": "csv",
        "images": None,
        "shape": [2],
        "dtype": "uint8",
        "range": [0, 9],
        "header": {"line": 1},
    }


@pytest.mark.parametrize(
    ("first_line", "header", "description"),
    [
        (",".join(map(str, range(17))), "auto", {"line": 1, "numbers": [0, 16]}),
        ("", "auto", None),
        (",".join(["x"] * 17), "yes", {"line": 1}),
    ],
)
def test_header_and_evidence(
    tmp_path: Path, first_line: str, header: str, description: object
) -> None:
    path = tmp_path / "x.csv"
    zeros = "0," * 16
    path.write_text("\n".join([first_line, *[f"{zeros}{i % 7}" for i in range(300)]]))
    found = preview(path, ReadOptions(header=header))
    assert found["header"] == description
    assert found["labels"] == {
        "place": "in the file",
        "first": [0, 1, 2, 3, 4, 5, 6, 0, 1, 2],
        "evidence": "column 17 holds 0 to 6 in 300 rows, and the corners of the pictures beside it"
        " are 0",
    }
    assert preview(path, ReadOptions(header=header, label="none"))["shape"] == [17]


def test_fractions(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("0.5 -1 0 0\n0.25 1 0 0\n")
    found = preview(path, ReadOptions(delimiter="space"))
    assert (found["dtype"], found["range"], found["labels"]) == ("float32", [-1, 1], None)


def test_no_images(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((0, 4), np.uint8))
    assert (preview(path)["images"], preview(path)["range"]) == (0, None)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 4)}
        )
        file.truncate(file.tell() + 4 * 10**9)
    assert (preview(path)["images"], preview(path)["range"]) == (10**9, [0, 0])


@pytest.mark.parametrize(
    ("content", "message"), [(b"%PDF-1.7", "it is PDF"), (b"\0\0\x08", "first bytes")]
)
def test_not_images(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        preview(path)
