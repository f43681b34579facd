"""Learning curves: loss and accuracy per epoch."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from xpnet.pictures.saving import new_figure

__all__ = ["draw_learning"]


def draw_learning(history: Sequence[Any], /, *, title: str = "") -> Any:
    """Return a figure of loss and accuracy per epoch, under a title such as the network.

    `history` holds at least one object with the attributes of `xpnet.Epoch`. Training and held-out
    curves are drawn, and the epoch with the best held-out accuracy is marked. A regression has no
    accuracy.
    """
    if not history:
        msg = "`history` must hold at least one epoch; got none"
        raise ValueError(msg)
    has_accuracy = history[0].accuracy is not None
    figure = new_figure(9.6 if has_accuracy else 5.4, 3.9, layout="constrained")
    axes = figure.subplots(1, 2 if has_accuracy else 1, squeeze=False)[0]
    _draw_curves(axes[0], history, "loss")
    axes[0].set(yscale="log")
    if has_accuracy:
        _draw_curves(axes[1], history, "accuracy")
        if history[0].validation_accuracy is not None:
            _mark_best(axes[1], history)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    lines = wrap(title, 90, max_lines=2, placeholder=" ...")
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def _draw_curves(axes: Any, history: Sequence[Any], name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    numbers = [epoch.number for epoch in history]
    marker = "o" if len(history) <= 40 else ""
    for label, field, color in (
        ("training", name, "tab:blue"),
        ("held-out", f"validation_{name}", "tab:orange"),
    ):
        values = [getattr(epoch, field) for epoch in history]
        if values[0] is not None:
            style = {"marker": marker, "markersize": 4, "linewidth": 1.8}
            axes.plot(numbers, values, color=color, label=label, **style)
    axes.set(xlabel="epoch", ylabel=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)


def _mark_best(axes: Any, history: Sequence[Any]) -> None:
    """Mark the epoch with the best held-out accuracy, the lowest loss among equals."""
    best = max(history, key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss))
    point = best.number, best.validation_accuracy
    axes.plot(*point, "o", markersize=11, markeredgewidth=2, fillstyle="none", color="tab:orange")
    axes.annotate(
        f"{best.validation_accuracy:.4f} in epoch {best.number}",
        point,
        xytext=(0.97, 0.08),  # below a rising curve
        textcoords="axes fraction",
        horizontalalignment="right",
        fontweight="bold",
        arrowprops={"arrowstyle": "-", "color": "0.4", "shrinkB": 7},
    )
