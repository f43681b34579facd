"""Pictures and folders of pictures as DATA of the commands."""

import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from xpnet import load, read

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
NAMES = ("cat", "dog", "owl 2", "owl 10")


@pytest.fixture
def folder(digits, tmp_path):
    """Write the digits into folders of their classes, by a function of the digit."""

    def write(name_of=str, **options):
        for i, (image, digit) in enumerate(zip(*digits, strict=True)):
            if name_of(digit) is not None:
                path = tmp_path / "digits" / name_of(digit) / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path, **options)
        return tmp_path / "digits"

    return write


def named(digit):
    return NAMES[digit] if digit < len(NAMES) else None


def ink_on_paper(image, size):
    return Image.fromarray(255 - image).convert("RGB").resize(size, Image.Resampling.BICUBIC)


def test_evaluate_a_folder_per_digit(xpnet, folder, labelled):
    found = json.loads(xpnet("evaluate", folder(), "--json").out)
    expected = json.loads(xpnet("evaluate", labelled, "--json").out)
    assert found["confusion"] == expected["confusion"]


def test_predict_in_natural_order(xpnet, digits, tmp_path):
    (tmp_path / "d").mkdir()
    for i, image in enumerate(digits[0][:12]):
        Image.fromarray(image).save(tmp_path / "d" / f"{i}.png")
    result = xpnet("predict", tmp_path / "d")
    lines = [f"{i}.png,{i % 10}" for i in range(12)]
    assert result.out.splitlines() == ["File,Label", *lines]


def test_predict_names_the_files_in_an_npz_file(xpnet, folder, tmp_path):
    assert xpnet("predict", folder(), "--rows", "12", "-o", tmp_path / "p.npz").code == 0
    with np.load(tmp_path / "p.npz") as found:
        assert found["files"].tolist()[:2] == ["0/0.png", "1/1.png"]
        assert [int(name[0]) for name in found["files"]] == found["labels"].tolist()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have names of text alone")
def test_a_file_name_that_is_no_text(xpnet, digits, tmp_path):
    path = Path(os.fsdecode(bytes(tmp_path / "d") + b"/\xff.png"))
    path.parent.mkdir()
    Image.fromarray(digits[0][3]).save(path)
    assert xpnet("predict", path.parent, "-o", tmp_path / "p.csv").code == 0
    assert (tmp_path / "p.csv").read_bytes() == b"File,Label\n\xff.png,3\n"


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_predict_a_photo(xpnet, digits, tmp_path, suffix):
    path = tmp_path / f"seven.{suffix}"
    ink_on_paper(digits[0][7], (640, 640)).save(path)
    result = xpnet("predict", path, "--invert")
    assert (result.out, result.err) == ("ImageId,Label\n1,7\n", "")
    assert f"xpnet: {path}: bright background: give --invert" in xpnet("predict", path).err
    assert xpnet("predict", path, "--no-invert").err == ""


def test_predict_standard_input(xpnet, digits, monkeypatch):
    content = io.BytesIO()
    Image.fromarray(digits[0][3]).save(content, "PNG")
    content.seek(0)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=content))
    assert xpnet("predict", "-").out == "ImageId,Label\n1,3\n"


def test_train_on_pictures_of_mixed_sizes(xpnet, refused, folder, tmp_path):
    pictures, model = folder(), tmp_path / "m.safetensors"
    for i, path in enumerate(sorted(pictures.glob("*/*.png"))):
        Image.open(path).resize((30 + i % 3, 40)).save(path)
    code, line = refused("train", pictures, "-o", model)
    assert (code, "give one size to all pictures by --size 28" in line) == (3, True)
    assert xpnet("train", pictures, "--size", "8", "-o", model, "--epochs", "1").code == 0
    assert load(model).n_in == 64
    assert xpnet("predict", pictures, "--rows", "2", "--model", model).code == 0


def test_train_stores_the_names_of_folders(xpnet, folder, tmp_path):
    pictures, model = folder(named), tmp_path / "m.safetensors"
    options = ("--validation", "0", "--activation", "relu", "--epochs", "40")
    assert xpnet("train", pictures, "-o", model, *options).code == 0
    assert load(model).classes == NAMES
    assert json.loads(xpnet("evaluate", pictures, "--model", model, "--json").out)["accuracy"] == 1
    lines = xpnet("predict", pictures, "--model", model).out.splitlines()
    assert lines[1:5] == [
        *("cat/0.png,cat", "dog/1.png,dog", "owl 2/2.png,owl 2", "owl 10/3.png,owl 10"),
    ]
    # A part of the classes is compared by name.
    owls = tmp_path / "digits"
    for name in NAMES[:2]:
        for path in (owls / name).iterdir():
            path.unlink()
    result = xpnet("evaluate", owls, "--model", model, "--json")
    assert json.loads(result.out)["accuracy"] == 1
    assert "other files and folders are left out (2)" in result.err


@pytest.mark.parametrize("names", [{1: "1", 2: "2", 3: "3"}, {1: "01", 2: "02", 3: "03"}])
def test_numbers_that_are_names(xpnet, refused, folder, names):
    """The digits 1, 2 and 3 without the class "other" keep their meaning, or are refused."""
    pictures = folder((names | {8: "other"}).get)
    model, npz = pictures.with_name("m.safetensors"), pictures.with_name("part.npz")
    options = ("--validation", "0", "--activation", "relu", "--epochs", "40")
    assert xpnet("train", pictures, "-o", model, *options).code == 0
    assert load(model).classes == (*names.values(), "other")
    pictures.rename(pictures.with_name("all"))
    part = folder(names.get)
    assert json.loads(xpnet("evaluate", part, "--model", model, "--json").out)["accuracy"] == 1
    images, labels = read(part)
    np.savez(npz, images=images, labels=labels.astype(int))
    words = ("evaluate", npz, "--model", model)
    if names[1] == "1":
        assert json.loads(xpnet(*words, "--json").out)["accuracy"] == 1
    else:
        assert refused(*words)[0] == 3


def test_numbers_with_zeros_are_names(xpnet, refused, folder, tmp_path):
    model, pictures = tmp_path / "m.npz", folder("{:02}".format)
    assert xpnet("train", pictures, "-o", model, "--epochs", "1").code == 0
    assert load(model).classes == tuple(f"{i:02}" for i in range(10))
    assert refused("evaluate", pictures)[0] == 3


def test_digits_that_do_not_begin_at_0(xpnet, folder, tmp_path):
    model, pictures = tmp_path / "m.npz", folder({1: "1", 2: "2", 9: "9"}.get)
    assert xpnet("train", pictures, "-o", model, "--epochs", "1").code == 0
    assert load(model).classes == ("1", "2", "9")
    assert xpnet("evaluate", pictures, "--model", model).code == 0
    assert xpnet("evaluate", pictures).code == 0


@pytest.mark.parametrize("classes", [None, ["cat", "dog", "cow", "hen"]])
def test_names_that_the_network_lacks(refused, folder, save_network, classes):
    words = ("--model", save_network(4, classes=classes))
    code, line = refused("evaluate", folder(named), *words)
    assert code == 3
    assert "digits: `labels` must be classes of the network, " in line


@pytest.mark.parametrize(
    ("words", "name_of", "expected"),
    [
        (("--classes", "5"), named, "5; got 4: cat, dog, owl 10, owl 2"),
        ((), {0: "cat"}.get, "2; got 1: cat"),
    ],
)
def test_another_number_of_classes(refused, folder, words, name_of, expected):
    pictures = folder(name_of)
    code, line = refused("train", pictures, "-o", pictures.with_name("m.npz"), *words)
    assert code == 3
    assert expected in line


def test_show_what_the_network_sees(xpnet, folder, tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    target = tmp_path / "x.png"
    result = xpnet("show", folder(named), "-o", target)
    summary = "16 images; predicted by the embedded network for digits"
    assert result.out == f"wrote {target} ({summary})\n"


def test_parity(xpnet, folder):
    assert json.loads(xpnet("parity", folder(), "--json").out)["rows"] == 40


def test_pillow_is_missing(refused, folder, monkeypatch):
    pictures = folder()
    monkeypatch.setitem(sys.modules, "PIL", None)
    code, line = refused("evaluate", pictures)
    assert code == 2
    assert line.endswith("0.png: pictures need Pillow: pip install Pillow\n")
