"""Plot of activation functions: values, derivatives and arguments."""

import numpy as np
import pytest

import xpnet
from xpnet import plot
from xpnet.functions.activations import ACTIVATIONS


@pytest.mark.parametrize("name", [x for x, row in ACTIVATIONS.items() if row.is_elementwise])
def test_the_derivative_is_the_slope_of_the_function(name):
    function, derivative = (line.get_xydata().T for line in plot(name).axes[0].get_lines()[:2])
    assert function[0].tolist() == derivative[0].tolist() == np.linspace(-5, 5, 2001).tolist()
    assert function[1].tolist() == ACTIVATIONS[name].function(function[0], np).tolist()
    slope = np.diff(function[1]) / np.diff(function[0])
    error = abs(slope - (derivative[1][1:] + derivative[1][:-1]) / 2)
    assert (error > 1e-3).sum() <= 2  # where two pieces meet


def test_names_and_functions():
    figure = plot("tanh", xpnet.leaky_relu, np.sin, lambda x: x**2, start=-1.0, stop=2.0)
    found = [(axes.get_title("left"), len(axes.get_lines()) - 2) for axes in figure.axes]
    assert found == [("tanh", 2), ("leaky_relu", 2), ("sin", 1), ("<lambda>", 1)]
    assert {axes.get_xlim() for axes in figure.axes} == {(-1.0, 2.0)}


@pytest.mark.parametrize("function", ["relo", "softmax", xpnet.log_softmax, np.sum])
def test_what_cannot_be_drawn(function):
    with pytest.raises(ValueError, match="did you mean relu" if function == "relo" else "element"):
        plot("relu", function)
