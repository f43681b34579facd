"""Words, folders of IDX files, labels of a file of their own, and the options of all formats."""

import gzip
import hashlib
import re
import tracemalloc
from inspect import getdoc, signature
from pathlib import Path

import numpy as np
import pytest
from array_files import idx, npy

import xpnet.datasets
from xpnet.datasets import read, sample, stream
from xpnet.files import DataError

IMAGES = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
PARTS = {"train": slice(30), "t10k": slice(30, 50)}


def test_every_option_is_documented():
    documented = re.findall(r"^(\w+) : ", getdoc(read).partition("Returns")[0], re.MULTILINE)
    assert list(signature(read).parameters) == documented
    assert sorted(xpnet.datasets.__all__) == ["read", "sample", "stream"]


VALUES = {"header": ["maybe"], "split": ["val"], "rows": [-1], "block_rows": [0], "features": [0]}
VALUES |= {"size": [0], "delimiter": ["ab", "1", '"']}


def test_options_are_checked_at_once():
    for name, values in VALUES.items():
        for x in values:
            with pytest.raises(ValueError, match=name):
                stream("nowhere", **{name: x})
    for name, x in [("rows", 1.5), ("classes", 10)]:
        with pytest.raises(TypeError):
            stream("nowhere", **{name: x})


@pytest.mark.parametrize("rows", [None, 0, 1, 999, 1000, 5000])
@pytest.mark.parametrize("block_rows", [1, 7, 1000, 5000])
def test_blocks_equal_the_whole(rows, block_rows):
    images, labels = read("sample", rows=rows)
    blocks = list(stream("sample", rows=rows, block_rows=block_rows))
    assert len(images) == min(1000, 1000 if rows is None else rows)
    assert np.array_equal(np.concatenate([block for block, _ in blocks]), images)
    assert np.array_equal(np.concatenate([values for _, values in blocks]), labels)
    assert max(len(block) for block, _ in blocks) == min(block_rows, len(images))


def test_files_are_closed_when_the_iterator_is_dropped(write):
    blocks = stream(write(idx(IMAGES)), block_rows=1)
    next(blocks)
    del blocks  # an open file would be a ResourceWarning, which is an error here


def test_missing_files_and_a_file_named_sample(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, options in [("nowhere.csv", {}), ("sample", {"labels": "nowhere"})]:
        with pytest.raises(FileNotFoundError, match="nowhere"):
            read(path, **options)
    Path("sample").write_bytes(idx(IMAGES))
    assert (len(read("./sample")[0]), len(read("sample")[0])) == (3, 1000)


OF_OTHERS = {"size": 28, "drop": ["Id"], "label": "species", "floating": True}
OF_OTHERS |= {"header": "no", "delimiter": ";", "split": "test"}


@pytest.mark.parametrize("option", OF_OTHERS)
def test_options_of_other_formats(write, option):
    path, labels = write(idx(IMAGES)), write(idx([3, 4, 5]), name="labels")
    with pytest.raises(DataError, match=f"--{option.removesuffix('ing')}"):
        read(path, labels=labels, **{option: OF_OTHERS[option]})


def test_a_csv_file_of_labels_beside_other_images(write):
    path, others = write(idx(IMAGES), name="images"), write(b"3\n4\n5\n6\n", name="others")
    write(b"3\n4\n5\n", name="labels")
    assert read(path, header="no", delimiter=";")[1].tolist() == [3, 4, 5]
    assert read(path, labels=others, header="yes")[1].tolist() == [4, 5, 6]
    with pytest.raises(DataError, match="--header"):  # where labels are not read, nothing is CSV
        list(stream(path, want_labels=False, header="no"))


def test_inverted_bytes(write):
    path = write(idx([[0, 1, 255]]))
    assert read(path, invert=True)[0].tolist() == [[255, 254, 0]]
    assert read(path, invert=False)[0].tolist() == [[0, 1, 255]]
    with pytest.raises(DataError, match="float64"):
        read(write(npy(np.array([[0.5]]))), invert=True)


BESIDE = [
    ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"),
    ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
    ("images.npy", "labels.npy"),
]


@pytest.mark.parametrize(("images", "labels"), BESIDE)
def test_labels_beside_the_images(write, images, labels):
    path = write(idx(IMAGES), name=images)
    assert read(path)[1] is None
    write(idx([3, 4, 5]), name=labels)
    write(idx([6, 7, 8]), name="others")
    assert read(path)[1].tolist() == [3, 4, 5]
    assert read(path, rows=2)[1].tolist() == [3, 4]
    assert read(path, labels=path.with_name("others"))[1].tolist() == [6, 7, 8]


@pytest.mark.parametrize("block_rows", [1, 2, 4096])
def test_labels_of_a_file(write, block_rows):
    numbers = idx([3, 4, 5])
    for content in (numbers, gzip.compress(numbers), npy([3, 4, 5]), npy([[3.0], [4.0], [5.0]])):
        path, labels = write(idx(IMAGES), name="pixels"), write(content, name="labels")
        blocks = list(stream(path, labels=labels, block_rows=block_rows))
        assert np.array_equal(np.concatenate([images for images, _ in blocks]), IMAGES)
        assert np.concatenate([values for _, values in blocks]).tolist() == [3, 4, 5]


LINES = b"9,2,3,4\n5,6,7,8\n" * 2


@pytest.mark.parametrize("rows", [None, 1, 4])
@pytest.mark.parametrize("block_rows", [1, 3, 4096])
@pytest.mark.parametrize("n_labels", [0, 2, 3, 5, 6])
@pytest.mark.parametrize("content", [LINES, idx(np.zeros((4, 2)))], ids=["csv", "idx"])
def test_numbers_differ(write, rows, block_rows, n_labels, content):
    """A shift by one, as by a header that is read as a label, would make all labels wrong."""
    path, labels = write(content, name="images"), write(idx(range(n_labels)), name="y")
    options = {"labels": labels, "rows": rows, "block_rows": block_rows}
    options |= {"label": "none", "header": "no"} if content is LINES else {}
    with pytest.raises(DataError, match=f"{n_labels} labels"):
        list(stream(path, **options))


@pytest.mark.parametrize("content", [IMAGES, [[1, 0]] * 3, [256, 0, 1], [0.5, 1, 2]])
def test_files_that_are_not_labels(write, content):
    path, labels = write(idx(IMAGES), name="pixels"), write(npy(content), name="labels")
    with pytest.raises(DataError, match="label") as caught:
        read(path, labels=labels)
    assert caught.value.file == str(labels)


@pytest.fixture
def idx_folder(tmp_path):
    """Return a function that makes a folder of 30 training and 20 test images."""

    def make(mark="-", end="", parts=("train", "t10k"), pack=bytes):
        images, labels = sample()
        for part in parts:
            for what, x, n in [("images", images, 3), ("labels", labels, 1)]:
                path = tmp_path / f"{part}-{what}{mark}idx{n}-ubyte{end}"
                path.write_bytes(pack(idx(x[PARTS[part]])))
        (tmp_path / "README").write_text("about")
        return tmp_path

    return make


@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("end", ["", ".gz"])  # gzip is recognised by the content
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_folders_of_both_parts(idx_folder, mark, end, pack):
    folder = idx_folder(mark=mark, end=end, pack=pack)
    images, labels = read(folder, split="test")
    assert images.tobytes() == sample()[0][30:50].tobytes()
    assert labels.tolist() == sample()[1][30:50].tolist()
    assert len(read(str(folder), split="train", rows=7)[1]) == 7
    with pytest.raises(DataError, match="--split"):
        read(folder)


def test_folders_of_one_part(idx_folder):
    folder = idx_folder(parts=["train"])
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"")  # the unpacked file comes first
    assert len(read(folder)[0]) == len(read(folder, split="train")[0]) == 30
    with pytest.raises(DataError, match="no test part"):
        read(folder, split="test")


def test_a_mapped_file_is_in_memory_block_by_block(write):
    path = write(npy(np.zeros((6000, 784), np.uint8)))
    tracemalloc.start()
    n_rows = sum(len(images) for images, _ in stream(path, block_rows=250))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (n_rows, peak < 1_000_000) == (6000, True)


def test_the_training_images_are_the_published_ones(shared_data):
    images, labels = read(shared_data / "mnist" / "train-images-idx3-ubyte.gz")
    assert hashlib.md5(idx(images)).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
    counts = "5923 6742 5958 6131 5842 5421 5918 6265 5851 5949"
    assert np.bincount(labels).tolist() == [*map(int, counts.split())]
    training = {row.tobytes() for row in images}
    assert all(row.tobytes() in training for row in read("sample")[0])


@pytest.mark.parametrize("name", ["last_5k.csv.gz", "first_100.csv"])
def test_labels_without_a_header_are_asked_for(shared_data, name):
    path, label = shared_data / "mnist" / f"headerless_label_{name}", name.partition("_")[0]
    with pytest.raises(DataError, match="--label"):
        read(path)
    images, labels = read(path, label=label)
    table = np.loadtxt(path, np.uint8, delimiter=",")
    column = 0 if label == "first" else -1
    assert np.array_equal(images, np.delete(table, column, axis=1))
    assert np.array_equal(labels, table[:, column])


def test_floating_values_between_blanks(shared_data):
    path = shared_data / "usps" / "usps_zip.train.gz"
    images, labels = read(path, delimiter="space", floating=True, label="first", features=256)
    table = np.loadtxt(path, np.float32)
    assert np.array_equal(images, table[:, 1:])
    assert np.array_equal(labels, table[:, 0])
