"""Words, folders of IDX files, labels of a file of their own, and the options of all formats."""

import gzip
import hashlib
import os
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

shared = pytest.mark.skipif(
    "XPNET_TEST_DATA" not in os.environ, reason="XPNET_TEST_DATA is not set"
)


def mnist(name):
    return Path(os.environ["XPNET_TEST_DATA"]) / "mnist" / name


def test_every_option_is_documented():
    documented = re.findall(r"^(\w+) : ", getdoc(read).partition("Returns")[0], re.MULTILINE)
    assert list(signature(read).parameters) == documented
    assert sorted(xpnet.datasets.__all__) == ["read", "sample", "stream"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"header": "maybe"}, ValueError),
        ({"split": "val"}, ValueError),
        ({"rows": -1}, ValueError),
        ({"rows": 1.5}, TypeError),
        ({"block_rows": 0}, ValueError),
        ({"features": 0}, ValueError),
        ({"size": 0}, ValueError),
        ({"delimiter": "ab"}, ValueError),
        ({"delimiter": "1"}, ValueError),
        ({"delimiter": '"'}, ValueError),
        ({"drop": "Id"}, TypeError),
        ({"classes": 10}, TypeError),
    ],
)
def test_options_are_checked_at_once(options, error):
    with pytest.raises(error, match=next(iter(options)) if error is ValueError else None):
        stream("nowhere", **options)


@pytest.mark.parametrize("rows", [None, 0, 1, 999, 1000, 5000])
@pytest.mark.parametrize("block_rows", [1, 7, 1000, 5000])
def test_blocks_equal_the_whole(rows, block_rows):
    images, labels = read("sample", rows=rows)
    blocks = list(stream("sample", rows=rows, block_rows=block_rows))
    assert len(images) == min(1000, 1000 if rows is None else rows)
    assert np.array_equal(np.concatenate([block for block, _ in blocks]), images)
    assert np.array_equal(np.concatenate([values for _, values in blocks]), labels)
    assert max(len(block) for block, _ in blocks) == min(block_rows, len(images))


def test_a_file_named_sample_is_read_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sample").write_bytes(idx(IMAGES))
    assert len(read("./sample")[0]) == 3
    assert len(read("sample")[0]) == 1000


def test_files_are_closed_when_the_iterator_is_dropped(write):
    blocks = stream(write(idx(IMAGES)), block_rows=1)
    next(blocks)
    del blocks  # an open file would be a ResourceWarning, which is an error here


def test_missing_files():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read("nowhere.csv")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read("sample", labels="nowhere")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"size": 28}, "--size"),
        ({"drop": ["Id"]}, "--drop"),
        ({"label": "species"}, "--label"),
        ({"label": "first"}, "--label"),
        ({"floating": True}, "--float"),
        ({"header": "no"}, "--header"),
        ({"delimiter": ";"}, "--delimiter"),
        ({"split": "test"}, "--split"),
    ],
)
def test_options_of_other_formats(write, options, word):
    with pytest.raises(DataError, match=word):
        read(write(idx(IMAGES)), labels=write(idx([3, 4, 5]), name="labels"), **options)


def test_a_csv_file_of_labels_beside_other_images(write):
    path, others = write(idx(IMAGES), name="images"), write(b"3\n4\n5\n6\n", name="others")
    write(b"3\n4\n5\n", name="labels")
    assert read(path, header="no", delimiter=";")[1].tolist() == [3, 4, 5]
    assert read(path, labels=others, header="yes")[1].tolist() == [4, 5, 6]
    with pytest.raises(DataError, match="--float"):
        read(path, floating=True)
    with pytest.raises(DataError, match="--header"):  # where labels are not read, nothing is CSV
        list(stream(path, want_labels=False, header="no"))


def test_inverted_bytes(write):
    path = write(idx([[0, 1, 255]]))
    assert read(path, invert=True)[0].tolist() == [[255, 254, 0]]
    assert read(path, invert=False)[0].tolist() == [[0, 1, 255]]
    with pytest.raises(DataError, match="float64"):
        read(write(npy(np.array([[0.5]]))), invert=True)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("images.npy", "labels.npy"),
    ],
)
def test_labels_beside_the_images(write, images, labels):
    path = write(idx(IMAGES), name=images)
    assert read(path)[1] is None
    write(idx([3, 4, 5]), name=labels)
    write(idx([6, 7, 8]), name="others")
    assert read(path)[1].tolist() == [3, 4, 5]
    assert read(path, rows=2)[1].tolist() == [3, 4]
    assert read(path, labels=path.with_name("others"))[1].tolist() == [6, 7, 8]


@pytest.mark.parametrize(
    "content",
    [idx([3, 4, 5]), gzip.compress(idx([3, 4, 5])), npy([3, 4, 5]), npy([[3.0], [4.0], [5.0]])],
    ids=["idx", "gzip", "npy", "column"],
)
@pytest.mark.parametrize("block_rows", [1, 2, 4096])
def test_labels_of_a_file(write, content, block_rows):
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

    def make(pattern="{}-{}{}idx{}-ubyte", *, mark="-", parts=("train", "t10k"), pack=bytes):
        images, labels = sample()
        for part in parts:
            for what, x, n in [("images", images, 3), ("labels", labels, 1)]:
                path = tmp_path / pattern.format(part, what, mark, n)
                path.write_bytes(pack(idx(x[PARTS[part]])))
        (tmp_path / "README").write_text("about")
        return tmp_path

    return make


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"mark": "."},
        {"pattern": "{}-{}{}idx{}-ubyte.gz", "pack": gzip.compress},
        {"pattern": "{}-{}{}idx{}-ubyte.gz"},  # gzip is recognised by the content
    ],
)
def test_folders_of_both_parts(idx_folder, names):
    folder = idx_folder(**names)
    images, labels = read(folder, split="test")
    assert images.tobytes() == sample()[0][30:50].tobytes()
    assert labels.tolist() == sample()[1][30:50].tolist()
    assert len(read(str(folder), split="train", rows=7)[1]) == 7
    with pytest.raises(DataError, match="--split"):
        read(folder)


def test_folders_of_one_part(idx_folder):
    folder = idx_folder(parts=["train"])
    assert len(read(folder)[0]) == len(read(folder, split="train")[0]) == 30
    with pytest.raises(DataError, match="no test part"):
        read(folder, split="test")


def test_a_mapped_file_is_in_memory_block_by_block(write):
    path = write(npy(np.zeros((6000, 784), np.uint8)))
    tracemalloc.start()
    try:
        assert sum(len(images) for images, _ in stream(path, block_rows=250)) == 6000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@shared
def test_the_training_images_are_the_published_ones():
    images, labels = read(mnist("train-images-idx3-ubyte.gz"))
    assert hashlib.md5(idx(images)).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
    assert np.bincount(labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    training = {row.tobytes() for row in images}
    assert all(row.tobytes() in training for row in read("sample")[0])


@shared
@pytest.mark.parametrize(
    ("name", "label"),
    [("headerless_label_last_5k.csv.gz", "last"), ("headerless_label_first_100.csv", "first")],
)
def test_labels_without_a_header_are_asked_for(name, label):
    with pytest.raises(DataError, match="--label"):
        read(mnist(name))
    images, labels = read(mnist(name), label=label)
    table = np.loadtxt(mnist(name), np.uint8, delimiter=",")
    column = 0 if label == "first" else -1
    assert np.array_equal(images, np.delete(table, column, axis=1))
    assert np.array_equal(labels, table[:, column])


@shared
def test_floating_values_between_blanks():
    path = Path(os.environ["XPNET_TEST_DATA"]) / "usps" / "usps_zip.train.gz"
    images, labels = read(path, delimiter="space", floating=True, label="first", features=256)
    table = np.loadtxt(path, np.float32)
    assert np.array_equal(images, table[:, 1:])
    assert np.array_equal(labels, table[:, 0])
