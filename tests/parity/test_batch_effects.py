"""Dependence of a row's outputs on the rest of its batch."""

import json

import numpy as np
import pytest

import xpnet
from xpnet.parity.batch_effects import batch_sensitivity


@pytest.fixture(scope="module")
def digits():
    return xpnet.sample()[0]


def test_batch_invariant_results_are_the_same_bits(digits):
    found = batch_sensitivity(xpnet.load("sample"), digits, sizes=range(1, 1001, 9))
    assert found.is_invariant
    assert found.n_in_tile == 256
    for movement, n in ((found.invariant_sizes, 112), (found.invariant_places, 256)):
        assert (movement.computations, movement.results) == (n, 1)
        assert movement.largest_difference == movement.largest_ulp == 0.0


def test_other_results_differ_bitwise(digits):
    moved = batch_sensitivity(xpnet.load("sample"), digits, sizes=range(1, 1001, 9)).sizes
    assert moved.results > 1
    assert 0 < moved.largest_difference < 1e-4
    assert moved.largest_ulp >= 1


def test_differences_are_counted(monkeypatch):
    # A forward pass that adds the number of rows.
    monkeypatch.setattr(
        "xpnet.parity.batch_effects.forward", lambda _, x: x + np.float32(2**-23) * len(x)
    )
    network = xpnet.Network([xpnet.Dense(np.eye(2, dtype="f4"), np.zeros(2, "f4"))])
    moved = batch_sensitivity(network, np.ones((4, 2), np.float32), sizes=[1, 2, 4]).sizes
    assert (moved.computations, moved.results) == (3, 3)
    assert (moved.largest_difference, moved.largest_ulp) == (3 * 2**-23, 3.0)


def test_to_json_returns_plain_numbers(digits):
    found = batch_sensitivity(xpnet.load("sample"), digits[:20], sizes=[1, 20])
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["sizes"]["computations"] == 2
    assert plain["n_in_tile"] == 20
    assert plain["is_invariant"] is True


def test_nan_images_have_no_difference():
    network = xpnet.Network([xpnet.Dense(np.eye(2), np.zeros(2))])
    found = batch_sensitivity(network, np.full((3, 2), np.nan))
    assert found.sizes.largest_difference == 0.0
    assert found.is_invariant


@pytest.mark.parametrize(
    ("n_rows", "sizes", "message"),
    [
        (0, None, "`images` must hold at least one image; got none"),
        (3, [1, 4], "`sizes` must be from 1 to 3, the number of images; got 4"),
        (3, [0], "got 0"),
        (3, [], "got none"),
    ],
)
def test_images_and_sizes_are_validated(n_rows, sizes, message):
    network = xpnet.Network([xpnet.Dense(np.eye(2), np.zeros(2))])
    with pytest.raises(ValueError, match=message):
        batch_sensitivity(network, np.zeros((n_rows, 2)), sizes=sizes)
