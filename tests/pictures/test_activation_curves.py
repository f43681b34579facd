"""Plot of activation functions: values, legend and arguments."""

from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from xpnet.functions.activations import ACTIVATIONS
from xpnet.pictures.activation_curves import draw_activations

ELEMENTWISE = sorted(name for name, row in ACTIVATIONS.items() if row.is_elementwise)


def lines(figure: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in figure.axes[0].get_lines()}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_curve_is_its_function(name: str) -> None:
    x, y = lines(draw_activations([name]))[name].get_data()
    assert (x[0], x[-1], len(x)) == (-5.0, 5.0, 2001)
    assert y.tolist() == ACTIVATIONS[name].function(np.asarray(x), np).tolist()


def test_values_that_are_known() -> None:
    drawn = lines(draw_activations(["sigmoid", "relu", "step"]))
    assert {name: float(line.get_ydata()[1000]) for name, line in drawn.items()} == {
        "sigmoid": 0.5,
        "relu": 0.0,
        "step": 0.0,
    }
    assert [float(line.get_ydata()[-1]) for line in drawn.values()] == [
        pytest.approx(0.99331, abs=1e-5),
        5.0,
        1.0,
    ]


def test_the_interval() -> None:
    x = lines(draw_activations(["tanh"], start=-1.0, stop=2.0))["tanh"].get_xdata()
    assert (x[0], x[-1]) == (-1.0, 2.0)


def test_the_legend_names_each_once() -> None:
    figure = draw_activations(["relu", "step", "relu"])
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["relu", "step"]


def test_curves_that_lie_on_each_other_differ_in_style_and_color() -> None:
    drawn = lines(draw_activations(["identity", "linear", "relu"])).values()
    assert len({line.get_linestyle() for line in drawn}) == 3
    assert len({line.get_color() for line in drawn}) == 3


def test_all_fit_into_the_figure() -> None:
    figure = draw_activations(ELEMENTWISE)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.axes[0].get_tightbbox(canvas.get_renderer())
    assert (box.x0 >= 0, box.y0 >= 0) == (True, True)
    assert (box.x1 <= figure.bbox.x1, box.y1 <= figure.bbox.y1) == (True, True)
    assert np.asarray(canvas.buffer_rgba())[..., :3].min() < 50


@pytest.mark.parametrize(
    "names", [["bogus"], ["relu", "bogus"], ["softmax"], ["relu", "log_softmax"], ["sparsemax"]]
)
def test_unknown_names(names: list[str]) -> None:
    message = f"`names` must be among {', '.join(ELEMENTWISE)}; got '{names[-1]}'"
    with pytest.raises(ValueError, match=f"^{message}$"):
        draw_activations(names)


@pytest.mark.parametrize(
    ("start", "stop"), [(1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0), (0.0, float("nan"))]
)
def test_an_empty_interval(start: float, stop: float) -> None:
    with pytest.raises(ValueError, match=f"`start` must be below `stop`; got {start} and {stop}"):
        draw_activations(["relu"], start=start, stop=stop)
