"""How a network learned: loss and accuracy, epoch by epoch."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from xpnet.pictures.saving import new_figure

__all__ = ["draw_learning"]

_LEARNED, _HELD_OUT, _QUIET = "tab:blue", "tab:orange", "0.4"
_LONGEST_LINE = 90
# So few points are marked, each of them.
_FEW = 40


def draw_learning(history: Sequence[Any], /, *, title: str = "") -> Any:
    """Return a figure of loss and accuracy over the epochs.

    Both the examples learned from and those held out are shown, and of the latter the best epoch,
    with its number. A regression has no accuracy.

    Parameters
    ----------
    history : sequence of Epoch
        With ``number``, ``loss``, ``accuracy``, ``validation_loss``, ``validation_accuracy``.
    title : str, optional
        Above the picture, such as the network.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no epoch.
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    if not history:
        msg = "`history` must hold at least one epoch; got none"
        raise ValueError(msg)
    has_accuracy = history[0].accuracy is not None
    figure = new_figure(9.6 if has_accuracy else 5.4, 3.9, layout="constrained")
    axes = figure.subplots(1, 2 if has_accuracy else 1, squeeze=False)[0]
    _draw(axes[0], history, "loss")
    axes[0].set(yscale="log", ylabel="loss")
    if has_accuracy:
        _draw(axes[1], history, "accuracy")
        axes[1].set(ylabel="share that is right")
        _mark_best(axes[1], history)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    lines = wrap(title, _LONGEST_LINE, max_lines=2, placeholder=" ...")
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def _draw(axes: Any, history: Sequence[Any], name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    numbers = [epoch.number for epoch in history]
    style = {"marker": "o" if len(history) <= _FEW else "", "markersize": 4, "linewidth": 1.8}
    learned = [getattr(epoch, name) for epoch in history]
    axes.plot(numbers, learned, color=_LEARNED, label="learned from", **style)
    held_out = [getattr(epoch, f"validation_{name}") for epoch in history]
    if held_out[0] is not None:
        axes.plot(numbers, held_out, color=_HELD_OUT, label="held out", **style)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)


def _mark_best(axes: Any, history: Sequence[Any]) -> None:
    """Mark the epoch that is right most often on what was held out."""
    if history[0].validation_accuracy is None:
        return
    best = max(history, key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss))
    point = best.number, best.validation_accuracy
    axes.plot(*point, "o", markersize=11, markeredgewidth=2, fillstyle="none", color=_HELD_OUT)
    axes.annotate(
        f"{best.validation_accuracy:.4f} in epoch {best.number}",
        point,
        xytext=(0.97, 0.08),  # below a rising curve
        textcoords="axes fraction",
        horizontalalignment="right",
        fontweight="bold",
        arrowprops={"arrowstyle": "-", "color": _QUIET, "shrinkB": 7},
    )
