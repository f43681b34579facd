"""Grid of images: placement, titles and gray levels."""

import io
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from numpy.typing import NDArray

from xpnet import sample
from xpnet.pictures.images import MOST_IMAGES, as_images, draw_images

CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Ankle boot"]


def pixels(figure: Any) -> NDArray[np.uint8]:
    """Draw a figure; return its gray values."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].mean(axis=2).astype(np.uint8)


def titles(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 9), (2, 3, 3)),
        ((2, 1), (2, 1, 1)),
        ((0, 784), (0, 28, 28)),
        ((2, 3, 5), (2, 3, 5)),
        ((2, 1, 3, 5), (2, 3, 5)),
        ((2, 3, 5, 1), (2, 3, 5)),
    ],
)
def test_shapes(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    images = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    found = as_images(images)
    assert found.shape == expected
    assert found.ravel().tolist() == images.ravel().tolist()


@pytest.mark.parametrize("shape", [(2, 7), (2, 3, 4, 3), (9,), (2, 0)])
def test_shapes_that_are_not_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be square to be shown; got the shape \("):
        as_images(np.zeros(shape))


def test_labels_and_predictions() -> None:
    images = np.zeros((3, 4, 4), np.uint8)
    figure = draw_images(images, ["1", "2", "3"], ["1", "7", "3"])
    assert titles(figure) == ["1", "2, predicted 7", "3"]
    colors = [text.get_color() for text in figure.axes[0].texts]
    assert colors == ["black", "tab:red", "black"]


@pytest.mark.parametrize("words", [(["a", "b"], None), (None, ["a", "b"])], ids=str)
def test_one_of_both(words: tuple[list[str] | None, list[str] | None]) -> None:
    figure = draw_images(np.zeros((2, 4, 4), np.uint8), *words)
    assert titles(figure) == ["a", "b"]
    assert {text.get_color() for text in figure.axes[0].texts} == {"black"}


def test_neither() -> None:
    figure = draw_images(np.zeros((2, 4, 4), np.uint8))
    assert titles(figure) == []
    assert len(figure.axes[0].images) == 2


def test_long_names_are_cut_and_broken() -> None:
    figure = draw_images(np.zeros((1, 4, 4), np.uint8), ["x" * 100], ["two\nlines"])
    assert titles(figure) == [f"{'x' * 21}...,\npredicted two lines"]


def test_dollars_are_not_formulas() -> None:
    figure = draw_images(np.zeros((1, 4, 4), np.uint8), [r"$\nosuchcommand$"])
    assert pixels(figure).min() < 100


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(list("01234"), id="digits"),
        pytest.param([str(1000 + i) for i in range(5)], id="numbers"),
        pytest.param(CLOTHES, id="clothes"),
        pytest.param([letter * 40 for letter in "MWmwx"], id="wide"),
    ],
)
def test_nothing_overlaps(names: list[str]) -> None:
    images = sample()[0][:25]
    wrong = names[1:] + names[:1]
    figure = draw_images(images, names * 5, wrong * 5)
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes = figure.axes[0]
    boxes = [artist.get_window_extent(renderer) for artist in (*axes.texts, *axes.images)]
    assert len(boxes) == 50
    assert [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])] == []
    assert min(min(box.x0, box.y0) for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    assert max(box.y1 for box in boxes) <= figure.bbox.y1


def test_red_can_be_read_on_white() -> None:
    figure = draw_images(np.zeros((1, 4, 4), np.uint8), ["1"], ["2"])
    red, green, blue, alpha = to_rgba(figure.axes[0].texts[0].get_color())
    assert (red > 0.8, green < 0.3, blue < 0.3, alpha) == (True, True, True, 1.0)


@pytest.mark.parametrize(
    ("n_images", "columns", "rows"), [(0, 1, 1), (1, 1, 1), (2, 2, 1), (5, 3, 2), (25, 5, 5)]
)
def test_the_grid(n_images: int, columns: int, rows: int) -> None:
    cell = draw_images(np.zeros((1, 4, 4), np.uint8)).get_size_inches()
    figure = draw_images(np.zeros((n_images, 4, 4), np.uint8))
    assert figure.get_size_inches() == pytest.approx(cell * [columns, rows])
    assert len(figure.axes[0].images) == n_images


def test_images_in_reading_order() -> None:
    images = np.arange(5, dtype=np.uint8).repeat(4).reshape(5, 2, 2)
    shown = draw_images(images).axes[0].images
    places = [(image.get_extent()[0], image.get_extent()[3]) for image in shown]
    order = sorted(range(5), key=lambda i: (places[i][1], places[i][0]))
    assert order == [0, 1, 2, 3, 4]
    assert [int(image.get_array()[0, 0]) for image in shown] == [0, 1, 2, 3, 4]


def test_images_keep_their_proportions() -> None:
    left, right, bottom, top = (
        draw_images(np.zeros((1, 3, 6), np.uint8)).axes[0].images[0].get_extent()
    )
    assert bottom - top == pytest.approx((right - left) / 2)


def test_images_stand_upright() -> None:
    image = np.zeros((1, 10, 10), np.uint8)
    image[0, 0] = 255
    dark_rows = np.flatnonzero((pixels(draw_images(image)) < 10).any(axis=1))
    assert dark_rows.max() < 60  # of more than 130


def test_dark_on_light() -> None:
    levels = np.array([[[0, 255]]], np.uint8)
    drawn = pixels(draw_images(levels))
    assert set(np.unique(drawn)) == {0, 255}


def test_bytes_are_shown_as_they_are() -> None:
    faint = draw_images(np.full((1, 4, 4), 51, np.uint8))
    assert pixels(faint).min() == 204


def test_other_numbers_from_the_smallest_to_the_largest() -> None:
    images = np.array([[[-1.0, 0.0]], [[0.5, 1.0]]])
    drawn = pixels(draw_images(images))
    assert (drawn.min(), drawn.max()) == (0, 255)
    assert draw_images(images).axes[0].images[0].get_clim() == (-1.0, 1.0)


def test_a_picture_is_not_empty() -> None:
    image = pytest.importorskip("PIL.Image")
    stream = io.BytesIO()
    draw_images(sample()[0][:9]).savefig(stream, format="png")
    with image.open(stream) as picture:
        assert picture.convert("L").getextrema() == (0, 255)


def test_the_largest_number_of_images() -> None:
    figure = draw_images(np.zeros((MOST_IMAGES, 1, 1), np.uint8))
    assert len(figure.axes[0].images) == 2500


def test_too_many() -> None:
    with pytest.raises(ValueError, match=r"at most 2,500 to be shown; got 2,501"):
        draw_images(np.zeros((MOST_IMAGES + 1, 1, 1), np.uint8))


@pytest.mark.parametrize("n_names", [1, 3])
def test_a_name_for_each_image(n_names: int) -> None:
    with pytest.raises(ValueError, match=r"zip\(\)"):
        draw_images(np.zeros((2, 4, 4), np.uint8), ["a"] * n_names)
