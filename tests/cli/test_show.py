"""``xpnet show``: images with labels and predictions, as pictures and as text."""

import io
import sys
from typing import Any

import numpy as np
import pytest

from xpnet import init_network, load, predict_proba, sample, save

EMBEDDED = "; predicted by the embedded network for digits"


@pytest.fixture
def drawn(monkeypatch):
    """Return what the picture was made of, once it is made."""
    from xpnet.pictures import images

    arguments: dict[str, Any] = {}

    def draw(*given):
        columns = [None if column is None else column.tolist() for column in given[1:]]
        names = ("labels", "predictions", "probabilities")
        arguments.update(zip(names, columns, strict=False), images=given[0])
        return original(*given)

    original = images.show
    monkeypatch.setattr(images, "show", draw)
    return arguments


def test_25_images_by_default(xpnet, tmp_path, drawn):
    assert xpnet("show", "-o", tmp_path / "digits.png").code == 0
    assert drawn["images"].shape == (25, 28, 28)
    assert drawn["labels"] == [i % 10 for i in range(25)]
    assert drawn["predictions"] == drawn["labels"]


def test_predictions_that_differ(xpnet, tmp_path, drawn):
    xpnet("show", "--model", "random", "-o", tmp_path / "digits.png")
    assert drawn["labels"] == [i % 10 for i in range(25)]
    assert drawn["predictions"] != drawn["labels"]


def test_rows_of_a_file(xpnet, tmp_path, unlabelled, drawn):
    assert xpnet("show", unlabelled, "--rows", "4", "-o", tmp_path / "digits.png").code == 0
    assert drawn["images"].shape == (4, 28, 28)
    assert drawn["labels"] is None
    assert drawn["predictions"] == [0, 1, 2, 3]


def test_named_classes(xpnet, tmp_path, save_network, drawn):
    names = [f"name {i}" for i in range(10)]
    model = save_network(10, classes=names)
    assert xpnet("show", "--model", model, "-o", tmp_path / "digits.png").code == 0
    assert set(drawn["predictions"]) <= set(names)
    assert drawn["labels"] == [i % 10 for i in range(25)]  # no classes


def test_labels_that_are_no_classes(xpnet, tmp_path, save_network, drawn):
    model = save_network(3, classes=["a", "b", "c"])
    assert xpnet("show", "--model", model, "-o", tmp_path / "digits.png").code == 0
    assert drawn["labels"] == [i % 10 for i in range(25)]


def test_a_regression_has_no_predictions_to_show(xpnet, tmp_path, save_network, drawn):
    model = save_network(2, output="values")
    assert xpnet("show", "--model", model, "-o", tmp_path / "digits.png").code == 0
    assert drawn["predictions"] is None


@pytest.fixture
def in_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def mistakes_of(network):
    """Return place, prediction and probability of the mistakes in the sample, best first."""
    images, labels = sample()
    shares = predict_proba(network, images)
    found = shares.argmax(axis=1)
    wrong = np.flatnonzero(found != labels)
    wrong = wrong[np.argsort(-shares[wrong, found[wrong]], kind="stable")]
    return wrong, found[wrong], shares[wrong, found[wrong]]


@pytest.mark.usefixtures("in_folder")
@pytest.mark.parametrize(
    ("n_rows", "n_shown"),
    [(25, 14), (5, 5), (14, 14)],
)
def test_the_most_probable_mistakes(xpnet, drawn, n_rows, n_shown):
    result = xpnet("show", "--mistakes", "--rows", str(n_rows), "-o", "a.png")
    counts = f"14 mistakes among 1,000 images; {n_shown} shown, the most probable first"
    assert result.out == f"wrote a.png ({counts})\n"
    wrong, found, shares = mistakes_of(load("sample"))
    assert len(wrong) == 14
    images, labels = sample()
    assert drawn["images"].tolist() == images[wrong[:n_shown]].tolist()
    assert drawn["labels"] == labels[wrong[:n_shown]].tolist()
    assert drawn["predictions"] == found[:n_shown].tolist()
    assert drawn["probabilities"] == pytest.approx(shares[:n_shown].tolist(), abs=1e-5)


def test_mistakes_among_many_images(xpnet, tmp_path, drawn):
    images, labels = (np.concatenate([x] * 6) for x in sample())
    np.savez(tmp_path / "many.npz", images=images, labels=labels)
    result = xpnet(
        "show", tmp_path / "many.npz", "--mistakes", "--rows", "20", "-o", tmp_path / "a.png"
    )
    assert "(84 mistakes among 6,000 images; 20 shown, the most probable first; " in result.out
    shares = np.repeat(mistakes_of(load("sample"))[2], 6)[:20]
    assert drawn["probabilities"] == pytest.approx(shares.tolist())


def test_mistakes_of_named_classes(xpnet, tmp_path, save_network, drawn):
    images, labels = sample()
    names = np.array([f"digit {i}" for i in range(10)])
    model = save_network(10, classes=names.tolist())
    np.savez(tmp_path / "named.npz", images=images, labels=names[labels])
    words = ("show", tmp_path / "named.npz", "--mistakes", "--model", model)
    assert xpnet(*words, "-o", tmp_path / "a.png").code == 0
    wrong, found, _ = mistakes_of(load(model))
    assert drawn["labels"] == names[labels[wrong[:25]]].tolist()
    assert drawn["predictions"] == names[found[:25]].tolist()


def test_one_mistake(xpnet, tmp_path):
    images, labels = sample()
    np.savez(tmp_path / "a.npz", images=images[:30], labels=np.where(np.arange(30), labels[:30], 5))
    result = xpnet("show", tmp_path / "a.npz", "--mistakes")
    summary = f"1 mistake among 30 images; 1 shown, the most probable first{EMBEDDED}"
    caption = ["5, predicted 0", "probability 0.999+"]
    assert result.out.splitlines()[:4] == [summary, "", *caption]


def test_ten_images_in_the_terminal(xpnet):
    result = xpnet("show")
    assert result.code == 0
    shown = [word for line in result.out.splitlines() if "█" not in line for word in line.split()]
    assert [word for word in shown if word.isdigit()] == list("0123456789")
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1"])
def test_a_terminal_without_blocks(xpnet, monkeypatch, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", stream)
    assert xpnet("show", "--rows", "3").code == 0
    stream.flush()
    text = stream.buffer.getvalue().decode("ascii")
    assert set(text) <= set("0123456789 .:-=+*#%@\n")
    assert text.count("@") > 50


def test_text_needs_no_matplotlib(xpnet, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    lines = xpnet("show", "--mistakes").out.splitlines()
    assert lines[0].endswith("; 10 shown, the most probable first")


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize(
    "words",
    [["--mistakes", "--rows", "3"], ["--rows=3"]],
    ids=" ".join,
)
def test_a_network_on_a_device(xpnet, tmp_path, words):
    on_cpu = xpnet("show", *words, "-o", tmp_path / "cpu.svg")
    on_gpu = xpnet("show", *words, "--device", "gpu", "-o", tmp_path / "gpu.svg")
    assert (on_gpu.code, on_gpu.out) == (0, on_cpu.out.replace("cpu.svg", "gpu.svg"))


def test_too_many_images_for_a_picture(refused, tmp_path):
    np.save(tmp_path / "many.npy", np.zeros((2501, 784), np.uint8))
    words = ("show", tmp_path / "many.npy", "--rows", "2501", "-o", tmp_path / "a.png")
    assert refused(*words) == (2, "xpnet: a picture holds at most 2,500 images; got 2,501\n")
    assert not (tmp_path / "a.png").exists()


def test_a_table_is_no_picture(refused, tmp_path):
    np.savez(tmp_path / "x.npz", images=np.ones((3, 4)))
    save(init_network([4, 2]), tmp_path / "m.npz")
    code, line = refused("show", tmp_path / "x.npz", "--model", tmp_path / "m.npz")
    what = "no pictures to show, found a table of 4 numbers in each row, use predict or evaluate"
    assert (code, what in line) == (3, True)
