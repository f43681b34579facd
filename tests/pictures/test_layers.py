"""Pictures of layers: weights as images, outputs as histograms."""

import re

import numpy as np
import pytest

from xpnet import Dense
from xpnet.functions.activations import ACTIVATIONS
from xpnet.pictures.layers import draw_outputs, draw_weights


def mosaic(figure):
    return np.asarray(figure.axes[0].images[0].get_array().filled(np.nan))


def test_weights_of_a_unit_are_an_image():
    weight = np.arange(1.0, 9.0).reshape(4, 2)  # the second unit has the larger norm
    assert np.nan_to_num(mosaic(draw_weights(weight)), nan=-1).tolist() == [
        [2, 4, -1, 1, 3],
        [6, 8, -1, 5, 7],
    ]


def test_zero_is_in_the_middle_of_the_colours():
    image = draw_weights(np.array([[-3.0], [1.0], [0.0], [2.0]])).axes[0].images[0]
    low, high = image.get_clim()
    assert low == -high
    assert 2.9 < high <= 3.0
    assert image.get_cmap()(0.5)[:3] == pytest.approx([0.97] * 3, abs=0.01)


@pytest.mark.parametrize(
    ("n_units", "counts"), [(3, "3 of 3 units"), (100, "100 of 100"), (2500, "100 of 2,500")]
)
def test_the_largest_100_units(n_units, counts):
    weight = np.outer(np.ones(4), np.arange(1, n_units + 1))
    figure = draw_weights(weight)
    title = figure.axes[0].get_title("left")
    assert title.startswith(f"Weights of the first layer: {counts}")
    drawn = np.unique(mosaic(figure))
    assert np.nanmin(drawn) == max(n_units - 99, 1)
    assert np.nanmax(drawn) == n_units


def test_weights_that_are_not_square():
    message = "`weight` must have a square number of inputs to be shown; got 7"
    with pytest.raises(ValueError, match=re.escape(message)):
        draw_weights(np.ones((7, 2)))


def results(activation, z):
    z = np.asarray(z, np.float64)
    layer = Dense(np.ones((4, z.shape[1])), np.zeros(z.shape[1]), activation)
    return layer, (z, ACTIVATIONS[activation](z, np))


def heights(axes):
    return [patch.get_height() for patch in axes.patches]


def test_a_histogram_is_in_percent():
    layer, pair = results("relu", [[-1.0, 4.0], [-1.0, 2.0]])
    (axes,) = draw_outputs([layer], [pair]).axes
    assert sum(heights(axes)) == pytest.approx(100)
    assert (heights(axes)[0], heights(axes)[25], heights(axes)[-1]) == (50, 25, 25)
    assert axes.get_title("left") == "layer 1: 2 relu"


@pytest.mark.parametrize(
    ("activation", "z", "text"),
    [
        ("relu", [[-1.0, 4.0], [-1.0, -2.0]], "75.0% saturated\n1 of 2 units dead"),
        ("sigmoid", [[9.0, 0.0, -9.0], [9.0, 9.0, 9.0]], "83.3% saturated\n2 of 3 units dead"),
        ("tanh", [[0.0], [1.0]], "0.0% saturated\n0 of 1 units dead"),
        ("identity", [[0.0], [100.0]], "0.0% saturated\n0 of 1 units dead"),
    ],
)
def test_saturated_and_dead_units(activation, z, text):
    layer, pair = results(activation, z)
    (axes,) = draw_outputs([layer], [pair]).axes
    assert axes.get_xlabel() == f"output\n{text}"


@pytest.mark.parametrize("activation", ["step", "softmax"])
def test_activations_without_a_slope_have_a_histogram_only(activation):
    layer, pair = results(activation, [[0.0, 1.0], [2.0, 0.5]])
    (axes,) = draw_outputs([layer], [pair]).axes
    assert axes.get_xlabel() == "output"
    assert sum(heights(axes)) == pytest.approx(100)


def test_options_of_an_activation_count():
    layer = Dense(np.ones((4, 1)), np.zeros(1), "leaky_relu", {"negative_slope": 0.2})
    z = np.array([[-1.0], [1.0]])
    (axes,) = draw_outputs([layer], [(z, z)]).axes
    assert axes.get_xlabel() == "output\n0.0% saturated\n0 of 1 units dead"


def test_nonfinite_outputs_are_left_out():
    layer, _ = results("relu", [[0.0]])
    y = np.array([[np.inf], [1.0], [np.nan], [2.0]])
    (axes,) = draw_outputs([layer], [(y, y)]).axes
    assert sum(heights(axes)) == pytest.approx(50)


@pytest.mark.parametrize("n_layers", [1, 4, 5, 9])
def test_a_panel_for_each_layer(n_layers):
    layer, pair = results("tanh", [[0.0, 1.0]])
    figure = draw_outputs([layer] * n_layers, [pair] * n_layers)
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == [f"layer {i + 1}: 2 tanh" for i in range(n_layers)]
    assert figure.get_suptitle() == "Outputs of each layer"
    assert figure.get_supxlabel().startswith("1 rows. Saturated: slope below 5% of its largest")
