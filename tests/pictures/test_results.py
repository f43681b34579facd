"""Confusion matrix, learning curves, and results in notebooks."""

import base64
import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from xpnet import Epoch, Evaluation, Run, init_network, plot
from xpnet.pictures.results import draw_confusion, draw_learning

CONFUSION = np.asarray([[5914, 1, 0], [0, 6723, 20], [2, 0, 5937]])
BEST = (0.7, 0.7, 0.6, 0.5, 0.4)  # of two, the one of lower loss
EPOCHS = [Epoch(i, 1 / i, 0.9 - 0.1 / i, 1.1 / i, x, 0.1, 1.0) for i, x in enumerate(BEST, 1)]


def test_a_confusion_matrix():
    (axes,) = draw_confusion(CONFUSION, ["cat", "dog", "cow"]).axes
    found = {text.get_position()[::-1]: text.get_text() for text in axes.texts}
    assert found == {(i, j): f"{CONFUSION[i, j]:,}" for i, j in np.argwhere(CONFUSION).tolist()}
    for axis, name in ((axes.xaxis, "prediction"), (axes.yaxis, "label")):
        texts = [text.get_text() for text in (axis.label, *axis.get_ticklabels())]
        assert texts == [name, "cat", "dog", "cow"]
    assert axes.get_title("left") == "accuracy 0.9988\n18,574 of 18,597"
    rgb = axes.images[0].to_rgba(axes.images[0].get_array())[..., :3]
    light = rgb**2.2 @ [0.2126, 0.7152, 0.0722]
    assert light[1, 2] < light[2, 0] < light[0, 1] < 0.95 < light[0, 2] == light[1, 0] == 1.0
    assert rgb[range(3), range(3)].tolist() == [[0.9] * 3] * 3  # gray
    assert (light.min() + 0.05) / (0.016 + 0.05) > 3.5  # the contrast to INK


@pytest.mark.parametrize(("n_classes", "step"), [(21, 1), (50, 1), (51, 2), (1000, 20)])
def test_many_classes_have_colours_and_some_names(n_classes, step):
    axes, bar = draw_confusion(np.eye(n_classes, dtype=int), range(n_classes)).axes
    assert [x.get_text() for x in axes.get_xticklabels()] == [*map(str, range(0, n_classes, step))]
    assert (len(axes.texts), bar.get_ylabel()) == (0, "mistakes")


def curves(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}


def test_learning_curves():
    loss, accuracy = draw_learning(EPOCHS).axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        assert curves(axes)["training"] == [[x.number, getattr(x, name)] for x in EPOCHS]
        held_out = [[x.number, getattr(x, f"validation_{name}")] for x in EPOCHS]
        assert curves(axes)["held-out"] == held_out
    assert curves(accuracy)["best: 0.7000 in epoch 2"] == held_out[1:2]
    assert (loss.get_yscale(), loss.get_ylabel()) == ("log", "loss (lower is better)")


@pytest.mark.parametrize("losses", [[0.3, 0.301], [2.3, 0.004], [5.0, 5.0], [1e-9, 1e3]])
def test_a_regression_has_losses_with_legible_ticks(losses):
    lost = {"accuracy": None, "validation_accuracy": None, "validation_loss": None}
    (axes,) = draw_learning([replace(EPOCHS[0], loss=loss, **lost) for loss in losses]).axes
    assert list(curves(axes)) == ["training"]
    low, high = axes.get_ylim()
    assert 1 <= sum(low <= tick <= high for tick in axes.get_yticks()) <= 14


def test_results_in_a_notebook(monkeypatch):
    evaluation = Evaluation(12, 19, np.array([[3, 2], [5, 9]]), classes=["<b>", "&"])
    run = Run(init_network([2, 2]), tuple(EPOCHS), EPOCHS[0])
    for result, text in ((evaluation, "&lt;b&gt; predicted as &amp;"), (run, "best 1: 0.700")):
        html = result._repr_html_()
        (picture,) = re.findall(r"base64,([^\"]+)", html)
        assert (text in html, base64.b64decode(picture)[:4]) == (True, b"\x89PNG")
    assert "<img" not in Run(run.network, ())._repr_html_()  # no epoch
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run._repr_html_() == html[: html.index("<img")]
    with pytest.raises(ModuleNotFoundError, match="pip install matplotlib"):
        plot()
