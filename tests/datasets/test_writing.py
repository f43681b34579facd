"""Images and labels written as npz, npy and IDX, and read again."""

from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from xpnet.datasets import read
from xpnet.datasets.writing import data_format, write_data

IMAGES = np.arange(5 * 9, dtype=np.uint8).reshape(5, 3, 3)
LABELS = np.array([4, 3, 2, 1, 0], np.uint8)


def blocks(images=IMAGES, labels=LABELS):
    parts = [images[:2], images[2:]]
    return zip(parts, repeat(None) if labels is None else [labels[:2], labels[2:]], strict=False)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.npz", "npz"),
        ("a.npy", "npy"),
        ("train-images-idx3-ubyte", "idx"),
        ("train-images-idx3-ubyte.gz", "idx"),
        ("idx3-ubyte.safetensors", None),
        ("a.csv", None),
        ("a.npz.gz", None),
        ("a.npy.gz", None),
    ],
)
def test_formats_by_name(name, kind):
    assert data_format(Path("folder.npz") / name) == kind


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("a.npz", None),
        ("images.npy", "labels.npy"),
        ("t-images.idx3-ubyte", "t-labels.idx1-ubyte"),
        ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"),
    ],
)
def test_round_trip(tmp_path, name, beside):
    images, labels, names = write_data(tmp_path / name, blocks())
    assert (images.shape, names) == (IMAGES.shape, None)
    assert labels == (None if beside is None else tmp_path / beside)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({name, beside or name})
    found, values = read(tmp_path / name)
    assert np.array_equal(found, IMAGES)
    assert np.array_equal(values, LABELS)


def test_the_same_bytes_each_time(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in ("x.npz", "images-idx3-ubyte.gz"):
            write_data(tmp_path / name / file, blocks())
    for file in ("x.npz", "images-idx3-ubyte.gz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a-idx3-ubyte"])
@pytest.mark.parametrize("n_rows", [0, 5])
def test_without_labels(tmp_path, name, n_rows):
    write_data(tmp_path / name, blocks(IMAGES[:n_rows], None))
    found, values = read(tmp_path / name)
    assert np.array_equal(found, IMAGES[:n_rows])
    assert values is None


def test_rows_of_a_csv_file_are_squares_in_idx(tmp_path):
    write_data(tmp_path / "a-ubyte", blocks(IMAGES.reshape(5, 9), None))
    assert read(tmp_path / "a-ubyte")[0].shape == (5, 3, 3)


def test_names_of_classes(tmp_path):
    labels = np.array(["c2", "c10", "a", "a", "c2"])
    assert write_data(tmp_path / "a.npz", blocks(labels=labels))[2] == ("a", "c2", "c10")
    assert read(tmp_path / "a.npz")[1].tolist() == [1, 2, 0, 0, 1]


@pytest.mark.parametrize(
    ("name", "images", "message"),
    [
        ("a-images-idx3-ubyte", IMAGES / 2, r"IDX holds bytes, not float64: OUT must end in \.npz"),
        (
            "a.npy",
            IMAGES,
            r"must end in \.npz, or have 'images' in its name, and its labels .* 'a\.npy'",
        ),
    ],
)
def test_what_a_format_cannot_hold(tmp_path, name, images, message):
    with pytest.raises(ValueError, match=message):
        write_data(tmp_path / name, blocks(images))
    assert not list(tmp_path.iterdir())


def test_fractions(tmp_path):
    write_data(tmp_path / "a.npy", blocks(IMAGES / 2, None))
    assert np.array_equal(read(tmp_path / "a.npy")[0], IMAGES / 2)


@pytest.mark.parametrize("existing", ["images-idx3-ubyte", "labels-idx1-ubyte"])
def test_both_files_or_none(tmp_path, existing):
    (tmp_path / existing).write_bytes(b"precious")
    target = tmp_path / "images-idx3-ubyte"
    with pytest.raises(FileExistsError, match="already exists"):
        write_data(target, blocks())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"precious"]
    write_data(target, blocks(), force=True)
    assert np.array_equal(read(target)[1], LABELS)
