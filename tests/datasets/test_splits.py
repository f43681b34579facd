"""The training and test part of npz files, and data without parts."""

import numpy as np
import pytest

from xpnet.datasets import read, sample
from xpnet.files import DataWarning


@pytest.fixture
def keras(tmp_path):
    """Return a function that writes an npz file as Keras has it, without the arrays `missing`."""
    images, labels = sample()
    arrays = {"x_train": images[:30], "y_train": labels[:30], "x_test": images[30:50]}
    arrays["y_test"] = labels[30:50]

    def write(*missing, **more):
        path = tmp_path / "mnist.npz"
        kept = {name: x for name, x in arrays.items() if name not in missing}
        np.savez_compressed(path, **kept, **more)
        return path

    return write


@pytest.mark.parametrize(("split", "rows"), [("train", slice(30)), ("test", slice(30, 50))])
def test_parts_of_an_npz_file(keras, split, rows):
    images, labels = read(keras(), split=split)
    assert images.tobytes() == sample()[0][rows].tobytes()
    assert labels.tolist() == sample()[1][rows].tolist()


def test_a_choice_is_needed(keras, rejected):
    found = "train and test"
    hint = "choose one by --split test (in Python split='test')"
    rejected(keras(), f": data of two parts, found {found}, {hint}")


@pytest.mark.parametrize(
    ("part", "other", "n_images"), [("test", "train", 20), ("train", "test", 30)]
)
def test_a_default_is_noted(keras, part, other, n_images):
    message = f"mnist.npz: reading the {part} part; --split {other} reads the other$"
    with pytest.warns(DataWarning, match=message) as given:
        images, _ = read(keras(), default_split=part)
    assert len(given) == 1
    assert len(images) == n_images


def test_one_part_needs_no_choice(keras, rejected):
    path = keras("x_test", "y_test")
    assert len(read(path)[1]) == 30
    rejected(path, ": no test part, found train", split="test")


def test_missing_labels(keras):
    path = keras("y_test")
    assert read(path, split="test")[1] is None
    assert len(read(path, split="train")[1]) == 30


def test_other_names_come_first(keras, rejected):
    path = keras(images=np.zeros((3, 2, 2), np.uint8))
    assert len(read(path)[0]) == 3
    rejected(path, ": no train part, found no parts, leave out --split (split=)", split="train")


@pytest.mark.parametrize("content", ["1,2,3,4\n", b"\x93NUMPY", bytes([0, 0, 8, 3])])
def test_data_without_parts(write, rejected, content):
    rejected(
        write(content),
        ": no test part, found no parts, leave out --split (split=)",
        split="test",
    )


def test_unknown_part():
    with pytest.raises(ValueError, match=r"^`split` must be one of train, test; got 'val'$"):
        read("sample", split="val")
