"""Plot of activation functions: values, derivatives, jumps and arguments."""

import re
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import xpnet
from xpnet import plot
from xpnet.functions.activations import ACTIVATIONS

ELEMENTWISE = sorted(name for name, row in ACTIVATIONS.items() if row.is_elementwise)
OF_ROWS = sorted(set(ACTIVATIONS) - set(ELEMENTWISE))
X = np.linspace(-5.0, 5.0, 2001)


def titles(figure: Any) -> list[str]:
    return [axes.get_title("left") for axes in figure.axes]


def curves(axes: Any) -> list[Any]:
    """Return the curves of a panel, which are followed by the lines through 0."""
    return axes.get_lines()[:-2]


def gaps(line: Any) -> list[float]:
    """Return the places where a line is interrupted."""
    x, y = line.get_data()
    return [round(float(x[i - 1]), 9) for i in np.flatnonzero(np.isnan(y))]


@pytest.fixture(scope="module")
def panels() -> dict[str, Any]:
    """Return the axes of each activation, by its name."""
    return dict(zip(ACTIVATIONS, plot(*ACTIVATIONS).axes, strict=True))


def on_grid(line: Any) -> dict[float, float]:
    return dict(zip(*(values.tolist() for values in line.get_data()), strict=True))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_panel_has_the_function_and_its_derivative(panels: dict[str, Any], name: str) -> None:
    row = ACTIVATIONS[name]
    function, derivative = curves(panels[name])
    y = row.function(X, np)
    slope = np.zeros_like(X) if row.derivative is None else row.derivative(X, y, np)
    for line, expected in ((function, y), (derivative, slope)):
        found = on_grid(line)
        assert [found[x] for x in X.tolist()] == expected.tolist()
    assert (function.get_linestyle(), derivative.get_linestyle()) == ("-", "--")


@pytest.mark.parametrize("name", OF_ROWS)
def test_a_function_of_rows_has_a_curve_for_each_element(panels: dict[str, Any], name: str) -> None:
    lines = curves(panels[name])
    rows = np.column_stack((X, np.zeros_like(X), np.full_like(X, -1.0)))
    expected = ACTIVATIONS[name].function(rows, np)
    assert [line.get_ydata().tolist() for line in lines] == expected.T.tolist()


@pytest.mark.parametrize(
    ("name", "of_function", "of_derivative"),
    [
        ("step", [0.0], []),
        ("relu", [], [0.0]),
        ("selu", [], [0.0]),
        ("hard_silu", [], [-3.0, 3.0]),
        ("sigmoid", [], []),
        ("softsign", [], []),
        ("exponential", [], []),
    ],
)
def test_jumps_are_gaps(
    panels: dict[str, Any], name: str, of_function: list[float], of_derivative: list[float]
) -> None:
    function, derivative = curves(panels[name])
    assert (gaps(function), gaps(derivative)) == (of_function, of_derivative)


def test_a_curve_reaches_both_sides_of_a_jump() -> None:
    x, y = curves(plot("step", start=-3.0, stop=4.0).axes[0])[0].get_data()
    i = int(np.flatnonzero(np.isnan(y))[0])
    assert (x[i - 1], y[i - 1]) == (pytest.approx(0.0), 0.0)
    assert (x[i + 1], y[i + 1]) == (pytest.approx(0.0), 1.0)


def test_a_pole_gives_no_warning() -> None:
    (line,) = curves(plot(lambda x: 1.0 / x).axes[0])
    assert np.isinf(line.get_ydata()).any()


def test_steep_curves_have_no_gaps() -> None:
    function, derivative = curves(plot("exponential", stop=600.0).axes[0])
    assert (gaps(function), gaps(derivative)) == ([], [])


def test_the_books_three_by_default() -> None:
    assert titles(plot()) == ["step", "sigmoid", "relu"]
    assert plot().get_suptitle() == "Activation functions"


def test_the_interval() -> None:
    axes = plot("tanh", start=-1.0, stop=2.0).axes[0]
    x = curves(axes)[0].get_xdata()
    assert (x[0], x[-1], axes.get_xlim()) == (-1.0, 2.0, (-1.0, 2.0))


def test_each_name_has_one_panel() -> None:
    assert titles(plot("relu", "step", xpnet.relu, "relu")) == ["relu", "step"]


def test_the_legend_names_each_kind_of_curve_once() -> None:
    legend = plot("softmax", "relu", "tanh", "log_softmax").legends[0]
    assert [text.get_text() for text in legend.get_texts()] == [
        "function",
        "derivative",
        "output of x, in the row (x, 0, -1)",
        "output of 0",
        "output of -1",
    ]


def test_functions_of_the_user() -> None:
    figure = plot(np.sin, lambda x: x**2, xpnet.leaky_relu)
    assert titles(figure) == ["sin", "<lambda>", "leaky_relu"]
    assert [len(curves(axes)) for axes in figure.axes] == [1, 1, 2]
    assert curves(figure.axes[0])[0].get_ydata().tolist() == np.sin(X).tolist()


def test_a_jump_of_a_users_function() -> None:
    assert gaps(curves(plot(np.floor, start=-0.5, stop=1.5).axes[0])[0]) == [0.0, 1.0]


@pytest.mark.parametrize(
    "names",
    [
        ["relu"],
        ["softmax"],
        ["softmax", "log_softmax"],
        ["relu", "softmax"],
        ["relu", "gelu", "softmax"],
        ["relu", "gelu", "tanh", "softmax"],
        pytest.param(list(ACTIVATIONS), marks=pytest.mark.slow),
    ],
)
def test_panels_fit_into_the_figure(names: list[str]) -> None:
    figure = plot(*names)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert len(figure.axes) == len(names)
    boxes = [part.get_tightbbox(canvas.get_renderer()) for part in (*figure.axes, *figure.legends)]
    assert min(min(box.x0, box.y0) for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    assert max(box.y1 for box in boxes) <= figure.bbox.y1
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[i + 1 :])


@pytest.mark.parametrize(
    ("name", "hint"),
    [("relo", "; did you mean relu?"), ("Sigmoid", "; did you mean sigmoid?"), ("qq", " (known: ")],
)
def test_unknown_names(name: str, hint: str) -> None:
    message = re.escape(f"`functions` must be names of activations; got {name!r}{hint}")
    with pytest.raises(ValueError, match=f"^{message}"):
        plot("relu", name)


def test_functions_that_are_not_elementwise() -> None:
    message = "`functions` must be elementwise; got results of the shape (1,) for (2001,)"
    with pytest.raises(ValueError, match=re.escape(message)):
        plot(lambda x: x[:1])


@pytest.mark.parametrize(
    ("start", "stop"),
    [(1.0, 1.0), (2.0, 1.0), (np.nan, 1.0), (0.0, np.nan), (-np.inf, 1.0), (0.0, np.inf)],
)
def test_an_empty_interval(start: float, stop: float) -> None:
    message = f"`start` must be below `stop`, both finite; got {start} and {stop}"
    with pytest.raises(ValueError, match=message):
        plot("relu", start=start, stop=stop)
