"""The style of all pictures: light, legible, and colours that the colour-blind can tell apart."""

import sys
from itertools import combinations
from typing import Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.text import Text
from numpy.typing import NDArray

from xpnet import Epoch, plot, sample, show
from xpnet.pictures import style
from xpnet.pictures.confusion import draw_confusion
from xpnet.pictures.learning_curves import draw_learning

MEANINGS = ("INK", "GRAY", "MAIN", "SECOND", "WRONG")
# Of deuteranopia and protanopia, in linear RGB (Vienot, Brettel and Mollon, 1999).
BLINDNESS = {
    "deuteranopia": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
    "protanopia": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
}


PICTURES = {
    "activations": lambda: plot("relu", "step", "softmax"),
    "confusion": lambda: draw_confusion(np.ones((21, 21), int), range(21)),  # without counts
    "images": lambda: show(sample()[0][:2], [0, 1], [0, 7]),
    "learning": lambda: draw_learning([Epoch(1, 0.5, 0.9, 0.6, 0.8, 0.1, 1.0)], title="a"),
}


@pytest.fixture(params=PICTURES, scope="module")
def figure(request: pytest.FixtureRequest) -> Any:
    """Return each picture, rendered."""
    found = PICTURES[request.param]()
    FigureCanvasAgg(found).draw()
    return found


def texts(figure: Any) -> list[Any]:
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def test_letters_can_be_read(figure: Any) -> None:
    assert min(text.get_fontsize() for text in texts(figure)) >= 9


def test_titles_are_at_the_left(figure: Any) -> None:
    assert [axes.get_title("center") for axes in figure.axes] == [""] * len(figure.axes)
    assert {text.get_horizontalalignment() for text in figure.texts} <= {"left"}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_light_whatever_the_users_style(name: str) -> None:
    with mpl.rc_context(), matplotlib.style.context("dark_background"):
        figure = PICTURES[name]()
    assert to_hex(figure.get_facecolor()) == "#ffffff"
    assert {to_hex(axes.get_facecolor()) for axes in figure.axes} == {"#ffffff"}
    assert max(sum(to_rgb(text.get_color())) for text in texts(figure)) < 1.5


def test_the_users_settings_are_restored() -> None:
    before = dict(mpl.rcParams)
    plot("relu")
    assert dict(mpl.rcParams) == before


def test_the_users_font_is_kept() -> None:
    with mpl.rc_context({"font.family": ["monospace"]}):
        figure = plot("relu")
    assert figure.axes[0].title.get_fontfamily() == ["monospace"]


def as_seen(color: str, kind: str) -> NDArray[np.float64]:
    """Return a colour in linear RGB as the colour-blind see it."""
    rgb = np.asarray(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.asarray(BLINDNESS[kind]) @ linear
    return np.cbrt(np.clip(seen, 0.0, 1.0))


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("names", [*combinations(MEANINGS, 2)], ids="-".join)
def test_meanings_differ_for_the_colour_blind(names: tuple[str, str], kind: str) -> None:
    first, second = (as_seen(getattr(style, name), kind) for name in names)
    assert np.linalg.norm(first - second) > 0.08


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("pair", [*combinations(style.SERIES, 2)], ids="-".join)
def test_series_differ_for_the_colour_blind(pair: tuple[str, str], kind: str) -> None:
    first, second = (as_seen(color, kind) for color in pair)
    assert np.linalg.norm(first - second) > 0.08


def test_no_series_looks_wrong() -> None:
    assert style.WRONG not in style.SERIES


@pytest.mark.parametrize("name", ["matplotlib", "matplotlib.figure"])
def test_matplotlib_is_missing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    if name == "matplotlib":
        monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    message = "^pictures need matplotlib: pip install matplotlib$"
    with pytest.raises(ModuleNotFoundError, match=message) as caught:
        plot("relu")
    assert str(caught.value.name).startswith("matplotlib")
