"""``xpnet show``: images with labels and predictions, as pictures and as text."""

import io
import sys

import numpy as np
import pytest

from xpnet import init_network, load, predict_proba, sample, save

NAMES = [f"name {i}" for i in range(10)]


@pytest.fixture
def drawn(monkeypatch):
    """Return the arguments of `xpnet.show`, once a picture is made."""
    from xpnet.pictures import images

    arguments = {}

    def draw(*given):
        columns = [None if column is None else np.asarray(column).tolist() for column in given]
        names = ("images", "labels", "predictions", "probabilities")
        arguments.update(zip(names, columns, strict=False))
        return original(*given)

    original = images.show
    monkeypatch.setattr(images, "show", draw)
    return arguments


@pytest.mark.parametrize(
    ("classes", "output", "predicted"),
    [(None, "logits", list(range(10))), (NAMES, "logits", NAMES), (None, "values", None)],
    ids=["digits", "names", "values"],
)
def test_25_images_by_default(xpnet, tmp_path, save_network, drawn, *, classes, output, predicted):
    model = save_network(10, classes=classes, output=output)
    assert xpnet("show", "--model", model, "-o", tmp_path / "a.png").code == 0
    assert drawn["images"] == sample()[0][:25].tolist()
    assert drawn["labels"] == [i % 10 for i in range(25)]  # also where they are no classes
    assert (drawn["predictions"] is None) == (predicted is None)
    assert set(drawn["predictions"] or []) <= set(predicted or [])


def test_rows_of_a_file_without_labels(xpnet, tmp_path, unlabelled, drawn):
    assert xpnet("show", unlabelled, "--rows", "4", "-o", tmp_path / "a.png").code == 0
    assert (len(drawn["images"]), drawn["labels"]) == (4, None)
    assert drawn["predictions"] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("n_rows", "copies", "classes"), [(5, 1, None), (25, 1, None), (20, 6, None), (25, 1, NAMES)]
)
def test_the_most_probable_mistakes(
    xpnet, tmp_path, save_network, drawn, *, n_rows, copies, classes
):
    images, labels = (np.concatenate([x] * copies) for x in sample())
    model = save_network(10, classes=classes) if classes else "sample"
    names = np.asarray(classes or range(10))
    np.savez(tmp_path / "a.npz", images=images, labels=names[labels])
    words = ("show", tmp_path / "a.npz", "--mistakes", "--rows", n_rows, "--model", model)
    result = xpnet(*map(str, words), "-o", tmp_path / "a.png")
    shares = predict_proba(load(model), images)
    found = shares.argmax(axis=1)
    wrong = np.flatnonzero(found != labels)
    wrong = wrong[np.argsort(-shares[wrong, found[wrong]], kind="stable")]
    shown = wrong[:n_rows]
    counts = f"{len(wrong):,} mistakes among {len(images):,} images; {len(shown)} shown"
    assert counts in result.out
    assert drawn["images"] == images[shown].tolist()
    assert drawn["labels"] == names[labels[shown]].tolist()
    assert drawn["predictions"] == names[found[shown]].tolist()
    expected = shares[shown, found[shown]].tolist()
    assert drawn["probabilities"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_ten_images_in_the_terminal(xpnet, monkeypatch, encoding):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", stream)
    assert xpnet("show").code == 0
    stream.flush()
    lines = stream.buffer.getvalue().decode(encoding).splitlines()
    assert [x for line in lines for x in line.split() if x.isdigit()] == list("0123456789")
    assert "".join(lines).count("#" if encoding == "ascii" else "█") > 50
    assert max(map(len, lines)) <= 80


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize("words", [["--mistakes", "--rows=3"], ["--rows=3"]], ids=" ".join)
def test_a_network_on_a_device(xpnet, words):
    assert xpnet("show", *words, "--device", "gpu").out == xpnet("show", *words).out


def test_too_many_images_for_a_picture(refused, tmp_path):
    code, line = refused("show", "--rows", "101", "-o", tmp_path / "a.png")
    assert (code, "at most 100" in line, list(tmp_path.iterdir())) == (2, True, [])


def test_a_table_is_no_picture(refused, tmp_path):
    np.savez(tmp_path / "x.npz", images=np.ones((3, 4)))
    save(init_network([4, 2]), tmp_path / "m.npz")
    code, line = refused("show", tmp_path / "x.npz", "--model", tmp_path / "m.npz")
    assert (code, "use predict or evaluate" in line) == (3, True)
