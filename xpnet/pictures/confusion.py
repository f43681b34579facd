"""Confusion matrix: how often each class is taken for another."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.pictures.saving import new_figure, shorten_name
from xpnet.pictures.style import picture_style

__all__ = ["draw_confusion"]

# Counts of more classes would be too small to read; of even more, only some names have room.
_MOST_COUNTED, _MOST_NAMED, _MAX_NAME_LENGTH = 20, 50, 16
# Inches: a cell with a count, the matrix without counts, a letter, the margins beside and above.
_CELL, _SIDE, _LETTER, _BESIDE, _ABOVE = 0.42, 6.5, 0.08, 1.7, 1.0


@picture_style()
def draw_confusion(confusion: NDArray[Any], classes: Sequence[str | int], /) -> Any:
    """Return a figure of a confusion matrix: rows are labels, columns are predictions.

    `confusion` has the shape (n_classes, n_classes), and `classes` are the names. Correct ones are
    gray, and the strongest color is the most frequent mistake: on one scale with the much larger
    diagonal, all mistakes would look alike.
    """
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    names = [shorten_name(str(name), _MAX_NAME_LENGTH) for name in classes]
    side = max(len(names) * _CELL, 2.5) if len(names) <= _MOST_COUNTED else _SIDE
    room = side + _LETTER * max(map(len, names))
    figure = new_figure(room + _BESIDE, room + _ABOVE, layout="constrained")
    axes = figure.subplots()
    axes.spines[:].set_visible(True)
    mistakes = np.where(np.eye(len(names), dtype=bool), 0, confusion)
    oranges = ListedColormap(colormaps["Oranges"](np.linspace(0.15, 1.0, 256)))  # 1 is not white
    colors = oranges.with_extremes(under="0.9", bad="white")  # correct ones; none
    shown, most = np.ma.masked_array(mistakes, confusion == 0), int(mistakes.max())
    image = axes.imshow(shown, cmap=colors, vmin=1, vmax=max(most, 2))
    legend = {"correct": 0} | {f"mistakes: {n:,}": n for n in (1, most) if most}
    patches = [Patch(color=image.to_rgba(n), label=label) for label, n in legend.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches))
    _name_axes(axes, names)
    if len(names) <= _MOST_COUNTED:
        _write_counts(axes, confusion, image.to_rgba(shown), cell=side / len(names))
    correct, total = int(np.trace(confusion)), int(confusion.sum())
    title = f"accuracy {correct / total:.4f} ({correct:,} of {total:,})" if total else "no images"
    axes.set_title(title)
    return figure


def _name_axes(axes: Any, names: Sequence[str]) -> None:
    step = -(-len(names) // _MOST_NAMED)
    places = range(0, len(names), step)
    is_tight = len(names) > _MOST_COUNTED or max(map(len, names)) > 3
    axes.set_xticks(places, names[::step], rotation=90 if is_tight else 0, parse_math=False)
    axes.set_yticks(places, names[::step], parse_math=False)
    axes.set(xlabel="prediction", ylabel="label")


def _write_counts(axes: Any, confusion: NDArray[Any], colors: NDArray[Any], *, cell: float) -> None:
    """Write counts that are not zero into their cells of `cell` inches, in black or white."""
    is_dark = colors[..., :3] ** 2.2 @ [0.2126, 0.7152, 0.0722] < 0.18
    for i, j in np.argwhere(confusion).tolist():
        text = f"{confusion[i, j]:,}"
        points = min(9.0, 72 * 0.9 * cell / (0.62 * len(text)))
        style = {"fontsize": points, "color": "white" if is_dark[i, j] else "black"}
        axes.text(j, i, text, ha="center", va="center", **style)
