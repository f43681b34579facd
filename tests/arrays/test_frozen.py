"""Frozen arrays: read-only, in C order, and nobody else's."""

import numpy as np
import pytest

from xpnet.arrays.frozen import freeze, frozen, is_frozen, loaded, writable

X = np.arange(6.0).reshape(2, 3)


def read_only(x):
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    "x",
    [X, np.asfortranarray(X), X[:, ::2], X[:], read_only(X[:]), read_only(np.asfortranarray(X))],
    ids=["owner", "fortran", "strided", "view", "read_only_view", "read_only_fortran"],
)
def test_an_array_that_may_change_is_copied_once(x):
    y = frozen(x)
    assert not is_frozen(x)
    assert is_frozen(y)
    assert not np.may_share_memory(x, y)
    assert frozen(y) is y
    np.testing.assert_array_equal(x, y)
    assert (y.flags.c_contiguous, y.base, y.dtype) == (True, None, x.dtype)
    with pytest.raises(ValueError, match="read-only"):
        y[0, 0] = 1


def test_a_new_array_is_frozen_without_a_copy():
    x = X.copy()
    assert freeze(x) is x
    assert is_frozen(x)


def test_a_writable_copy():
    assert writable(X) is X
    y = writable(frozen(X))
    y += 1
    np.testing.assert_array_equal(y, X + 1)
    assert writable([1]) == [1]


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_maps_stay_maps_until_they_are_loaded(tmp_path, mode):
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode=mode)
    assert frozen(x) is freeze(x) is x
    assert not is_frozen(x)
    y = loaded(x)
    assert is_frozen(y) == (mode == "r")
    assert (y is x) == (mode != "r")
    np.testing.assert_array_equal(x, y)


def test_arrays_of_other_libraries_are_left_alone(xp_backend):
    there = xp_backend.asarray(X)
    if xp_backend.library != "numpy":
        assert frozen(there) is freeze(there) is loaded(there) is writable(there) is there
        assert not is_frozen(there)
