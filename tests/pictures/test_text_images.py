"""Images as text: blocks, ASCII, margins and width."""

import numpy as np
import pytest

from xpnet import sample
from xpnet.pictures.images import captions_of
from xpnet.pictures.text_images import text_images


def lines(images, *columns, width=80, ascii_only=False):
    images = np.asarray(images, np.uint8)
    return text_images(images, captions_of(images, *columns), width=width, ascii_only=ascii_only)


def test_a_character_is_two_pixels():
    image = [[255, 0, 255, 0], [255, 0, 0, 255]]
    assert lines([image]) == ["█ ▀▄", ""]


def test_ascii_has_ten_levels():
    image = [[0, 255, 204], [0, 255, 204]]
    assert lines([image], ascii_only=True) == ["@#", ""]
    assert all(line.isascii() for line in lines(sample()[0][:4], ascii_only=True))


def test_an_odd_number_of_pixels():
    assert lines([[[255], [255], [255]]]) == ["█", "▀", ""]


def test_common_margins_are_left_out():
    images = np.zeros((2, 9, 9))
    images[0, 3, 4] = images[1, 4, 5] = 255
    assert lines(images) == ["▀    ▄", ""]


def test_labels_predictions_and_probabilities():
    found = lines([np.full((2, 20), 255)] * 2, [3, 4], [3, 9], [0.5, 0.12345])
    line = "█" * 20
    assert found == [
        "3                     4, predicted 9",
        "probability 0.500     probability 0.123",
        f"{line}  {line}",
        "",
    ]


def test_captions_of_different_heights_end_at_the_images():
    first, second, image, _ = lines(np.full((2, 2, 3), 255), [1, "Bag"], [1, "Sandal"])
    assert (first, second) == (f"{'':18}Bag,", f"{'1':18}predicted Sandal")
    assert image == f"{'███':18}███"


@pytest.mark.parametrize("width", [1, 2, 5, 20, 40, 80, 200])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_width_is_kept(width, ascii_only):
    images, labels = sample()
    found = lines(images[:25], labels[:25], labels[1:26], width=width, ascii_only=ascii_only)
    assert max(map(len, found)) <= width
    assert any(character not in " ." for line in found for character in line)


def test_wide_images_are_reduced_so_that_two_fit():
    images = np.full((2, 100, 100), 255)
    found = lines(images, width=80)
    assert found == ["█" * 34 + "  " + "█" * 34] * 17 + [""]


def test_blank_images_keep_their_size():
    assert lines(np.zeros((1, 4, 4)), [0]) == ["0", "", "", ""]


def test_no_images():
    assert lines(np.zeros((0, 4, 4))) == []


def test_other_numbers_from_the_smallest_to_the_largest():
    images = np.array([[[-1.0, 1.0], [-1.0, 0.2]]])
    assert text_images(images, captions_of(images), width=80, ascii_only=False) == ["█", ""]
