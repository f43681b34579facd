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

    arguments, original = {}, images.show

    def draw(*given):
        columns = [None if column is None else np.asarray(column).tolist() for column in given]
        names = ("images", "labels", "predictions", "probabilities")
        arguments.update(zip(names, columns, strict=False))
        return original(*given)

    monkeypatch.setattr(images, "show", draw)
    return arguments


@pytest.mark.parametrize(
    ("meaning", "predicted"),
    [({"classes": NAMES}, {*NAMES}), ({"output": "values"}, {None})],
    ids=["names", "values"],
)
@pytest.mark.parametrize(("words", "n"), [([], 25), (["--rows", "4"], 4)], ids=["default", "rows"])
def test_the_first_images(xpnet, tmp_path, save_network, drawn, *, meaning, predicted, words, n):
    """A regression has no predictions; labels that are no classes are drawn as they are."""
    model = save_network(10, **meaning)
    assert xpnet("show", "--model", model, *words, "-o", tmp_path / "a.png").code == 0
    assert drawn["images"] == sample()[0][:n].tolist()
    assert drawn["labels"] == [i % 10 for i in range(n)]
    assert set(drawn["predictions"] or [None]) <= predicted


# With 9 copies, a second block is read.
@pytest.mark.parametrize(("n_rows", "copies", "classes"), [(20, 9, None), (9, 1, NAMES)])
def test_the_most_probable_mistakes(
    xpnet, tmp_path, save_network, drawn, *, n_rows, copies, classes
):
    images, labels = (np.concatenate([x] * copies) for x in sample())
    model = save_network(10, classes=classes) if classes else "sample"
    names = np.asarray(classes or range(10))
    np.savez(tmp_path / "a.npz", images=images, labels=names[labels])
    words = ("show", tmp_path / "a.npz", "--mistakes", "--rows", str(n_rows), "--model", model)
    result = xpnet(*words, "-o", tmp_path / "a.png")
    shares = predict_proba(load(model), images)
    found = shares.argmax(axis=1)
    wrong = np.flatnonzero(found != labels)
    shown = wrong[np.argsort(-shares[wrong, found[wrong]], kind="stable")][:n_rows]
    assert f"{len(wrong):,} mistakes among {len(images):,} images; {n_rows} shown" in result.out
    assert drawn["images"] == images[shown].tolist()
    assert drawn["labels"] == names[labels[shown]].tolist()
    assert drawn["predictions"] == names[found[shown]].tolist()
    expected = shares[shown, found[shown]].tolist()
    assert drawn["probabilities"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_ten_images_in_the_terminal(xpnet, monkeypatch, unlabelled, encoding):
    """Without labels, the predictions are above them."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", stream)
    assert xpnet("show", unlabelled).code == 0
    stream.flush()
    lines = stream.buffer.getvalue().decode(encoding).splitlines()[1:]
    assert [x for line in lines for x in line.split() if x.isdigit()] == list("0123456789")
    assert "".join(lines).count("#" if encoding == "ascii" else "█") > 50
    assert max(map(len, lines)) <= 80


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize("words", [["--mistakes", "--rows=3"], ["--rows=3"]], ids=" ".join)
def test_a_network_on_a_device(xpnet, words):
    assert xpnet("show", *words, "--device", "gpu").out == xpnet("show", *words).out != ""


def test_a_file_without_images(xpnet, tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((0, 784), np.uint8), labels=np.zeros(0, np.uint8))
    result = xpnet("show", tmp_path / "a.npz", "--mistakes")
    assert (result.code, "holds no images" in result.err) == (0, True)
    assert result.out.startswith("0 mistakes among 0 images")


@pytest.mark.parametrize(
    ("line", "code", "part"),
    [
        ("--rows 101 -o a.png", 2, "at most 100"),
        ("--rows=-1 --mistakes", 2, "at least 1"),
        ("--mistakes --model values.npz", 2, "regression"),
        ("table.npz --model four.npz", 3, "table.npz: no pictures to show"),
        ("other.npz --mistakes", 3, "other.npz: `labels` must be classes"),
    ],
)
def test_errors(refused, tmp_path, monkeypatch, *, line, code, part):
    monkeypatch.chdir(tmp_path)
    np.savez("table.npz", images=np.ones((3, 4)), labels=np.zeros(3, np.uint8))
    np.savez("other.npz", images=sample()[0][:2], labels=np.array([3, 10], np.uint8))
    save(init_network([4, 2]), "four.npz")
    save(init_network([784, 2], output="values"), "values.npz")
    found, text = refused("show", *line.split())
    assert (found, part in text, (tmp_path / "a.png").exists()) == (code, True, False)
