"""error_bound where terms cancel, numbers overflow or underflow, functions jump, or are NaN."""

import itertools
import math

import numpy as np
import pytest

from xpnet import Dense, Network, Scale, Standardize, Whiten
from xpnet.parity import error_bound, stage_results

F32 = np.float32
USUAL = 1.0 - 1e-6
RNG = np.random.default_rng(0)
ARRAYS = Standardize(RNG.normal(size=6), RNG.uniform(0.5, 2.0, 6))
WHITEN = Whiten(RNG.normal(size=6), RNG.normal(size=(6, 6)))


def one_layer(weight, bias, activation="identity", dtype=F32, steps=(), **options):
    layer = Dense(np.asarray(weight, dtype), np.asarray(bias, dtype), activation, options)
    return Network([layer], steps)


HALF = np.random.default_rng(0).normal(size=(500, 4)).astype(F32)
CANCEL = Dense(np.concatenate([HALF, -HALF]), np.full(4, 1e-3, F32))
BYTES = np.tile(np.random.default_rng(0).integers(0, 256, (20, 500), dtype=np.uint8), 2)
EYE = Dense(np.eye(4, dtype=F32), np.zeros(4, F32))
STEP = Dense(F32([[1.0], [-1.0]]), np.zeros(1, F32), "step")
LARGE = {dtype: float(np.finfo(dtype).max) * 0.9 for dtype in ("float16", "float32")}
TINY = one_layer(np.full((300, 2), 1e-19), [0.0, 1e-39]), np.full((1, 300), 1e-19, F32), False
UNDERFLOW = F32([[0.0, -90.0, -110.0], [0.0, -100.0, -300.0]])
NOT_NUMBERS = F32([[math.nan, 1.0], [math.inf, 1.0], [-math.inf, 1.0]])
OPTIONS = [(name, "alpha", x) for name in ("elu", "celu") for x in (1e-6, 1e6)]
OPTIONS += [("leaky_relu", "negative_slope", 1e-30)]
# Steps whose intermediate numbers overflow or underflow, and rows.
FAR_STEPS = [
    ([Scale(1e-10)], np.asarray([[1e39, 1.0]])),
    ([Scale(1e45)], np.asarray([[1e-50, 1e-10]])),
    ([Scale(1e30), Scale(1e-30)], np.asarray([[1e20, 1.0]])),
    ([Scale(1.0 / 255.0)], np.asarray([[1.7e-43, 3e-46]])),
    ([Scale(1e-42)], F32([[1e3, 0.0]])),
    ([Standardize(0.0, 1e39)], np.asarray([[1e38, 1e38]])),
    ([Standardize(F32([1e-40, 0]), F32([1, 2.0**127]))], F32([[1e-38, 1e30]])),
    ([Scale(1e30), Standardize(1e30, 1e30)], F32([[1.0 + 2.0**-20, 1.0]])),
    ([Whiten(F32([0, 0]), F32([[1e-40, 1], [1, 1e-40]]))], F32([[1e3, 1e3]])),
]
# Network, rows, and which outputs have no bound.
SPECIAL = {
    "terms cancel": (Network([CANCEL, EYE, EYE]), np.tile(HALF.T[:2], 2), False),
    "terms of bytes cancel": (Network([CANCEL, EYE], Scale(1 / 255)), BYTES, False),
    "terms of few bytes cancel": (Network([CANCEL, EYE], Scale(1 / 255)), BYTES[:3], False),
    "products below the normal numbers": TINY,
    "probabilities underflow": (one_layer(np.eye(3), np.zeros(3), "softmax"), UNDERFLOW, False),
    "step within reach": (
        one_layer([[1.0, 1.0], [-1.0, 1.0]], [0.0, 0.0], "step"),
        F32([[0.1, 0.1], [0.1, 0.3]]),
        [[True, False], [False, False]],
    ),
    "no bound before": (
        Network([STEP, Dense(F32([[0.7, -0.4]]), F32([0.1, 0.2]), "tanh")]),
        F32([[0.1, 0.1], [0.1, 0.3]]),
        [[True], [False]],
    ),
    "step at exact zeros": (one_layer([[1], [1]], [0], "step"), np.zeros((1, 2), F32), False),
    "step at a subnormal input": (one_layer([[1.0]], [0.0], "step"), F32([[1e-40]]), True),
    "step at a subnormal bias": (one_layer([[1.0]], [1e-40], "step"), F32([[0.0]]), True),
    "selu of subnormal": (one_layer([[1.0]], [0.0], "selu"), F32([[-9.4e-39]]), False),
    "elu of subnormal bias": (one_layer([[1.0]], [-9.4e-39], "elu"), F32([[0.0]]), False),
    "exponential": (
        one_layer([[1.0]], [0.0], "exponential"),
        F32([[88.722839], [88.0], [-1e6]]),
        [[True], [False], [False]],
    ),
}
for dtype, large in LARGE.items():
    row = (np.asarray([[1, 1, -1], [0.3, -0.3, 0.3], [1e-4, 0, 0]]) * large).astype(dtype)
    network = one_layer(np.ones((3, 1)), [0.0], dtype=dtype)
    SPECIAL[f"sum overflows in {dtype}"] = network, row, [[True], [False], [False]]
    network = one_layer([[1.0, 1.0], [-10.0, 0.1]], [0.0, 0.0], dtype=dtype)
    SPECIAL[f"infinity in {dtype}"] = network, np.asarray([[math.inf, large]], dtype), [True, False]
for name in ("relu", "sigmoid", "softmax", "silu", "identity"):
    network = one_layer([[1.0, 2.0, 3.0], [0.5, 0.5, 0.5]], np.zeros(3), name)
    SPECIAL[f"not numbers, {name}"] = network, NOT_NUMBERS, False
for name, option, value in OPTIONS:
    network = one_layer([[1.0, -1.0]], [0.0, 0.0], name, **{option: value})
    SPECIAL[f"{name}({value:g})"] = network, F32([[0.0], [1], [-50], [1e30], [1e-33]]), False
for steps, row in FAR_STEPS:
    SPECIAL[str(steps)] = one_layer(np.eye(2), [0, 0], "softsign", steps=steps), row, False


@pytest.mark.parametrize("confidence", [USUAL, 1.0], ids=["probabilistic", "worst case"])
@pytest.mark.parametrize("library", ["numpy", "jax"])  # JAX counts subnormal numbers as 0
@pytest.mark.parametrize("name", SPECIAL)
def test_special_cases(name, library, confidence, moved, shares):
    network, rows, is_unbounded = SPECIAL[name]
    found = error_bound(network, rows, confidence=confidence)
    last = found.stages[-1]
    assert np.all(np.isinf(last.bound) == is_unbounded)
    assert np.all(last.bound[~np.isfinite(last.values) & np.isfinite(last.bound)] == 0.0)
    assert max(shares(found, stage_results(moved(network, library), rows))) <= 1.0


def test_other_results_of_special_cases_are_in_bound(shares):
    # Products, or probabilities, that are flushed to zero; a NaN that was lost.
    network, rows, _ = TINY
    assert max(shares(error_bound(network, rows), [rows, np.zeros((1, 2))])) <= 1.0
    network, rows, _ = SPECIAL["probabilities underflow"]
    assert max(shares(error_bound(network, rows), [rows, F32([[1, 0, 0]] * 2)])) <= 1.0
    network, rows, _ = SPECIAL["not numbers, relu"]
    assert shares(error_bound(network, rows), [rows, np.zeros((3, 3))])[-1] == math.inf
    network, rows, _ = SPECIAL["terms cancel"]
    sums = np.cumsum(rows[..., None] * CANCEL.weight, axis=1)[:, -1] + CANCEL.bias  # one by one
    assert max(shares(error_bound(network, rows), [rows, sums, sums, sums])) <= 1.0


def test_a_row_with_nan_or_infinity_leaves_others_bounds(random_network):
    rows = np.ones((2, 6), F32)
    for step, number in itertools.product((ARRAYS, WHITEN), (math.nan, math.inf)):
        rows[0, 2] = number
        stage = error_bound(random_network([6, 5], ["tanh"], preprocessing=step), rows).stages[0]
        is_finite = np.isfinite(stage.values)
        assert is_finite.sum() == (11 if step is ARRAYS else 6)
        assert np.all(stage.bound[~is_finite] == 0.0)
        assert np.all(np.isfinite(stage.bound) & ((stage.bound > 0.0) == is_finite))


def test_partial_sums_of_whitening_that_may_overflow_have_no_bound():
    step = Whiten(np.zeros(2, F32), F32([[1.0, 1.0], [-1.0, 0.2]]))
    rows = F32([[LARGE["float32"]] * 2])
    for confidence in (USUAL, 1.0):
        found = error_bound(one_layer(np.eye(2), [0, 0], steps=step), rows, confidence=confidence)
        is_certain = confidence != 1.0  # the sum of one positive and one negative term
        assert np.isfinite(found.stages[0].bound[0, 0]) == is_certain
        assert np.isinf(found.stages[0].bound[0, 1])
