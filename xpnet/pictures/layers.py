"""Pictures of a network's layers: weights as images, outputs as histograms."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.functions.activations import ACTIVATIONS
from xpnet.pictures.saving import new_figure, new_panels
from xpnet.pictures.style import GRAY, MAIN, WEIGHTS, picture_style

__all__ = ["draw_outputs", "draw_weights"]

_MOST_UNITS = 100


@picture_style()
def draw_weights(weight: NDArray[Any], /) -> Any:
    """Return a figure of the weights of each unit as a square image, orange where negative.

    Of the weights, of shape (n_in, n_out), the 100 units with the largest norms are drawn,
    in descending order. Raise ValueError if n_in is not a square number.
    """
    side = math.isqrt(len(weight))
    if side * side != len(weight):
        msg = f"`weight` must have a square number of inputs to be shown; got {len(weight)}"
        raise ValueError(msg)
    order = np.argsort(-np.linalg.norm(weight, axis=0), kind="stable")[:_MOST_UNITS]
    images = weight.T[order].reshape(len(order), side, side).astype(np.float64)
    n_columns = math.ceil(math.sqrt(len(images)))
    n_rows = math.ceil(len(images) / n_columns)
    margins = [(0, n_rows * n_columns - len(images)), (0, 1), (0, 1)]
    cells = np.pad(images, margins, constant_values=np.nan)
    rows = cells.reshape(n_rows, n_columns, side + 1, side + 1).swapaxes(1, 2)
    mosaic = rows.reshape(n_rows * (side + 1), -1)
    figure = new_figure(6.4, 5.4 * n_rows / n_columns + 0.5, layout="constrained")
    axes = figure.subplots()
    largest = float(np.quantile(abs(images), 0.998))  # an outlier would make all others pale
    drawn = axes.imshow(mosaic[:-1, :-1], cmap=WEIGHTS, vmin=-largest, vmax=largest)
    axes.set_axis_off()
    counts = f"{len(images)} of {weight.shape[1]:,} units"
    axes.set_title(f"Weights of the first layer: {counts}, by size of the weights")
    figure.colorbar(drawn, ax=axes, extend="both", label="weight", shrink=0.8)
    return figure


@picture_style()
def draw_outputs(layers: Sequence[Any], results: Sequence[tuple[Any, Any]], /) -> Any:
    """Return a figure of the histograms of each layer's outputs.

    `layers` are `xpnet.Dense`, and `results` are x @ weight + bias and the output of each. An
    output is saturated where the derivative of the activation is below 5% of its largest near 0,
    and a unit is dead if its output is saturated for every row.
    """
    figure, panels = new_panels(len(layers), 2.8, 2.8, n_columns=4)
    for i, (axes, layer, (z, y)) in enumerate(zip(panels, layers, results, strict=True), 1):
        finite = y[np.isfinite(y)]
        axes.hist(finite, bins=50, weights=np.full(finite.size, 100 / y.size), color=MAIN)
        axes.set_title(f"layer {i}: {layer.n_out} {layer.activation}")
        axes.set(xlabel=f"output{_saturation(layer, z, y)}", ylabel="% of outputs")
        axes.grid(axis="y")
    text = f"{len(y):,} rows. Saturated: slope below 5% of its largest near 0;"
    text += "\ndead: saturated in every row."
    figure.supxlabel(text, x=0.01, ha="left", fontsize=9, color=GRAY)
    figure.suptitle("Outputs of each layer", x=0.01, ha="left")
    return figure


def _saturation(layer: Any, z: NDArray[Any], y: NDArray[Any]) -> str:
    """Return the share of saturated outputs and the number of dead units, as text."""
    row = ACTIVATIONS[layer.activation]
    if row.derivative is None:
        return ""
    near = np.linspace(-2.0, 2.0, 401)
    slopes = row.derivative(near, row.function(near, np, **layer.options), np, **layer.options)
    is_flat = abs(row.derivative(z, y, np, **layer.options)) < 0.05 * abs(slopes).max()
    n_dead = int(is_flat.all(axis=0).sum())
    return f"\n{is_flat.mean():.1%} saturated\n{n_dead} of {layer.n_out} units dead"
