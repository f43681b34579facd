"""``xpnet show``: pictures of images with labels and predictions."""

from typing import Any

import pytest


@pytest.fixture
def drawn(monkeypatch):
    """Return what the picture was made of, once it is made."""
    from xpnet.pictures import images

    arguments: dict[str, Any] = {}

    def draw(*given):
        arguments.update(zip(("images", "labels", "predictions"), given, strict=True))
        return original(*given)

    original = images.draw_images
    monkeypatch.setattr(images, "draw_images", draw)
    return arguments


def test_25_images_by_default(xpnet, tmp_path, drawn):
    assert xpnet("show", "-o", tmp_path / "digits.png").code == 0
    assert drawn["images"].shape == (25, 28, 28)
    assert drawn["labels"] == [str(i % 10) for i in range(25)]
    assert drawn["predictions"] == drawn["labels"]


def test_predictions_that_differ(xpnet, tmp_path, drawn):
    xpnet("show", "--model", "random", "-o", tmp_path / "digits.png")
    assert drawn["labels"] == [str(i % 10) for i in range(25)]
    assert drawn["predictions"] != drawn["labels"]


def test_rows_of_a_file(xpnet, tmp_path, unlabelled, drawn):
    assert xpnet("show", unlabelled, "--rows", "4", "-o", tmp_path / "digits.png").code == 0
    assert drawn["images"].shape == (4, 28, 28)
    assert drawn["labels"] is None
    assert drawn["predictions"] == ["0", "1", "2", "3"]


def test_named_classes(xpnet, tmp_path, save_network, drawn):
    names = [f"name {i}" for i in range(10)]
    model = save_network(10, classes=names)
    assert xpnet("show", "--model", model, "-o", tmp_path / "digits.png").code == 0
    assert set(drawn["predictions"]) <= set(names)
    assert drawn["labels"] == [f"name {i % 10}" for i in range(25)]


def test_labels_stay_numbers_without_a_name(xpnet, tmp_path, save_network, drawn):
    model = save_network(3, classes=["a", "b", "c"])
    xpnet("show", "--model", model, "--rows", "5", "-o", tmp_path / "digits.png")
    assert drawn["labels"] == ["a", "b", "c", "3", "4"]


def test_labels_stay_numbers_if_classes_are_numbers(xpnet, tmp_path, save_network, drawn):
    model = save_network(10, classes=range(1, 11))
    xpnet("show", "--model", model, "--rows", "2", "-o", tmp_path / "digits.png")
    assert drawn["labels"] == ["0", "1"]


def test_a_regression_has_no_predictions_to_show(xpnet, tmp_path, save_network, drawn):
    model = save_network(2, output="values")
    assert xpnet("show", "--model", model, "-o", tmp_path / "digits.png").code == 0
    assert drawn["predictions"] is None
