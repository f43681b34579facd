"""Tests of augmentation."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st

import xpnet
from xpnet.training.augmentation import (
    Augmentation,
    Waves,
    distort,
    has_blank_edges,
    image_shape,
    shift,
)

DTYPES = ["uint8", "int16", "float32", "float64"]


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


def test_each_move_is_as_likely_as_any_other():
    rows = np.tile(np.arange(1, 17, dtype=np.uint8), (9000, 1))
    moved = shift(rows, (4, 4), 1, np.random.default_rng(3))
    _, counts = np.unique(moved, axis=0, return_counts=True)
    assert len(counts) == 9
    # Of 9,000, each of nine is met 1,000 times, give or take five deviations of 30.
    assert np.all(np.abs(counts - 1000) < 150)


@pytest.mark.parametrize("dtype", [*DTYPES, "bool"])
def test_moves_keep_the_dtype_and_the_rows(dtype):
    rows = np.ones((3, 12), dtype)
    rows.flags.writeable = False
    moved = shift(rows, (3, 4), 2, np.random.default_rng(0))
    assert (moved.dtype, moved.shape) == (np.dtype(dtype), (3, 12))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((5, 28, 28), (28, 28)), ((5, 784), (28, 28)), ((0, 6, 4), (6, 4)), ((2, 1), (1, 1))],
)
def test_the_shape_of_images(shape, expected):
    assert image_shape(shape) == expected


def test_rows_that_are_no_square_have_no_shape():
    message = r"\(n, height, width\), or be square, for `augment` and `distort`; got .*\(5, 785\)"
    with pytest.raises(ValueError, match=message):
        image_shape((5, 785))


def framed(side, edge, dtype="uint8", shape=None):
    """Return four square images of 200, whose outermost pixels are `edge`."""
    images = np.full((4, side, side), edge, dtype)
    images[:, 1:-1, 1:-1] = 200
    return images if shape is None else images.reshape(shape)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (framed(28, 0), True),
        (framed(28, 0, shape=(4, 784)), True),
        (framed(16, 0), True),
        (framed(15, 0), False),  # too small
        (framed(28, 10), True),
        (framed(28, 30), False),
        (framed(28, 255), False),  # a light background
        (framed(28, 0, "float32"), False),  # the range of which is unknown
        (framed(28, 0, shape=(8, 392)), False),  # no squares
        (framed(28, 0, shape=(8, 14, 28)), False),  # lit at one edge
        (framed(28, 0)[:0], False),
        (np.zeros((4, 28, 28), np.uint8), False),
        (np.eye(256, dtype=np.uint8), False),  # a table of yes and no
    ],
)
def test_pictures_have_blank_edges_and_tables_have_none(images, expected):
    assert has_blank_edges(images) is expected


def test_the_digits_of_8_by_8_pixels_are_too_small():
    datasets = pytest.importorskip("sklearn.datasets", reason="has the digits")
    assert not has_blank_edges(datasets.load_digits().data.astype(np.uint8))
    assert has_blank_edges(xpnet.sample()[0])


def bent(rows, shape, strength, seed=0):
    return distort(rows, Waves(shape), strength, np.random.default_rng(seed))


def drawn(n, shape, dtype, seed=0):
    """Return images of random integers in 1 .. 200."""
    numbers = np.random.default_rng(seed).uniform(1, 200, (n, shape[0] * shape[1]))
    return numbers.astype(dtype)


SHAPES = [(1, 1), (1, 9), (9, 1), (2, 3), (28, 28), (13, 40)]


def test_without_strength_nothing_bends(subtests):
    for shape, dtype in product(SHAPES, [*DTYPES, "float16", "bool"]):
        with subtests.test(shape=shape, dtype=dtype):
            rows = drawn(5, shape, dtype)
            result = bent(rows, shape, 0.0)
            assert (result.dtype, result.shape) == (rows.dtype, rows.shape)
            # Numbers between pixels are of float32.
            tolerance = 2.0**-23 if dtype == "float64" else 0.0
            np.testing.assert_allclose(result, rows, rtol=tolerance)


def test_little_strength_bends_little():
    height, width = shape = (28, 28)
    down, right = np.indices(shape)
    rows = (down * 3.0 + right * 2.0).reshape(1, -1)  # a plane: the value determines the position
    places = Waves(shape).coordinates(1, 0.01, np.random.default_rng(4))
    result = bent(rows, shape, 0.01, seed=4).reshape(shape)
    truth = (3.0 * places[0] + 2.0 * places[1]).reshape(shape)
    inner = (slice(1, height - 1), slice(1, width - 1))  # beyond the edge is zero
    np.testing.assert_allclose(result[inner], truth[inner], atol=1e-4)
    assert 0.001 < np.abs(result - rows.reshape(shape))[inner].max() < 1.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_stay_between_those_of_the_image_and_zero(dtype, subtests):
    slack = 0 if dtype in {"uint8", "int16"} else 1e-4  # some roundings of float32
    for shape, strength in product(SHAPES, [0.3, 2.0, 50.0, 1e6]):
        with subtests.test(shape=shape, strength=strength):
            rows = drawn(20, shape, dtype)
            if dtype != "uint8":
                rows = rows - 100  # below zero, too
            result = bent(rows, shape, strength)
            assert (result.dtype, result.shape) == (rows.dtype, rows.shape)
            assert np.all(np.isfinite(result))
            assert np.all(result >= np.minimum(rows.min(axis=1, keepdims=True), 0) - slack)
            assert np.all(result <= np.maximum(rows.max(axis=1, keepdims=True), 0) + slack)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_bends_into_nothing(dtype):
    rows = np.zeros((10, 28 * 28), dtype)
    for strength in (0.5, 1e6, 1e30):
        result = bent(rows, (28, 28), strength)
        np.testing.assert_array_equal(result, rows, strict=True)


def test_places_far_away_are_outside():
    rows = np.full((50, 28 * 28), 7, np.uint8)
    result = bent(rows, (28, 28), 1e6)
    # Only where a wave passes through zero is a pixel still inside.
    assert np.mean(result == 0) > 0.99


def test_inside_a_constant_image_nothing_changes():
    rows = np.full((30, 40 * 40), 7, np.uint8)
    result = bent(rows, (40, 40), 0.5).reshape(30, 40, 40)
    np.testing.assert_array_equal(result[:, 10:-10, 10:-10], 7)
    assert np.any(result[:, 0] < 7)  # zeros come in at the edge


@pytest.mark.parametrize("shape", [(4, 4), (28, 28), (13, 40)])
def test_waves_do_not_shift(shape):
    # The mean displacement over an image is that of the constant wave, which is left out.
    down, right = Waves(shape).coordinates(40, 3.0, np.random.default_rng(5))
    places = np.indices(shape).reshape(2, -1)
    for moved, place in zip((down, right), places, strict=True):
        np.testing.assert_allclose((moved - place).mean(axis=1), 0.0, atol=3e-5)


def test_waves_move_as_much_as_they_say():
    shape = (14, 14)
    down, right = Waves(shape).coordinates(20_000, 2.0, np.random.default_rng(6))
    places = np.indices(shape).reshape(2, -1)
    # Over many images, each pixel is moved neither way; at its corner by the sum of all waves.
    orders = np.arange(4)
    sizes = 1 / (1 + orders[:, None] ** 2 + orders**2)
    sizes[0, 0] = 0
    near_one = np.cos(np.pi * orders * 0.5 / 14)
    expected = 2.0 * np.linalg.norm(sizes * near_one[:, None] * near_one)
    for moved, place in zip((down, right), places, strict=True):
        moves = moved - place
        error = moves.std(axis=0) / 20_000**0.5
        assert np.all(np.abs(moves.mean(axis=0)) < 5.5 * error)
        assert moves[:, 0].std() == pytest.approx(expected, rel=0.03)


def test_the_mean_of_an_image_is_kept_on_average():
    images, _ = xpnet.sample()
    rows = images[:500].reshape(500, -1)
    result = bent(rows, (28, 28), 1.0)
    assert result.mean() == pytest.approx(rows.mean(), rel=0.02)
    changed = np.abs(result.astype(float) - rows).mean() / rows.mean()
    assert 0.05 < changed < 1.0


def test_whole_numbers_are_rounded():
    shape = (12, 12)
    rows = drawn(30, shape, "float32").round() - 100
    exact = bent(rows, shape, 1.0)
    for dtype in ("int8", "int16", "int32"):
        result = bent(rows.astype(dtype), shape, 1.0)
        assert np.max(np.abs(result - exact)) <= 0.5 + 1e-4
        assert abs(np.mean(result - exact)) < 0.02  # as often up as down, below zero as well


def test_the_same_seed_bends_alike():
    rows = drawn(20, (9, 11), "uint8")
    first, same, other = (bent(rows, (9, 11), 1.0, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_each_image_bends_in_its_own_way():
    rows = np.tile(drawn(1, (9, 11), "uint8"), (30, 1))
    assert len(np.unique(bent(rows, (9, 11), 1.0), axis=0)) == 30


def test_a_single_image():
    rows = drawn(1, (4, 5), "uint8")
    assert bent(rows, (4, 5), 1.0).shape == (1, 20)
    assert shift(rows, (4, 5), 1, np.random.default_rng(0)).shape == (1, 20)


def test_images_are_not_written_into():
    rows = drawn(4, (4, 5), "uint8")
    kept = rows.copy()
    rows.flags.writeable = False
    augmentation = Augmentation((4, 5), 1, 1.0)
    result = augmentation(rows, np.random.default_rng(0))
    assert not np.may_share_memory(result, rows)
    np.testing.assert_array_equal(rows, kept)


def test_both_one_after_the_other():
    rows = drawn(8, (6, 5), "uint8")
    result = Augmentation((6, 5), 2, 0.7)(rows, np.random.default_rng(1))
    (random,) = np.random.default_rng(1).spawn(1)
    expected = shift(distort(rows, Waves((6, 5)), 0.7, random), (6, 5), 2, random)
    np.testing.assert_array_equal(result, expected)


def test_neither_leaves_images_alone():
    rows = drawn(8, (6, 5), "uint8")
    random = np.random.default_rng(1)
    np.testing.assert_array_equal(Augmentation((6, 5))(rows, random), rows)
    assert random.random() == np.random.default_rng(1).random()


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_the_number_of_threads_makes_no_difference(monkeypatch, n_threads):
    rows = np.random.default_rng(0).integers(0, 256, (1000, 30), np.uint8)
    made = []
    for n in (1, n_threads):
        monkeypatch.setattr("xpnet.training.augmentation.blas_threads", lambda n=n: n)
        made.append(Augmentation((6, 5), 1, 1.0)(rows, np.random.default_rng(1)))
    np.testing.assert_array_equal(*made)
    assert not np.array_equal(made[0], rows)
