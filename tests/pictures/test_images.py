"""Images with labels and predictions, as a picture and as text."""

import numpy as np
import pytest

from xpnet import sample, show
from xpnet.pictures.figures import INK, WRONG
from xpnet.pictures.images import text_images


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("shape", [(4, 784), (4, 28, 28), (4, 1, 28, 28), (1, 28, 28, 1)])
def test_images_of_any_library_and_layout(library, shape):
    xp = pytest.importorskip(library, reason=f"needs {library}")
    images, labels = (x[: shape[0]] for x in sample())
    axes = show(xp.asarray(images.reshape(shape)), xp.asarray(labels)).axes
    assert [x.images[0].get_array().tolist() for x in axes] == images.tolist()
    assert [x.get_title() for x in axes] == ["0", "1", "2", "3"][: shape[0]]


def test_labels_predictions_and_probabilities():
    axes = show(np.zeros((3, 9)), ["1", "b" * 30, None], [1, "c", "d"], [0.25, 0.9996, 0.5]).axes
    titles = ["1\nprobability 0.250", f"{'b' * 24}\npredicted c\nprobability 0.999+"]
    assert [x.get_title() for x in axes] == [*titles, "predicted d\nprobability 0.500"]
    assert [x.title.get_color() for x in axes] == [INK, WRONG, INK]


@pytest.mark.parametrize(("dtype", "limits"), [("u1", (0, 255)), ("u2", (3, 99)), ("f", (3, 99))])
def test_bytes_are_drawn_in_their_range_and_others_in_their_own(dtype, limits):
    (image,) = show(np.asarray([[[3, 99]]], dtype)).axes[0].images
    assert image.get_clim() == limits
    assert show(np.asarray([[[np.nan, 3, 99]]])).axes[0].images[0].get_clim() == (3, 99)
    assert image.cmap(0.0)[:3] > image.cmap(1.0)[:3]  # dark on light


@pytest.mark.parametrize("shape", [(101, 4), (2, 7), (2, 3, 4, 3), (2, 0), (9,), (2, 9)])
def test_what_cannot_be_drawn(shape):
    words = {(101, 4): "at most 100", (2, 9): "one for each image"}
    with pytest.raises(ValueError, match=words.get(shape, "of squares")):
        show(np.zeros(shape), [1] * 101)


@pytest.mark.parametrize(("ascii_only", "line"), [(False, "█ ▀▄"), (True, "# '.")])
def test_a_character_is_two_pixels_without_common_margins(ascii_only, line):
    image = np.pad([[1, 0, 1, 0], [1, 0, 0, 1]], 1)
    for images in (image[None] * np.uint8(255), image[None] * np.uint16(60_000), image[None] - 0.5):
        assert text_images(images, [[]], width=80, ascii_only=ascii_only) == [line, ""]


def test_captions_end_at_the_images():
    images, captions = np.full((2, 2, 3), 255, np.uint8), [["1"], ["Bag", "predicted Sandal"]]
    found = text_images(images, captions, width=80, ascii_only=False)
    assert found == [f"{'':18}Bag", f"{'1':18}predicted Sandal", f"{'███':18}███", ""]


@pytest.mark.parametrize("width", [1, 5, 20, 80, 200])
@pytest.mark.parametrize("side", [4, 28, 100])
def test_the_width_is_kept(width, side):
    images, captions = np.full((3, side, side), 255, np.uint8), [["1", "predicted 2"]] * 3
    found = text_images(images, captions, width=width, ascii_only=False)
    assert max(map(len, found)) <= width
    assert any({*line} & {*"▀█"} for line in found)
