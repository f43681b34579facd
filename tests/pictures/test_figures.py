"""All pictures: light, legible, complete, in colours for the colour-blind; their files."""

import pickle
from itertools import combinations

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb

from xpnet import Epoch, init_network, plot, sample, show
from xpnet.pictures.figures import INK, MAIN, SECOND, WRONG, check_picture, save_figure
from xpnet.pictures.results import draw_confusion, draw_learning

NAMES = ["T-shirt/top", "Ankle boot", "W" * 40, "two\nlines", "$x^", "金毛寻回犬", "かな", "고양이"]
EPOCHS = [Epoch(i + 1, 2.0**-i, i / 12, 2.1**-i, i / 14, 0.1, 1.0) for i in range(12)]
DRAWN = {
    "functions": lambda: plot("step", "sigmoid", "relu", "hard_sigmoid", lambda x: 1 / x),
    "digits": lambda: show(sample()[0][:36], range(100, 136), range(99, 135)),
    "names": lambda: show(sample()[0][:8], NAMES, NAMES[::-1], [0.9999] * 8),
    "no images": lambda: show(np.zeros((0, 28, 28))),
    "two classes": lambda: draw_confusion(np.full((2, 2), 1234567), ["no", "yes"]),
    "many counts": lambda: draw_confusion(np.full((20, 20), 12345), range(20)),
    "named classes": lambda: draw_confusion(np.eye(8, dtype=int), NAMES),
    "many classes": lambda: draw_confusion(np.ones((150, 150), int), range(150)),
    "learning": lambda: draw_learning(EPOCHS, title=repr(init_network([784, *[100] * 9]))),
    "a regression": lambda: draw_learning([Epoch(1, 1e4, None, None, None, 1, 1)], title="$\\no$"),
}
# In linear RGB (Vienot, Brettel and Mollon, 1999): what is seen of red and green, and of blue.
DEUTERANOPIA = [[0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]
PROTANOPIA = [[0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]]


@pytest.mark.filterwarnings("ignore:Glyph .* missing")  # where no font has these letters
@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_picture_is_light_and_complete_whatever_the_users_style(draw, caplog):
    with mpl.rc_context(), matplotlib.style.context("dark_background"):
        figure = draw()
    (canvas := FigureCanvasAgg(figure)).draw()
    pixels = np.asarray(canvas.buffer_rgba())
    assert min(x.min() for x in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])) == 255
    texts = [
        text for text in figure.findobj(mpl.text.Text) if text.get_visible() and text.get_text()
    ]
    assert min((text.get_fontsize() for text in texts), default=9) >= 9
    assert max((sum(to_rgb(text.get_color())) for text in texts), default=0) < 1.5
    assert {to_hex(x.get_facecolor()) for x in (figure, *figure.axes)} == {"#ffffff"}
    cells = [text.get_window_extent() for axes in figure.axes for text in [axes.title, *axes.texts]]
    assert not any(one.overlaps(other) for one, other in combinations(cells, 2) if one.width)
    assert not caplog.records  # no font is looked for in vain


@pytest.mark.parametrize("seen", [DEUTERANOPIA, PROTANOPIA], ids=["deuteranopia", "protanopia"])
def test_the_colour_blind_can_tell_colours_apart(seen):
    linear = np.asarray([to_rgb(color) for color in (INK, MAIN, SECOND, WRONG)]) ** 2.2
    shades = np.cbrt(np.clip(linear @ np.asarray(seen)[[0, 0, 1]].T, 0.0, 1.0))
    assert min(np.linalg.norm(one - other) for one, other in combinations(shades, 2)) > 0.08


def test_fonts_of_the_user_come_first_then_those_for_chinese(monkeypatch, caplog):
    with mpl.rc_context({"font.family": ["monospace", "STIXSizeFiveSym"]}):
        FigureCanvasAgg(draw_learning(EPOCHS, title="a font without bold letters")).draw()
        monkeypatch.setattr("matplotlib.font_manager.get_font_names", lambda: ["Arial", "SimHei"])
        assert plot("relu").axes[0].title.get_fontfamily()[::2] == ["monospace", "SimHei"]
    assert not caplog.records


def test_notebooks_display_figures_without_pyplot():
    formatters = pytest.importorskip("IPython.core.formatters", reason="needs IPython")
    data, _ = formatters.DisplayFormatter().format(pickle.loads(pickle.dumps(plot("relu"))))
    assert data["image/png"].startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml")])
def test_the_suffix_chooses_the_format_and_force_replaces(tmp_path, name, start):
    path, figure = tmp_path / name, draw_confusion(np.eye(2, dtype=int), ["猫", "犬"])
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="--force"):
        save_figure(figure, path)
    broken = plot("relu")
    broken.suptitle(r"$\nosuchcommand$")
    with pytest.raises(ValueError, match="nosuchcommand"):
        save_figure(broken, path, force=True)
    assert path.read_bytes() == b"precious"
    save_figure(figure, path, force=True)
    assert [file.read_bytes()[: len(start)] for file in tmp_path.iterdir()] == [start]


@pytest.mark.parametrize("name", ["a.jpg", "a", ".png", "a.png/b"])
def test_paths_of_no_picture(name):
    with pytest.raises(ValueError, match=r"\.png, \.svg, \.pdf"):
        check_picture(name)
