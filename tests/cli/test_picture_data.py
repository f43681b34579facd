"""Pictures and folders of pictures as DATA of the commands."""

import json

import pytest

from xpnet import load

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
NAMES = dict(enumerate(("cat", "dog", "owl 2", "owl 10")))
OPTIONS = ("--validation", "0", "--activation", "relu", "--epochs", "40")


@pytest.fixture
def folder(digits, tmp_path):
    """Write the digits into folders of their classes, by names of the digits."""

    def write(names):
        for i, (image, digit) in enumerate(zip(*digits, strict=True)):
            if digit in names:
                path = tmp_path / "digits" / names[digit] / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)
        return tmp_path / "digits"

    return write


def test_predict_names_the_files(xpnet, folder):
    pictures = folder({0: "0", 1: "1"})
    lines = xpnet("predict", pictures, "--rows", "3").out.splitlines()
    assert lines == ["File,Label", "0/0.png,0", "1/1.png,1", "0/10.png,0"]


def test_predict_a_photo(xpnet, refused, digits, tmp_path):
    path = tmp_path / "seven.jpg"
    Image.fromarray(255 - digits[0][7]).convert("RGB").resize((640, 640)).save(path)
    result = xpnet("predict", path, "--size", "28", "--invert")
    assert (result.out.splitlines()[1].split(",")[1], result.err) == ("7", "")
    assert "bright background: give --invert" in xpnet("predict", path, "--size", "28").err
    code, line = refused("predict", path, "--invert")
    assert (code, "--size 28" in line) == (3, True)


def test_train_on_names_of_folders(xpnet, refused, folder, tmp_path):
    pictures, model = folder(NAMES), tmp_path / "m.safetensors"
    for i, path in enumerate(pictures.glob("*/*.png")):
        Image.open(path).resize((28 + i % 3, 40)).save(path)
    assert refused("train", pictures, "-o", model)[0] == 3
    words = (pictures, "--size", "28")
    assert xpnet("train", *words, "-o", model, *OPTIONS).code == 0
    assert load(model).classes == tuple(NAMES.values())
    words += ("--model", model)
    lines = xpnet("predict", *words, "--rows", "2").out.splitlines()
    assert lines[1:] == ["cat/0.png,cat", "dog/1.png,dog"]
    (pictures / "cat").rename(pictures / ".cat")  # other classes are compared by name
    assert json.loads(xpnet("evaluate", *words, "--json").out)["accuracy"] == 1
    code, line = refused("evaluate", *words[:3])
    assert (code, "must be classes of the network" in line) == (3, True)
