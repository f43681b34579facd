"""Previews of image files, and their number of images."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from xpnet.datasets.preview import count_images, preview
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
@pytest.mark.parametrize("function", [preview, count_images])
def test_not_images(
    tmp_path: Path, function: Callable[[Path], object], content: bytes, message: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        function(path)


def count(path: Path | str) -> int | None:
    return count_images(path)[0]


def test_count_from_the_header(tmp_path: Path) -> None:
    images = np.zeros((7, 2, 2), np.uint8)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "none.npy", images[:0])
    np.savez(tmp_path / "x.npz", images=images)
    assert [count(tmp_path / name) for name in ("x.npy", "x.npz", "none.npy")] == [7, 7, 0]
    assert count("sample") == 1000


@pytest.mark.parametrize(("dtype", "itemsize"), [("u1", 1), ("f4", 4), ("f8", 8)])
@pytest.mark.parametrize("n_images", [0, 7])
def test_bytes_per_value(tmp_path: Path, dtype: str, itemsize: int, n_images: int) -> None:
    np.save(tmp_path / "x.npy", np.zeros((n_images, 2, 2), dtype))
    assert count_images(tmp_path / "x.npy")[:2] == (n_images, itemsize)


def test_csv_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"7,0\n" * 300)
    assert count_images(path)[:2] == (None, 1)


def test_a_compressed_zip_is_counted_within_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, images=np.zeros((50, 4), np.float32))
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert count_images(path)[:2] == (50, 4)
    with pytest.raises(DataError, match=r"too large to hold at once.* expected at most 300, --max"):
        count_images(path, ReadOptions(max_data_bytes=300))


def test_standard_input_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)  # an access would fail
    assert count("-") is None


@pytest.mark.skipif(os.name == "nt", reason="this system has no named pipes")
def test_pipe_is_not_counted() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe, os.fdopen(writer, "wb") as file:
        file.write(b"7,0\n" * 3)
        file.flush()
        assert count(f"/dev/fd/{reader}") is None
        file.close()
        assert len(pipe.read()) == 12


def test_count_ignores_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((7, 4), np.uint8), labels=[0.5] * 3)
    assert count(tmp_path / "x.npz") == 7


def test_count_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        count(tmp_path / "missing.csv")


@pytest.mark.skipif(os.name == "nt", reason="needs named pipes")
def test_a_pipe_is_opened_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = Thread(target=path.write_text, args=["label,pixel0,pixel1\n7,0,0.5\n"])
    writer.start()
    with pytest.raises(DataError, match=r"pipe:2:3: pixel, found '0.5'"):
        preview(path)
    writer.join()
