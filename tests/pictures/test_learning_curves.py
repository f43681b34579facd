"""Learning curves."""

import numpy as np
import pytest

from xpnet import Epoch
from xpnet.pictures.learning_curves import draw_learning

pytest.importorskip("matplotlib", reason="pictures need matplotlib")


def epochs(n, *, held_out=True, accuracy=True):
    share = np.linspace(0.5, 0.9, n)
    return [
        Epoch(
            number=i + 1,
            loss=1.0 / (i + 1),
            accuracy=float(share[i]) if accuracy else None,
            validation_loss=1.1 / (i + 1) if held_out else None,
            validation_accuracy=float(share[n - 1 - i]) if held_out and accuracy else None,
            learning_rate=0.1,
            seconds=float(i),
        )
        for i in range(n)
    ]


def curves(axes):
    return {line.get_label(): line for line in axes.get_lines() if line.get_label()[0] != "_"}


def test_loss_and_accuracy_of_both():
    history = epochs(5)
    loss, accuracy = draw_learning(history, title="a network").axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        lines = curves(axes)
        assert set(lines) == {"training", "held-out"}
        assert list(lines["training"].get_xdata()) == [1, 2, 3, 4, 5]
        assert list(lines["training"].get_ydata()) == [getattr(e, name) for e in history]
        found = list(lines["held-out"].get_ydata())
        assert found == [getattr(e, f"validation_{name}") for e in history]
        assert axes.get_ylabel() == name
    assert loss.get_yscale() == "log"


def test_the_best_epoch_is_marked():
    _, accuracy = draw_learning(epochs(5)).axes
    assert [text.get_text() for text in accuracy.texts] == ["0.9000 in epoch 1"]


def test_nothing_held_out():
    loss, accuracy = draw_learning(epochs(3, held_out=False)).axes
    assert set(curves(loss)) == set(curves(accuracy)) == {"training"}
    assert not accuracy.texts


def test_a_regression_has_no_accuracy():
    (loss,) = draw_learning(epochs(3, accuracy=False)).axes
    assert set(curves(loss)) == {"training", "held-out"}


def test_a_single_epoch_is_a_point():
    loss, _ = draw_learning(epochs(1)).axes
    assert curves(loss)["training"].get_marker() == "o"


def test_no_epochs():
    with pytest.raises(ValueError, match="`history` must hold at least one epoch; got none"):
        draw_learning([])
