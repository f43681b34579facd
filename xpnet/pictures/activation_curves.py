"""Plot of activation functions."""

import math
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np

from xpnet.functions.activations import ACTIVATIONS
from xpnet.pictures.saving import new_figure

__all__ = ["draw_activations"]

_STYLES = ("-", "--", "-.", ":")
_NAMES_PER_COLUMN = 16


def draw_activations(names: Sequence[str], /, *, start: float = -5.0, stop: float = 5.0) -> Any:
    """Return a figure of elementwise activations on [start, stop].

    Raise ValueError if a name is not an elementwise activation, or the interval is empty.
    """
    known = sorted(name for name, row in ACTIVATIONS.items() if row.is_elementwise)
    for name in names:
        if name not in known:
            msg = f"`names` must be among {', '.join(known)}; got {name!r}"
            raise ValueError(msg)
    if not start < stop:
        msg = f"`start` must be below `stop`; got {start} and {stop}"
        raise ValueError(msg)
    names = list(dict.fromkeys(names))
    n_columns = math.ceil(len(names) / _NAMES_PER_COLUMN)
    legend_width = 0.0 if n_columns == 1 else 1.8 * n_columns  # inches, beside the axes
    figure = new_figure(6.4 + legend_width, 4.8, layout="constrained")
    axes = figure.subplots()
    x = np.linspace(start, stop, 2001)
    # Where curves coincide, as relu and the identity do, the gaps of the upper show the lower.
    for name, style in zip(names, cycle(_STYLES), strict=False):
        order = 2 + _STYLES.index(style)
        axes.plot(x, ACTIVATIONS[name].function(x, np), style, label=name, zorder=order)
    axes.set_xlabel("x")
    axes.set_ylabel("activation")
    axes.margins(y=0.05)
    axes.grid(alpha=0.3)
    if n_columns == 1:
        axes.legend()
    else:
        figure.legend(loc="outside right upper", ncols=n_columns)
    return figure
