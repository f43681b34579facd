"""Learning curves: loss and accuracy per epoch."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from xpnet.pictures.saving import new_panels
from xpnet.pictures.style import MAIN, SECOND, picture_style

__all__ = ["draw_learning"]


@picture_style()
def draw_learning(history: Sequence[Any], /, *, title: str = "") -> Any:
    """Return a figure of loss and accuracy per epoch, under a title such as the network.

    `history` holds at least one object with the attributes of `xpnet.Epoch`. Training and held-out
    curves are drawn, and the epoch with the best held-out accuracy is marked. A regression has no
    accuracy.
    """
    from matplotlib.ticker import LogLocator

    has_accuracy = history[0].accuracy is not None
    figure, axes = new_panels(2 if has_accuracy else 1, 4.8, 3.0, n_columns=2)
    _draw_curves(axes[0], history, "loss", "lower")
    axes[0].set(yscale="log")
    axes[0].minorticks_off()
    low, high = axes[0].get_ylim()
    subs = (1.0, 2.0, 5.0) if high < 500 * low else (1.0,)
    axes[0].yaxis.set_major_locator(LogLocator(subs=subs))
    axes[0].yaxis.set_major_formatter(lambda loss, _: f"{loss:g}")
    if has_accuracy:
        _draw_curves(axes[1], history, "accuracy", "higher")
        if history[0].validation_accuracy is not None:
            _mark_best(axes[1], history)
    handles, labels = axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    width = 90 if has_accuracy else 60
    lines = wrap(title, width, max_lines=2, placeholder=" ...", break_on_hyphens=False)
    figure.suptitle("\n".join(lines), x=0.01, ha="left", parse_math=False)
    return figure


def _draw_curves(axes: Any, history: Sequence[Any], name: str, better: str) -> None:
    from matplotlib.ticker import MaxNLocator

    numbers = [epoch.number for epoch in history]
    marker = "o" if len(history) <= 40 else ""
    for label, field, color in (
        ("training", name, MAIN),
        ("held-out", f"validation_{name}", SECOND),
    ):
        values = [getattr(epoch, field) for epoch in history]
        if values[0] is not None:
            style = {"marker": marker, "markersize": 4, "linewidth": 1.8}
            axes.plot(numbers, values, color=color, label=label, **style)
    axes.set(xlabel="epoch", ylabel=f"{name} ({better} is better)")
    axes.set_xlim(0.5, numbers[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid()


def _mark_best(axes: Any, history: Sequence[Any]) -> None:
    """Mark the epoch with the best held-out accuracy, the lowest loss among equals."""
    best = max(history, key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss))
    ring = {"markersize": 11, "markeredgewidth": 2, "fillstyle": "none", "color": SECOND}
    label = f"best: {best.validation_accuracy:.4f} in epoch {best.number}"
    axes.plot([best.number], [best.validation_accuracy], "o", label=label, **ring)
