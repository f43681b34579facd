"""Tests of augmentation."""

import numpy as np
from hypothesis import given, strategies as st

from xpnet.training.augmentation import shifted


def moved_by(rows, shape, pixels, seed=0, background=0.0):
    random = np.random.default_rng(seed)
    return shifted(rows, random, shape=shape, pixels=pixels, background=background)


@given(
    st.integers(0, 3),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["uint8", "int16", "float32", "float64"]),
)
def test_each_image_moves_as_a_whole(pixels, seed, dtype):
    images = np.random.default_rng(0).integers(1, 255, (5, 6, 4)).astype(dtype)
    rows = images.reshape(5, -1)
    rows.flags.writeable = False
    moved = moved_by(rows, (6, 4), pixels, seed, background=255)
    assert (moved.shape, moved.dtype) == (rows.shape, dtype)
    padded = np.pad(images, [(0, 0), *[(pixels, pixels)] * 2], constant_values=255)
    for i, image in enumerate(moved.reshape(5, 6, 4)):
        places = [
            (down, right)
            for down in range(2 * pixels + 1)
            for right in range(2 * pixels + 1)
            if np.array_equal(image, padded[i, down : down + 6, right : right + 4])
        ]
        assert len(places) == 1


def test_moves_depend_on_the_seed_and_each_is_as_likely():
    rows = np.tile(np.arange(1, 17, dtype=np.uint8), (9000, 1))
    first, same, other = (moved_by(rows, (4, 4), 1, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    _, counts = np.unique(first, axis=0, return_counts=True)
    assert len(counts) == 9
    # Of 9,000, each of nine is met 1,000 times, give or take five deviations of 30.
    assert np.all(np.abs(counts - 1000) < 150)
