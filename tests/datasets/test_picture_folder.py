"""Folders of pictures: order, classes, labels, and what is left out."""

import os
import re

import numpy as np
import pytest

from xpnet.datasets import read, stream
from xpnet.datasets.picture_files import number_labels, picture_files
from xpnet.files import DataError, DataWarning

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")


@pytest.fixture
def fill(tmp_path):
    """Write pictures whose pixels are all their number, from 0; return their folder."""

    def write(*names, shape=(2, 3)):
        for i, name in enumerate(names):
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full(shape, i % 256, np.uint8)).save(path)
        return tmp_path / "data"

    return write


def test_natural_order(fill):
    images, labels = read(fill("a10.png", "a2.png", "A3.bmp", "b1.gif"))
    assert images[:, 0, 0].tolist() == [1, 2, 0, 3]
    assert images.shape == (4, 2, 3)
    assert labels is None


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("0", "10", "2"), ["0", "2", "10"]),
        (("00", "01"), ["00", "01"]),
        (("cat", "Dog 2", "dog 10"), ["cat", "Dog 2", "dog 10"]),
        (("0", "00"), ["0", "00"]),
        (("1", "256"), ["1", "256"]),
        (("1", "x"), ["1", "x"]),
        (("-1", "1"), ["1", "-1"]),
        (("²", "1"), ["1", "²"]),
    ],
)
def test_labels_are_the_names_of_folders(fill, names, labels):
    found = read(fill(*(f"{name}/a.png" for name in names)))[1]
    assert found.tolist() == labels


def test_classes_take_turns(fill):
    folder = fill("0/a.png", "0/b.png", "0/c.png", "1/d.png", "2/e.png", "2/f.png")
    images, labels = read(folder)
    assert labels.tolist() == ["0", "1", "2", "0", "2", "0"]
    assert images[:, 0, 0].tolist() == [0, 3, 4, 1, 5, 2]
    assert read(folder, rows=3)[1].tolist() == ["0", "1", "2"]
    assert read(folder, want_labels=False)[1] is None


def test_blocks(fill):
    folder = fill(*(f"{i % 2}/{i}.png" for i in range(7)))
    blocks = list(stream(folder, block_rows=3))
    assert [len(images) for images, _ in blocks] == [3, 3, 1]
    assert ["".join(labels) for _, labels in blocks] == ["010", "101", "0"]


def test_labels_of_a_file(fill, tmp_path):
    folder = fill("1.png", "2.png")
    (tmp_path / "labels.csv").write_text("7\n4\n")
    assert read(folder, labels=tmp_path / "labels.csv")[1].tolist() == [7, 4]


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("3", 3, "2 from 0 to 3, expected integers from 0 to 2, or at most as many names"),
        ("x", 1, "2 from 0 to x, expected integers from 0 to 0, or at most as many names"),
    ],
)
def test_more_classes_than_wanted(fill, rejected, name, classes, expected):
    folder = fill("0/a.png", f"{name}/a.png")
    rejected(folder, f": folders of classes, found {expected}", classes=classes)
    assert len(read(folder, classes=classes, want_labels=False)[0]) == 2


def test_more_names_than_bytes(fill, rejected):
    folder = fill(*(f"c{i}/a.png" for i in range(257)))
    message = "257 from c0 to c256, expected integers from 0 to 255, or at most as many names"
    rejected(folder, f": folders of classes, found {message}")


@pytest.mark.usefixtures("utf8_names")
def test_a_name_that_is_not_utf_8(fill, rejected):
    folder = fill("a/a.png", "b/a.png")
    (folder / "b").rename(folder / os.fsdecode(b"caf\xe9"))
    message = r"found 'caf\xe9', expected printable characters in UTF-8"
    rejected(folder, f": name of a folder of a class, {message}")


def test_other_files_are_left_out_and_counted(fill):
    folder = fill("a/1.png", "b/2.png", "b/.3.png", ".hidden/4.png")
    for name in ("a/notes.txt", "a/.DS_Store", "about"):
        (folder / name).write_text("text")
    (folder / "empty").mkdir()
    message = re.escape(f"{folder}: other files and folders are left out (3)")
    with pytest.warns(DataWarning, match=message):
        assert read(folder)[1].tolist() == ["a", "b"]


def test_a_picture_by_its_name_alone_is_an_error(fill, rejected):
    folder = fill("a.png")
    (folder / "b.png").write_text("no picture")
    message = (
        "/b.png: damaged, truncated or too large picture, found 'cannot identify image file',"
        " copy it again, or convert it to a smaller PNG of 8 bits"
    )
    rejected(folder, message)


def test_folders_of_parts_are_named(fill):
    folder = fill("test/cat/1.png", "train/cat/2.png")
    with pytest.raises(DataError, match=r"one folder per class, give its folder test or train$"):
        read(folder)


def test_pictures_of_different_sizes(fill, rejected):
    folder = fill("a.png")
    fill("b.png", shape=(3, 3))
    message = (
        "/b.png: size of the picture, found 3 x 3 pixels, expected 3 x 2 as in the first one,"
        " give one size to all pictures by --size 28 (in Python size=28)"
    )
    rejected(folder, message)
    assert read(folder, features=16)[0].shape == read(folder, size=4)[0].shape == (2, 4, 4)


def test_a_size_keeps_the_proportions(fill):
    folder = fill("black.png", "a.png", shape=(2, 8))
    pixels = np.zeros((2, 8), np.uint8)
    pixels[:, 3:5] = 255
    Image.fromarray(pixels).save(folder / "a.png")
    image = read(folder, size=8, rows=1)[0][0]
    assert image[3:5].tolist() == pixels.tolist()  # in the middle, on the grey of the border
    assert not image[[0, 1, 2, 5, 6, 7]].any()


def test_only_pictures_have_a_size():
    with pytest.raises(DataError, match=r"only pictures can be resized: leave out --size \(size="):
        read("sample", size=28)


def test_picture_files_are_in_the_order_of_the_rows(fill):
    folder = fill("0/a.png", "0/b 10.png", "0/b 2.png", "1/d.png")
    files = picture_files(str(folder))
    assert [str(path.relative_to(folder)) for path in files] == [
        *("0/a.png", "1/d.png", "0/b 2.png", "0/b 10.png"),
    ]
    pixels = [np.asarray(Image.open(path)) for path in files]
    assert np.array_equal(read(folder)[0], pixels)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "folder without pictures, found 0 pictures, 0 folders of pictures, 1 others"),
        (("a/b/c.png",), "folder without pictures, found 0 pictures, 0 folders of pictures, 3 ot"),
        (("a.png", "b/c.png"), "pictures beside folders of pictures, found 1 pictures, 1 folders"),
    ],
    ids=["empty", "too deep", "both"],
)
def test_folders_that_are_unclear(fill, tmp_path, names, message):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("text")
    folder = fill(*names)
    with pytest.raises(DataError, match=message) as caught:
        read(folder)
    rule = (
        "expected IDX files; or PNG, JPEG, BMP, GIF, WEBP, TIFF pictures, all in this folder or all"
    )
    assert f"{rule} in one folder per class" in str(caught.value)


def test_numbered_labels():
    ids, names = number_labels(np.array(["c10", "c2", "c10"]))
    assert (ids.tolist(), ids.dtype, names) == ([1, 0, 1], np.uint8, ("c2", "c10"))
    same = np.array([3], np.uint8)
    assert number_labels(same) == (same, None)


@pytest.mark.parametrize(
    ("labels", "ids", "names"),
    [
        (["10", "02", "10"], [10, 2, 10], None),
        (["10", "2", "x"], [1, 0, 2], ("2", "10", "x")),
        (["0", "00"], [0, 1], ("0", "00")),
        (["1", "256"], [0, 1], ("1", "256")),
    ],
)
def test_numbers_as_names(labels, ids, names):
    found, found_names = number_labels(np.array(labels))
    assert (found.tolist(), found.dtype, found_names) == (ids, np.uint8, names)
