"""Words, folders of IDX files, and the files of images in them."""

import gzip

import numpy as np
import pytest

from xpnet.datasets import read, sample, stream
from xpnet.datasets.locate import locate
from xpnet.datasets.read_options import ReadOptions
from xpnet.files import DataError

ROWS = {"train": slice(30), "t10k": slice(30, 50)}


@pytest.fixture
def idx_folder(tmp_path):
    """Return a function that makes a folder of 30 training and 20 test images."""

    def make(pattern="{}-{}{}idx{}-ubyte", *, mark="-", parts=("train", "t10k"), pack=bytes):
        images, labels = sample()
        for part in parts:
            for what, x, n in [("images", images, 3), ("labels", labels, 1)]:
                head = bytes([0, 0, 8, n]) + np.asarray(x[ROWS[part]].shape, ">u4").tobytes()
                path = tmp_path / pattern.format(part, what, mark, n)
                path.write_bytes(pack(head + x[ROWS[part]].tobytes()))
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
def test_both_parts(idx_folder, names):
    folder = idx_folder(**names)
    images, labels = read(folder, split="test")
    assert images.tobytes() == sample()[0][30:50].tobytes()
    assert labels.tolist() == sample()[1][30:50].tolist()
    assert len(read(str(folder), split="train", rows=7)[1]) == 7
    assert [len(rows) for rows, _ in stream(folder, split="train", block_rows=20)] == [20, 10]


def test_a_choice_is_needed(idx_folder, rejected):
    folder = idx_folder()
    found = "train and test"
    hint = "choose one by --split test (in Python split='test')"
    rejected(folder, f": data of two parts, found {found}, {hint}")


def test_one_part_needs_no_choice(idx_folder, rejected):
    folder = idx_folder(parts=["train"])
    assert len(read(folder)[0]) == len(read(folder, split="train")[0]) == 30
    rejected(folder, ": no test part, found train", split="test")


def test_labels_of_another_file(idx_folder, tmp_path):
    folder = idx_folder()
    np.save(tmp_path / "others.npy", np.full(20, 7, np.uint8))
    assert set(read(folder, split="test", labels=tmp_path / "others.npy")[1].tolist()) == {7}
    assert read(folder, split="test", want_labels=False)[1] is None


def test_a_folder_without_data(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").mkdir()  # as some programs unpack the files
    with pytest.raises(DataError, match="without pictures, expected IDX files; or PNG"):
        read(tmp_path)


def test_the_unpacked_file_comes_first(idx_folder):
    idx_folder(pattern="{}-{}{}idx{}-ubyte.gz")
    folder = idx_folder(parts=["train"])
    found = {part: locate(folder, ReadOptions(split=part))[0] for part in ("train", "test")}
    assert found["train"] == folder / "train-images-idx3-ubyte"
    assert found["test"] == folder / "t10k-images-idx3-ubyte.gz"


def test_a_damaged_file_names_itself(idx_folder):
    folder = idx_folder()
    path = folder / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        DataError, match="t10k-images-idx3-ubyte: truncated data, found 15679 bytes"
    ):
        read(folder, split="test")
