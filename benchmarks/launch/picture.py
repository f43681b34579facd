"""The picture: where the time of `xpnet evaluate` goes, and all processes side by side."""

from collections.abc import Mapping
from typing import Any

from launch.processes import PARTS, TYPED
from xpnet.pictures.saving import new_figure

__all__ = ["draw"]

# Grey is what every process has, blue are imports, and warm is the work itself.
COLOURS = {
    "interpreter": "#b8bec6",
    "numpy": "#7f9fc4",
    "library": "#2f5d8c",
    "command": "#79b8b0",
    "loading": "#f2c14e",
    "computing": "#e4572e",
    "exit": "#dfe3e8",
}
INK = "#22303c"
PALE = "#66727f"
OWN = "xpnet evaluate"
TITLE = "From nothing to 1,000 labels: whole processes, start to exit"


def draw(result: Mapping[str, Any]) -> Any:
    """Return a figure of the results."""
    found = {name: each for name, each in result["seconds"].items() if name not in TYPED}
    found = dict(sorted(found.items(), key=lambda item: -item[1]["best"]))
    figure = new_figure(9.6, 3.4 + 0.42 * len(found), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1, w_pad=0.12)
    # The title's second line is the place of the text below, in another size.
    figure.suptitle(f"{TITLE}\n", x=0.02, ha="left", color=INK, fontsize=15, fontweight="bold")
    facts, rounds = result["about"], result["rounds"]
    chosen = f"best of {rounds} rounds" if rounds > 1 else "one round"
    inches = 0.5 / figure.get_figheight()
    text = f"{facts['hardware']}, {facts['date']}; {chosen}, warm caches"
    figure.text(0.02, 1 - inches, text, va="center", color=PALE)
    upper, lower = figure.subplots(2, height_ratios=[1.0, 0.6 * len(found)])
    _draw_own(upper, found[OWN])
    _draw_all(lower, found, result["bar"])
    handles, labels = lower.get_legend_handles_labels()
    # Matplotlib lists lines before bars.
    figure.legend(
        handles[1:] + handles[:1],
        labels[1:] + labels[:1],
        loc="outside lower center",
        ncols=4,
        frameon=False,
        labelcolor=INK,
    )
    return figure


def _stack(axes: Any, place: int, parts: Mapping[str, float], height: float) -> None:
    """Draw the parts of a process one after the other, in milliseconds."""
    left = 0.0
    for name in PARTS:
        width = 1e3 * parts.get(name, 0.0)
        label = PARTS[name] if place == 0 else None
        axes.barh(place, width, height, left=left, color=COLOURS[name], label=label)
        left += width


def _draw_own(axes: Any, found: Mapping[str, Any]) -> None:
    """Draw `xpnet evaluate` alone, with the milliseconds of each part."""
    _stack(axes, 0, found["parts"], 1.0)
    left = 0.0
    for name in PARTS:
        width = 1e3 * found["parts"][name]
        axes.text(left + width / 2, 0.6, f"{width:.0f}", ha="center", va="bottom", color=INK)
        left += width
    axes.set_title(
        f"{OWN}: {left:.0f} ms, of which", loc="left", color=INK, pad=20, fontweight="bold"
    )
    axes.set_xlim(0, left)
    axes.set_ylim(-0.5, 0.5)
    axes.axis("off")


def _draw_all(axes: Any, found: Mapping[str, Any], bar: float) -> None:
    """Draw everybody, the fastest on top."""
    for place, (name, each) in enumerate(found.items()):
        _stack(axes, place, each["parts"], 0.62)
        label = "median" if place == 0 else None
        best, median = 1e3 * each["best"], 1e3 * each["median"]
        axes.plot([median], [place], "d", color=INK, markersize=5, label=label)
        axes.annotate(
            f"{best:,.0f} ms",
            (max(best, median), place),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontweight=_weight(name),
            bbox={"color": "white", "pad": 1.0},
        )
    axes.axvline(1e3 * bar, color=PALE, linestyle=":", linewidth=1.2, zorder=0)
    axes.annotate(
        f"{OWN} must stay\nbelow {1e3 * bar:.0f} ms",
        (1e3 * bar, len(found) - 1),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        color=PALE,
        fontsize="small",
    )
    axes.set_yticks(range(len(found)), list(found))
    for text in axes.get_yticklabels():
        text.set_fontweight(_weight(text.get_text()))
    axes.set_xlabel("milliseconds", color=PALE)
    axes.margins(x=0.1)
    axes.set_xlim(left=0)
    axes.tick_params(length=0, colors=INK)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)


def _weight(name: str) -> str:
    return "bold" if name.startswith("xpnet") else "normal"
