"""``xpnet show`` and ``xpnet plot``: images and curves, as pictures and as text."""

import io
import sys
from unittest.mock import Mock

import numpy as np
import pytest

from xpnet import load, predict, predict_proba, sample
from xpnet.pictures import images

NAMES = [f"name {i}" for i in range(10)]


@pytest.fixture
def drawn(monkeypatch):
    """Return a spy, whose arguments are those of `xpnet.show`."""
    spy = Mock(wraps=images.show)
    monkeypatch.setattr(images, "show", spy)
    return spy


@pytest.mark.parametrize(
    ("meaning", "words", "n"),
    [({"classes": NAMES}, [], 25), ({"output": "values"}, ["--rows", "4"], 4)],
    ids=["names", "values"],
)
def test_the_first_images(xpnet, tmp_path, save_network, drawn, *, meaning, words, n):
    """A regression has no predictions; labels that are no classes are drawn as they are."""
    model = save_network(10, **meaning)
    assert xpnet("show", "--model", model, *words, "-o", tmp_path / "a.png").code == 0
    pictures, labels, found, _ = drawn.call_args.args
    np.testing.assert_array_equal(pictures, sample()[0][:n])
    assert labels.tolist() == [i % 10 for i in range(n)]
    expected = predict(load(model), pictures) if "classes" in meaning else None
    np.testing.assert_array_equal(found, expected)


# With 9 copies, a second block is read.
@pytest.mark.parametrize(("n_rows", "copies", "classes"), [(20, 9, None), (9, 1, NAMES)])
def test_the_most_probable_mistakes(
    xpnet, tmp_path, save_network, drawn, *, n_rows, copies, classes
):
    x, labels = (np.concatenate([part] * copies) for part in sample())
    model = save_network(10, classes=classes) if classes else "sample"
    names = np.asarray(classes or range(10))
    np.savez(tmp_path / "a.npz", images=x, labels=names[labels])
    words = ("show", tmp_path / "a.npz", "--mistakes", "--rows", str(n_rows), "--model", model)
    result = xpnet(*words, "-o", tmp_path / "a.png")
    shares = predict_proba(load(model), x)
    found = shares.argmax(axis=1)
    wrong = np.flatnonzero(found != labels)
    shown = wrong[np.argsort(-shares[wrong, found[wrong]], kind="stable")][:n_rows]
    assert f"{len(wrong):,} mistakes among {len(x):,} images; {n_rows} shown" in result.out
    *columns, probabilities = drawn.call_args.args
    expected = (x[shown], names[labels[shown]], names[found[shown]])
    for column, values in zip(columns, expected, strict=True):
        np.testing.assert_array_equal(column, values)
    np.testing.assert_allclose(probabilities, shares[shown, found[shown]], atol=1e-5)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_ten_images_in_the_terminal(xpnet, monkeypatch, unlabelled, encoding):
    """Without labels, the predictions are above them."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", stream)
    assert xpnet("show", unlabelled).code == 0
    stream.flush()
    summary, *lines = stream.buffer.getvalue().decode(encoding).splitlines()
    assert summary == "10 images; predicted by the embedded network for digits"
    assert [x for line in lines for x in line.split() if x.isdigit()] == list("0123456789")
    assert "".join(lines).count("#" if encoding == "ascii" else "█") > 50
    assert max(map(len, lines)) <= 80


def test_a_file_without_images(xpnet, tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((0, 784), np.uint8), labels=np.zeros(0, np.uint8))
    result = xpnet("show", tmp_path / "a.npz", "--mistakes")
    assert (result.code, "holds no images" in result.err) == (0, True)
    assert result.out.startswith("0 mistakes among 0 images")
