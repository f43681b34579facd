"""Images as batches of rows."""

import numpy as np
import pytest

import xpnet
from xpnet.inference.batches import as_rows, check_batch_size, default_batch_size


@pytest.mark.parametrize("shape", [(3, 784), (3, 28, 28), (3, 1, 28, 28), (0, 28, 28)])
def test_images_become_rows(xp_backend, shape):
    rows = as_rows(xp_backend.asarray(np.ones(shape), "uint8"), 784)
    xp_backend.check(rows, dtype="uint8", shape=(shape[0], 784))


def test_rows_are_not_copied():
    rows = np.zeros((3, 784))
    assert as_rows(rows, 784) is rows


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((3, 64), "64\\)$"), ((784,), r"single image, give images\[None\]"), ((28, 28), "single")],
)
def test_other_shapes_are_refused(shape, hint):
    with pytest.raises(ValueError, match=f"rows of 784 values.*{hint}"):
        as_rows(np.zeros(shape), 784)


def test_no_array_is_refused():
    with pytest.raises(TypeError, match="`images` must be an array"):
        as_rows("digits", 784)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_has_a_row(batch_size):
    with pytest.raises(ValueError, match=f"at least 1; got {batch_size}"):
        check_batch_size(xpnet.init_network([2, 2]), batch_size)


@pytest.mark.parametrize("batch_size", ["abc", 1.5, True])
def test_a_batch_size_is_whole(batch_size):
    with pytest.raises(TypeError, match="must be a whole number or None"):
        check_batch_size(xpnet.init_network([2, 2]), batch_size)


def test_batch_sizes_of_numpy_are_numbers():
    assert check_batch_size(xpnet.init_network([2, 2]), np.int64(7)) == 7


def test_the_default_suits_the_widest_layer():
    narrow, wide = (default_batch_size(xpnet.init_network([2, n, 2])) for n in (16, 1024))
    assert narrow == 64 * wide
    assert default_batch_size(xpnet.init_network([2, 2**21, 2])) == 1
