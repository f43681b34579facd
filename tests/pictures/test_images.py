"""Grid of images: placement, titles and gray levels."""

import io
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from xpnet import sample
from xpnet.pictures.images import as_images, show
from xpnet.pictures.style import INK, WRONG

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
    with pytest.raises(ValueError, match=r"\(n, pixels\) with pixels of a square; got \("):
        as_images(np.zeros(shape))


def test_labels_and_predictions() -> None:
    images = np.zeros((3, 4, 4), np.uint8)
    figure = show(images, ["1", "2", "3"], ["1", "7", "3"])
    assert titles(figure) == ["1", "2, predicted 7", "3"]
    colors = [text.get_color() for text in figure.axes[0].texts]
    assert colors == [INK, WRONG, INK]


@pytest.mark.parametrize("words", [(["a", "b"], None), (None, ["a", "b"])], ids=str)
def test_one_of_both(words: tuple[list[str] | None, list[str] | None]) -> None:
    figure = show(np.zeros((2, 4, 4), np.uint8), *words)
    predicted = "" if words[0] else "predicted "
    assert titles(figure) == [f"{predicted}a", f"{predicted}b"]
    assert {text.get_color() for text in figure.axes[0].texts} == {INK}


def test_neither() -> None:
    figure = show(np.zeros((2, 4, 4), np.uint8))
    assert titles(figure) == []
    assert len(figure.axes[0].images) == 2


def test_long_names_are_cut_and_broken() -> None:
    figure = show(np.zeros((1, 4, 4), np.uint8), ["x" * 100], ["two\nlines"])
    assert titles(figure) == [f"{'x' * 21}...,\npredicted two lines"]


def test_dollars_are_not_formulas() -> None:
    figure = show(np.zeros((1, 4, 4), np.uint8), [r"$\nosuchcommand$"])
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
    figure = show(images, names * 5, wrong * 5)
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes = figure.axes[0]
    boxes = [artist.get_window_extent(renderer) for artist in (*axes.texts, *axes.images)]
    assert len(boxes) == 50
    assert [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])] == []
    assert min(min(box.x0, box.y0) for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    assert max(box.y1 for box in boxes) <= figure.bbox.y1


def test_wrong_predictions_can_be_read_on_white() -> None:
    figure = show(np.zeros((1, 4, 4), np.uint8), ["1"], ["2"])
    rgb = np.asarray(to_rgb(figure.axes[0].texts[0].get_color()))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) > 3.5  # the contrast


@pytest.mark.parametrize(
    ("n_images", "columns", "rows"), [(0, 1, 1), (1, 1, 1), (2, 2, 1), (5, 3, 2), (25, 5, 5)]
)
def test_the_grid(n_images: int, columns: int, rows: int) -> None:
    cell = show(np.zeros((1, 4, 4), np.uint8)).get_size_inches()
    figure = show(np.zeros((n_images, 4, 4), np.uint8))
    assert figure.get_size_inches() == pytest.approx(cell * [columns, rows])
    assert len(figure.axes[0].images) == n_images


def test_images_in_reading_order() -> None:
    images = np.arange(5, dtype=np.uint8).repeat(4).reshape(5, 2, 2)
    shown = show(images).axes[0].images
    places = [(image.get_extent()[0], image.get_extent()[3]) for image in shown]
    order = sorted(range(5), key=lambda i: (places[i][1], places[i][0]))
    assert order == [0, 1, 2, 3, 4]
    assert [int(image.get_array()[0, 0]) for image in shown] == [0, 1, 2, 3, 4]


def test_images_keep_their_proportions() -> None:
    left, right, bottom, top = show(np.zeros((1, 3, 6), np.uint8)).axes[0].images[0].get_extent()
    assert bottom - top == pytest.approx((right - left) / 2)


def test_images_stand_upright() -> None:
    image = np.zeros((1, 10, 10), np.uint8)
    image[0, 0] = 255
    dark_rows = np.flatnonzero((pixels(show(image)) < 10).any(axis=1))
    assert dark_rows.max() < 60  # of more than 130


def test_dark_on_light() -> None:
    levels = np.array([[[0, 255]]], np.uint8)
    drawn = pixels(show(levels))
    assert set(np.unique(drawn)) == {0, 255}


def test_bytes_are_shown_as_they_are() -> None:
    faint = show(np.full((1, 4, 4), 51, np.uint8))
    assert pixels(faint).min() == 204


def test_other_numbers_from_the_smallest_to_the_largest() -> None:
    images = np.array([[[-1.0, np.nan]], [[0.5, 1.0]]])
    drawn = pixels(show(images))
    assert (drawn.min(), drawn.max()) == (0, 255)
    assert show(images).axes[0].images[0].get_clim() == (-1.0, 1.0)


def test_a_picture_is_not_empty() -> None:
    image = pytest.importorskip("PIL.Image")
    stream = io.BytesIO()
    show(sample()[0][:9]).savefig(stream, format="png")
    with image.open(stream) as picture:
        assert picture.convert("L").getextrema() == (0, 255)


def test_the_largest_number_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xpnet.pictures.images._MOST_IMAGES", 7)
    assert len(show(np.zeros((7, 1, 1), np.uint8)).axes[0].images) == 7


def test_too_many() -> None:
    with pytest.raises(ValueError, match=r"holds at most 2,500 images; got 2,501"):
        show(np.zeros((2501, 1, 1), np.uint8))


@pytest.mark.parametrize("n_names", [0, 1, 3])
@pytest.mark.parametrize("name", ["labels", "predictions", "probabilities"])
def test_one_for_each_image(n_names: int, name: str) -> None:
    message = f"`{name}` must be one for each image; got {n_names} for 2"
    with pytest.raises(ValueError, match=f"^{message}$"):
        show(np.zeros((2, 4, 4), np.uint8), **{name: [1] * n_names})


def test_probabilities_are_below() -> None:
    images = np.zeros((2, 4, 4), np.uint8)
    figure = show(images, [1, 2], [1, 7], [0.25, 0.9996])
    assert titles(figure) == ["1\nprobability 0.250", "2, predicted 7\nprobability 0.999+"]


def test_names_that_differ_beyond_their_shown_part_are_wrong() -> None:
    figure = show(np.zeros((1, 4, 4), np.uint8), ["x" * 30 + "a"], ["x" * 30 + "b"])
    assert figure.axes[0].texts[0].get_color() == WRONG


@pytest.mark.parametrize(
    "labels", [[3, 4], (3, 4), np.array([3, 4], np.uint8), ["3", "4"], np.array(["3", "4"])]
)
def test_labels_are_numbers_or_names(labels: Any) -> None:
    assert titles(show(np.zeros((2, 4, 4), np.uint8), labels)) == ["3", "4"]


def test_images_of_another_library() -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    images, labels = sample()
    found = show(torch.asarray(images[:3]), torch.asarray(labels[:3]))
    assert titles(found) == ["0", "1", "2"]
    assert found.axes[0].images[2].get_array().tolist() == images[2].tolist()


def test_lists_are_images() -> None:
    assert show([[[0, 1], [1, 0]]]).axes[0].images[0].get_array().tolist() == [[0, 1], [1, 0]]
