"""Results of an evaluation and of a training: confusion matrix, learning curves, HTML."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from html import escape
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.pictures.figures import MAIN, SECOND, WRONG, new_panels, picture_style

__all__ = ["draw_confusion", "draw_learning", "result_as_html"]


@picture_style()
def draw_confusion(confusion: NDArray[Any], classes: Sequence[str | int], /) -> Any:
    """Return a figure of a confusion matrix: rows are labels, columns are predictions.

    `confusion` has the shape (n_classes, n_classes), and `classes` are the names. Correct ones are
    gray, and the strongest color is the most frequent mistake: on one scale with the much larger
    diagonal, all mistakes would look alike.
    """
    from matplotlib.colors import LinearSegmentedColormap

    n_classes, names = len(classes), [f"{name!s:.16}" for name in classes]
    is_counted = n_classes <= 20  # of more, counts would be too small to read
    cell = max(0.45, 0.08 * len(f"{confusion.max():,}"))  # inches
    side = max(cell * n_classes, 2.5) + 1.2 + 0.08 * max(map(len, names)) if is_counted else 9.0
    figure, (axes,) = new_panels(1, side, side)
    mistakes = np.where(np.eye(n_classes, dtype=bool), 0, confusion)
    most = max(int(mistakes.max()), 2)
    oranges = LinearSegmentedColormap.from_list("mistakes", ["#ffdfc0", WRONG])
    colors = oranges.with_extremes(under="0.9", bad="white")  # correct ones; none
    shown = np.ma.masked_array(mistakes, confusion == 0)
    image = axes.imshow(shown, cmap=colors, vmin=1, vmax=most)
    if not is_counted:
        figure.colorbar(image, label="mistakes", ticks=[1, most], shrink=0.5)
    for i, j in np.argwhere(confusion * is_counted).tolist():
        axes.text(j, i, f"{confusion[i, j]:,}", ha="center", va="center")
    places = range(0, n_classes, -(-n_classes // 50))  # of more names, some have room
    rotation = 90 if max(map(len, names)) > 1 else 0
    axes.set_xticks(places, [names[i] for i in places], rotation=rotation, parse_math=False)
    axes.set_yticks(places, [names[i] for i in places], parse_math=False)
    axes.set(xlabel="prediction", ylabel="label")
    axes.spines[:].set_visible(True)
    correct, total = int(np.trace(confusion)), int(confusion.sum())
    axes.set_title(f"accuracy {correct / (total or np.nan):.4f}\n{correct:,} of {total:,}")
    return figure


@picture_style()
def draw_learning(history: Sequence[Any], /, *, title: str = "") -> Any:
    """Return a figure of loss and accuracy per epoch, under a title such as the network.

    `history` holds at least one object with the attributes of `xpnet.Epoch`. The epoch with the
    best held-out accuracy is marked; a regression has no accuracy.
    """
    from matplotlib.ticker import LogLocator

    names = {"loss": "lower"} | ({"accuracy": "higher"} if history[0].accuracy is not None else {})
    figure, panels = new_panels(len(names), 4.8, 3.9)
    style = {"marker": "o" if len(history) <= 40 else "", "markersize": 4}
    for axes, (name, better) in zip(panels, names.items(), strict=True):
        for prefix, label, color in ("", "training", MAIN), ("validation_", "held-out", SECOND):
            values = [getattr(epoch, prefix + name) for epoch in history]
            if values[0] is not None:
                axes.plot([x.number for x in history], values, color=color, label=label, **style)
        axes.set(xlabel="epoch", ylabel=f"{name} ({better} is better)")
        axes.locator_params("x", integer=True, min_n_ticks=1)
        axes.grid()
    panels[0].set_yscale("log")
    low, high = panels[0].get_ylim()
    panels[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 500 * low else (1,)))
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].minorticks_off()
    if history[0].validation_accuracy is not None:  # marked is the lowest loss among equals
        best = max(history, key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss))
        label = f"best: {best.validation_accuracy:.4f} in epoch {best.number}"
        ring = {"color": SECOND, "fillstyle": "none", "ms": 11, "mew": 2, "label": label}
        panels[1].plot(best.number, best.validation_accuracy, "o", **ring)
    figure.legend(*panels[-1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    heading = "\n".join(wrap(title, 48 * len(names), break_on_hyphens=False))
    figure.suptitle(heading, x=0.01, ha="left", parse_math=False)
    return figure


def result_as_html(rows: Mapping[str, str], draw: Callable[..., Any], *drawn: Any) -> str:
    """Return a table, and what `draw` draws unless nothing is to be drawn or matplotlib missing."""
    left = 'style="text-align:left"'
    lines = (f"<th {left}>{escape(x)}</th><td {left}>{escape(y)}</td>" for x, y in rows.items())
    parts = ["<table>", *(f"<tr>{line}</tr>" for line in lines), "</table>"]
    with suppress(ModuleNotFoundError):
        if len(drawn[0]):
            picture = b64encode(draw(*drawn)._repr_png_()).decode()
            style = 'style="max-width:100%" alt="picture of the result"'
            parts.append(f'<img {style} src="data:image/png;base64,{picture}">')
    return "".join(parts)
