"""Learning curves."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

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
    for axes, name, better in ((loss, "loss", "lower"), (accuracy, "accuracy", "higher")):
        lines = curves(axes)
        assert list(lines)[:2] == ["training", "held-out"]
        assert list(lines["training"].get_xdata()) == [1, 2, 3, 4, 5]
        assert list(lines["training"].get_ydata()) == [getattr(e, name) for e in history]
        found = list(lines["held-out"].get_ydata())
        assert found == [getattr(e, f"validation_{name}") for e in history]
        assert axes.get_ylabel() == f"{name} ({better} is better)"
    assert loss.get_yscale() == "log"


def test_the_best_epoch_is_marked():
    _, accuracy = draw_learning(epochs(5)).axes
    assert list(curves(accuracy)) == ["training", "held-out", "best: 0.9000 in epoch 1"]
    assert curves(accuracy)["best: 0.9000 in epoch 1"].get_xydata().tolist() == [[1, 0.9]]
    legend = accuracy.figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == list(curves(accuracy))


def test_nothing_held_out():
    loss, accuracy = draw_learning(epochs(3, held_out=False)).axes
    assert set(curves(loss)) == set(curves(accuracy)) == {"training"}


def test_a_regression_has_no_accuracy():
    (loss,) = draw_learning(epochs(3, accuracy=False)).axes
    assert set(curves(loss)) == {"training", "held-out"}


def test_a_single_epoch_is_a_point():
    loss, _ = draw_learning(epochs(1)).axes
    assert curves(loss)["training"].get_marker() == "o"


@pytest.mark.parametrize("losses", [[0.3, 0.301], [2.3, 0.004], [5.0, 5.0], [1e-9, 1e3]])
def test_losses_have_legible_ticks(losses):
    history = [replace(epochs(1)[0], loss=loss, validation_loss=loss) for loss in losses]
    figure = draw_learning(history)
    FigureCanvasAgg(figure).draw()
    low, high = sorted(figure.axes[0].get_ylim())
    shown = [tick for tick in figure.axes[0].get_yticks() if low <= tick <= high]
    assert 1 <= len(shown) <= 14


def test_a_title_is_not_a_formula():
    figure = draw_learning(epochs(2), title="$\\nosuch$ cross-entropy")
    FigureCanvasAgg(figure).draw()
    assert figure.get_suptitle() == "$\\nosuch$ cross-entropy"
