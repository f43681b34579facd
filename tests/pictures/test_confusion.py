"""Confusion matrix: cells, colors, counts and names."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from xpnet.pictures.confusion import draw_confusion
from xpnet.pictures.saving import save_figure

DIGITS = np.asarray([[5914, 1, 0], [0, 6723, 20], [2, 0, 5937]])


def colors_of(figure: Any) -> NDArray[Any]:
    """Return the red, green and blue of each cell."""
    image = figure.axes[0].images[0]
    colors: NDArray[Any] = image.to_rgba(image.get_array())[..., :3]
    return colors


def texts_of(figure: Any) -> dict[tuple[int, int], Any]:
    """Return the texts in the cells by row and column."""
    return {(int(t.get_position()[1]), int(t.get_position()[0])): t for t in figure.axes[0].texts}


def luminance(color: Any) -> float:
    """Return the relative luminance of WCAG 2."""
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in color)
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


def contrast(one: Any, other: Any) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_counts_are_in_their_cells_and_none_for_zero() -> None:
    texts = texts_of(draw_confusion(DIGITS, [0, 1, 2]))
    assert {place: text.get_text() for place, text in texts.items()} == {
        (0, 0): "5,914",
        (0, 1): "1",
        (1, 1): "6,723",
        (1, 2): "20",
        (2, 0): "2",
        (2, 2): "5,937",
    }


def test_the_colors_are_of_mistakes() -> None:
    figure = draw_confusion(DIGITS, [0, 1, 2])
    levels = np.asarray([[luminance(color) for color in row] for row in colors_of(figure)])
    assert levels[0, 2] == levels[1, 0] == 1.0  # zero is white
    assert len({levels[i, i] for i in range(3)}) == 1  # the diagonal is gray
    assert levels[1, 2] < levels[2, 0] < levels[0, 1] < 0.9
    image = figure.axes[0].images[0]
    assert image.get_clim() == (1, 20)


@pytest.mark.parametrize("n_classes", [3, 21])
@pytest.mark.parametrize(("most", "texts"), [(0, []), (1, ["1"]), (7, ["1", "7"])])
def test_the_legend(n_classes: int, most: int, texts: list[str]) -> None:
    confusion = np.eye(n_classes, dtype=int) * 50
    confusion[0, 1], confusion[1, 0] = most, min(most, 1)
    figure = draw_confusion(confusion, range(n_classes))
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["correct", *(f"mistakes: {text}" for text in texts)]
    shown = [to_rgb(patch.get_facecolor()) for patch in legend.get_patches()]
    cells = colors_of(figure)
    expected = [cells[0, 0], cells[1, 0], cells[0, 1]][: 1 + len(texts)]
    assert np.allclose(shown, expected)


def test_only_mistakes_have_a_color() -> None:
    cells = colors_of(draw_confusion(DIGITS, [0, 1, 2]))
    strength = cells.max(axis=-1) - cells.min(axis=-1)
    assert (strength > 0.0).tolist() == (DIGITS * (1 - np.eye(3)) > 0).tolist()


@pytest.mark.parametrize("most", [1, 2, 5, 12, 300])
def test_counts_can_be_read(most: int) -> None:
    confusion = np.linspace(0, most, 400).astype(int).reshape(20, 20)
    figure = draw_confusion(confusion, range(20))
    colors = colors_of(figure)
    texts = texts_of(figure)
    assert len(texts) == np.count_nonzero(confusion)
    assert min(contrast(to_rgb(text.get_color()), colors[at]) for at, text in texts.items()) >= 4.5


def test_the_map_is_monotonous_for_all_eyes() -> None:
    colors = draw_confusion(DIGITS, range(3)).axes[0].images[0].cmap(np.linspace(0.0, 1.0, 50))
    levels = [luminance(color[:3]) for color in colors]
    assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize("n_classes", [2, 10, 20])
def test_counts_stay_in_their_cells(n_classes: int) -> None:
    figure = draw_confusion(np.full((n_classes, n_classes), 1234567), range(n_classes))
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    cell = figure.axes[0].get_window_extent(renderer).width / n_classes
    widths = [text.get_window_extent(renderer).width for text in figure.axes[0].texts]
    assert len(widths) == n_classes**2
    assert max(widths) < cell


def test_more_classes_have_colors_alone() -> None:
    figure = draw_confusion(np.ones((21, 21), int), range(21))
    assert texts_of(figure) == {}
    assert len(figure.axes[0].get_xticklabels()) == 21


def test_names_are_on_both_axes() -> None:
    names = ["cat", "$x^", "a very long name of a class"]
    figure = draw_confusion(DIGITS, names)
    axes = figure.axes[0]
    shown = ["cat", "$x^", "a very long n..."]
    assert [text.get_text() for text in axes.get_xticklabels()] == shown
    assert [text.get_text() for text in axes.get_yticklabels()] == shown
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("prediction", "label")
    figure.draw_without_rendering()  # dollars are not formulas


@pytest.mark.parametrize(("n_classes", "step"), [(50, 1), (51, 2), (1000, 20)])
def test_some_of_many_names(n_classes: int, step: int) -> None:
    axes = draw_confusion(np.eye(n_classes, dtype=int), range(n_classes)).axes[0]
    names = [text.get_text() for text in axes.get_xticklabels()]
    assert names == list(map(str, range(0, n_classes, step)))


@pytest.mark.parametrize(
    ("confusion", "title"),
    [
        (DIGITS, "accuracy 0.9988 (18,574 of 18,597)"),
        (np.diag([3, 4]), "accuracy 1.0000 (7 of 7)"),
        (np.zeros((2, 2), int), "no images"),
    ],
    ids=["mistakes", "no mistakes", "no images"],
)
def test_the_title(confusion: NDArray[Any], title: str) -> None:
    figure = draw_confusion(confusion, range(len(confusion)))
    assert figure.axes[0].get_title("left") == title


def test_letters_that_the_font_lacks_give_no_warning(tmp_path: Path) -> None:
    figure = draw_confusion(np.eye(2, dtype=int), ["\u732b", "\u72ac"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(figure, tmp_path / "cats.png")
    assert (tmp_path / "cats.png").read_bytes().startswith(b"\x89PNG")
