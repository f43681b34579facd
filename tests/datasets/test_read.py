import gzip
import hashlib
import os
import re
import tracemalloc
from inspect import getdoc
from pathlib import Path

import numpy as np
import pytest

import xpnet.datasets
from xpnet.datasets import read, stream
from xpnet.datasets.read_options import ReadKeywords

shared = pytest.mark.skipif(
    "XPNET_TEST_DATA" not in os.environ, reason="XPNET_TEST_DATA is not set"
)


def mnist(name):
    return Path(os.environ["XPNET_TEST_DATA"]) / "mnist" / name


def test_the_public_names():
    assert sorted(xpnet.datasets.__all__) == ["read", "sample", "stream"]
    assert all(callable(getattr(xpnet.datasets, name)) for name in xpnet.datasets.__all__)


def test_every_keyword_is_documented():
    documented = re.findall(r"^(\w+) : ", getdoc(read).partition("Returns")[0], re.MULTILINE)
    assert {"path", *ReadKeywords.__annotations__} == {*documented, "block_rows"}
    assert "`block_rows`" in stream.__doc__


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"header": "maybe"}, "`header` must be one of auto, yes, no; got 'maybe'"),
        ({"rows": -1}, "`rows` must be at least 0; got -1"),
        ({"block_rows": 0}, "`block_rows` must be at least 1; got 0"),
        ({"features": 0}, "`features` must be at least 1; got 0"),
        ({"classes": 0}, "`classes` must be 1 to 256; got 0"),
        ({"classes": 257}, "`classes` must be 1 to 256; got 257"),
        ({"delimiter": "ab"}, "`delimiter` must be one character .* got 'ab'"),
        ({"delimiter": "1"}, "`delimiter` must be one character .* got '1'"),
        ({"delimiter": '"'}, "`delimiter` must be one character .* got '\"'"),
    ],
)
def test_options_are_validated_immediately(options, message):
    with pytest.raises(ValueError, match=message):
        stream("nowhere", **options)


def test_rows_must_be_an_integer():
    with pytest.raises(TypeError, match="float"):
        stream("nowhere", rows=1.5)


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
    Path("sample").write_text("9,2,3,4\n")
    assert read("./sample")[0].tolist() == [[9, 2, 3, 4]]
    assert len(read("sample")[0]) == 1000


def test_files_are_closed_when_the_iterator_is_dropped(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("9,2,3,4\n" * 10)
    blocks = stream(path, block_rows=1)
    next(blocks)
    del blocks  # an open file would be a ResourceWarning, which is an error here
    path.unlink()
    assert not path.exists()


def test_folder_of_labels_and_missing_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        read("sample", labels=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: 'nowhere\.csv'"):
        read("nowhere.csv")


def test_inverted_bytes(write):
    path = write(np.array([[0, 1, 255]], np.uint8))
    assert read(path, invert=True)[0].tolist() == [[255, 254, 0]]
    assert read(path, invert=False)[0].tolist() == [[0, 1, 255]]


def test_fractions_are_not_inverted(write, rejected):
    path = write(np.array([[0.5, 1.0]]))
    message = ": only bytes can be inverted, found float64, expected uint8"
    rejected(path, message, invert=True)


@pytest.fixture(scope="module")
def long_csv(tmp_path_factory):
    """Return a file of 6,000 rows of 784 pixels, 4.7 MB as an array."""
    path = tmp_path_factory.mktemp("long") / "a.csv"
    rows = np.random.default_rng(0).integers(0, 256, (100, 784), np.uint8).tolist()
    path.write_text("\n".join(",".join(map(str, row)) for row in rows * 60))
    return path


@pytest.fixture
def traced():
    tracemalloc.start()
    yield tracemalloc
    tracemalloc.stop()


def test_stream_memory_is_bounded(long_csv, traced):
    n_rows = sum(len(images) for images, _ in stream(long_csv, block_rows=250))
    assert n_rows == 6000
    assert traced.get_traced_memory()[1] < 2_400_000


def test_read_memory_is_about_twice_the_array(long_csv, traced):
    images, _ = read(long_csv)
    assert images.nbytes == 6000 * 784
    assert traced.get_traced_memory()[1] < 2.2 * images.nbytes + 13_000_000


@shared
def test_the_training_images_are_the_published_ones():
    images, labels = read(mnist("train-images-idx3-ubyte.gz"))
    content = b"\0\0\x08\3" + np.array(images.shape, ">u4").tobytes() + images.tobytes()
    assert hashlib.md5(content).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
    assert images.shape == (60_000, 28, 28)
    assert np.bincount(labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip


@shared
def test_the_label_last_without_a_header_is_recognised():
    images, labels = read(mnist("headerless_label_last_5k.csv.gz"))
    assert images.shape == (5000, 784)
    assert np.array_equal(labels, np.repeat(np.arange(10), 500))


@shared
def test_the_label_first_without_a_header_is_recognised():
    path = mnist("headerless_label_first_100.csv")
    images, labels = read(path, features=784, classes=10)
    table = np.loadtxt(path, np.uint8, delimiter=",")
    assert np.array_equal(images, table[:, 1:])
    assert np.array_equal(labels, table[:, 0])


@shared
def test_the_sample_is_a_part_of_the_training_images():
    training = {row.tobytes() for row in read(mnist("train-images-idx3-ubyte.gz"))[0]}
    assert all(row.tobytes() in training for row in read("sample")[0])


@shared
def test_floating_values_between_blanks():
    path = Path(os.environ["XPNET_TEST_DATA"]) / "usps" / "usps_zip.train.gz"
    images, labels = read(path, delimiter="space", floating=True, label="first", features=256)
    with gzip.open(path, "rt") as lines:
        table = np.loadtxt(lines, np.float32)
    assert np.array_equal(images, table[:, 1:])
    assert np.array_equal(labels, table[:, 0])
