"""Moved images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpnet.training.augmentation import image_shape, shift


@given(st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_each_image_moves_as_a_whole(pixels, seed):
    images = np.random.default_rng(0).integers(1, 256, (5, 6, 4)).astype(np.uint8)
    rows = images.reshape(5, -1)
    moved = shift(rows, (6, 4), pixels, np.random.default_rng(seed))
    assert (moved.shape, moved.dtype) == (rows.shape, np.uint8)
    padded = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels)))
    for i, image in enumerate(moved.reshape(5, 6, 4)):
        places = [
            (down, right)
            for down in range(2 * pixels + 1)
            for right in range(2 * pixels + 1)
            if np.array_equal(image, padded[i, down : down + 6, right : right + 4])
        ]
        assert len(places) == 1


def test_images_move_differently_and_by_the_seed():
    rows = np.tile(np.arange(16, dtype=np.uint8), (100, 1))
    first, same, other = (shift(rows, (4, 4), 1, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert len(np.unique(first, axis=0)) == 9


@pytest.mark.parametrize(
    ("shape", "expected"), [((5, 28, 28), (28, 28)), ((5, 784), (28, 28)), ((0, 6, 4), (6, 4))]
)
def test_the_shape_of_images(shape, expected):
    assert image_shape(shape) == expected


def test_rows_that_are_no_square_have_no_shape():
    with pytest.raises(ValueError, match=r"square to be shifted; got the shape \(5, 785\)"):
        image_shape((5, 785))
