"""``xpnet convert`` of images and labels."""

import json

import numpy as np
import pytest

from xpnet import load, read, save
from xpnet.datasets.fetch import DATA_SETS


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("x.npz", None),
        ("x-images.npy", "x-labels.npy"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    ],
)
def test_csv(xpnet, labelled, digits, name, beside):
    target = labelled.with_name(name)
    result = xpnet("convert", labelled, target)
    n_bytes = target.stat().st_size
    also = "" if beside is None else f" and {target.with_name(beside)}"
    assert result.out.splitlines() == [
        f"read   {labelled} (40 x 784, uint8)",
        f"wrote  {target} ({n_bytes:,} bytes){also}",
    ]
    images, labels = read(target)
    assert np.array_equal(images.reshape(digits[0].shape), digits[0])
    assert np.array_equal(labels, digits[1])
    assert "labels" in json.loads(xpnet("inspect", target, "--json").out)
    code = xpnet("convert", labelled, target)
    assert (code.code, "already exists (--force" in code.err) == (2, True)
    assert xpnet("convert", labelled, target, "--force", "--rows", "3").code == 0
    assert len(read(target)[0]) == 3


def test_all_rows_by_default(xpnet, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((10_001, 1), np.uint8))
    found = json.loads(xpnet("convert", tmp_path / "a.npy", tmp_path / "b.npz", "--json").out)
    assert found == {
        "source": str(tmp_path / "a.npy"),
        "target": str(tmp_path / "b.npz"),
        "bytes": (tmp_path / "b.npz").stat().st_size,
        "shape": [10_001, 1],
        "dtype": "uint8",
        "labels": None,
        "classes": None,
    }


def test_folders_of_classes(xpnet, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
    for i, name in enumerate(("cat", "dog")):
        (tmp_path / "in" / name).mkdir(parents=True)
        image.fromarray(np.full((2, 2), i, np.uint8)).save(tmp_path / "in" / name / "a.png")
    result = xpnet("convert", tmp_path / "in", tmp_path / "out.npz")
    assert "labels  0 cat, 1 dog" in result.out
    assert read(tmp_path / "out.npz")[1].tolist() == [0, 1]


def test_an_npz_of_images_or_of_weights(xpnet, tmp_path):
    np.savez(tmp_path / "images.npz", images=np.zeros((2, 4), np.uint8), labels=[1, 0])
    save(load("sample"), tmp_path / "model.npz")
    assert xpnet("convert", tmp_path / "images.npz", tmp_path / "a.npz").code == 0
    assert read(tmp_path / "a.npz")[1].tolist() == [1, 0]
    assert "layers" in xpnet("convert", tmp_path / "model.npz", tmp_path / "b.npz").out


def test_a_part_of_an_npz_of_keras(xpnet, tmp_path):
    arrays = {"x_train": np.zeros((3, 4), np.uint8), "x_test": np.zeros((2, 4), np.uint8)}
    np.savez(tmp_path / "mnist.npz", **arrays)
    for part, n_images in (("train", 3), ("test", 2)):
        target = tmp_path / f"{part}.npz"
        assert xpnet("convert", tmp_path / "mnist.npz", target, "--split", part).code == 0
        assert len(read(target)[0]) == n_images


def test_a_data_set_by_name(xpnet, published, tmp_path, monkeypatch):
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(DATA_SETS, "mnist", published("ok"))
    assert xpnet("convert", "mnist", tmp_path / "a.npz", "--split", "train").code == 0
    assert read(tmp_path / "a.npz")[1].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((3, 4), np.uint8), "y": [1, 0]}, "3 images"),
        ({"images": np.zeros((3, 4), "M8[s]")}, "datetime64"),
    ],
)
def test_a_fault_of_an_npz_of_images(refused, tmp_path, arrays, message):
    np.savez(tmp_path / "images.npz", **arrays)
    code, line = refused("convert", tmp_path / "images.npz", tmp_path / "a.npz")
    assert (code, message in line) == (3, True)
    assert "invalid network" not in line


@pytest.mark.parametrize(("name", "what"), [("a.npz", "layers"), ("images.npy", "(1000 x 28 x 28")])
def test_the_word_sample_is_the_network_where_it_can_be(xpnet, tmp_path, name, what):
    assert what in xpnet("convert", "sample", tmp_path / name).out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("x.npz", "--uint8"), 2, "--verify and --uint8 are for networks; {} holds images"),
        (("x.npz", "--verify", "sample"), 2, "--verify and --uint8 are for networks; {} holds"),
        (("x.npy",), 2, "OUT must end in .npz, or have 'images' in its name, and its labels"),
        (("images-ubyte", "--float"), 2, "IDX holds bytes, not float32: OUT must end in .npz"),
        (("x.npz", "--delimiter", ";;"), 2, "`delimiter` must be one character"),
        (("x.npz", "--label", "none"), 3, "{}:1"),
        (("missing/x.npz",), 3, "missing/x.npz: cannot be written: no such folder"),
        (("x.safetensors",), 4, "not a file of weights that xpnet reads: it is text; if it holds"),
        (("x.csv",), 2, "OUT must end in .safetensors, .npz or .onnx; for images, in .npz or .npy"),
    ],
)
def test_refusals(refused, labelled, words, code, message):
    name, *options = words
    found, line = refused("convert", labelled, labelled.parent / name, *options)
    assert found == code
    assert message.format(labelled) in line
    assert [path.name for path in labelled.parent.iterdir()] == [labelled.name]
