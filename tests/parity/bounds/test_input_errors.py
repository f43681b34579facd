"""Bounds of preprocessed inputs: valid and tight."""

import numpy as np
import pytest

import xpnet
from xpnet.parity.bounds.error_bound import error_bound
from xpnet.parity.candidates import stage_results

F32 = np.float32
MODES = pytest.mark.parametrize("worst_case", [False, True], ids=["probabilistic", "worst case"])
RNG = np.random.default_rng(0)
ARRAYS = xpnet.Standardize(RNG.normal(size=6), RNG.uniform(0.5, 2.0, 6))
WHITEN = xpnet.Whiten(RNG.normal(size=6), RNG.normal(size=(6, 6)))


def network_of(*steps, dtype=F32):
    layer = xpnet.Dense(
        RNG.normal(size=(6, 5)).astype(dtype), RNG.normal(size=5).astype(dtype), "sigmoid"
    )
    return xpnet.Network([layer], preprocessing=steps)


def shares(network, rows, *, worst_case=False):
    """Return the largest error of each stage as a share of its bound."""
    found = error_bound(network, rows, worst_case=worst_case)
    with np.errstate(all="ignore"):
        results = stage_results(network, rows)
        errors = [
            np.abs(y.astype(np.float64) - stage.values)
            for y, stage in zip(results, found.stages, strict=True)
        ]
        return [
            float(
                np.max(np.where((error > 0.0) & (stage.bound < np.inf), error / stage.bound, 0.0))
            )
            for error, stage in zip(errors, found.stages, strict=True)
        ]


STEPS = [
    (xpnet.Standardize(0.1307, 0.3081),),
    (xpnet.Scale(1 / 255), xpnet.Standardize(0.1307, 0.3081)),
    (ARRAYS,),
    (xpnet.Scale(0.1), ARRAYS, xpnet.Scale(-3.0)),
    (xpnet.Standardize(1000000.1, 1.0),),
    (xpnet.Standardize(0.0, 3.0), xpnet.Standardize(0.7)),
    (WHITEN,),
    (xpnet.Scale(1 / 255), WHITEN),
    (xpnet.Standardize(0.1307, 0.3081), WHITEN, ARRAYS),
]


@MODES
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_rounding_of_inputs_is_in_bound(dtype, worst_case, subtests):
    rows = RNG.uniform(0, 255, (500, 6)).astype(dtype)
    for steps in STEPS:
        with subtests.test(str(steps)):
            first, last = shares(network_of(*steps), rows, worst_case=worst_case)
            assert 0.05 < first <= 1.0
            assert last <= 1.0


def test_a_fault_of_preprocessing_is_out_of_bound():
    network = network_of(ARRAYS)
    rows = RNG.normal(size=(50, 6)).astype(F32)
    stage = error_bound(network, rows).stages[0]
    wrong = (rows - network.preprocessing[0].mean.astype(np.float16)) / network.preprocessing[
        0
    ].scale
    assert np.max(np.abs(wrong - stage.values) / stage.bound) > 50


def test_cancellation_keeps_the_absolute_error():
    rows = np.asarray([[100.1, 100.2, 100.3, 100.1, 100.0, 99.9]], F32)
    stage = error_bound(network_of(xpnet.Standardize(100.1, 1e-3)), rows).stages[0]
    assert np.all(stage.bound > 100.0 * 2.0**-25 / 1e-3)
    assert np.all(stage.bound < 1e4 * 2.0**-24 / 1e-3)


def test_cancellation_before_the_cast_costs_one_rounding():
    rows = np.asarray([[100.1, 100.2, 100.3, 100.1, 100.0, 99.9]])  # float64
    stage = error_bound(network_of(xpnet.Standardize(100.1, 1e-3)), rows).stages[0]
    assert np.all(stage.bound <= np.abs(stage.values) * 2.0**-24 * 1.001 + 1e-9)


OF_16_BITS = xpnet.Scale(1 / 65535)
STEPS_OF_16_BITS = [
    (OF_16_BITS,),
    (xpnet.Standardize(30000.0, 20000.0),),
    (OF_16_BITS, ARRAYS),
    (OF_16_BITS, WHITEN),
    (OF_16_BITS, WHITEN, ARRAYS),
]


@MODES
@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32", "float64"])
def test_inputs_beyond_float16_have_a_sharp_bound(dtype, worst_case, subtests):
    rows = RNG.integers(0, 65536, (200, 6)).astype(dtype)
    for steps in STEPS_OF_16_BITS:
        with subtests.test(str(steps)):
            network = network_of(*steps).astype("float16")
            stages = error_bound(network, rows, worst_case=worst_case).stages
            assert all(np.isfinite(stage.bound).all() for stage in stages)
            first, last = shares(network, rows, worst_case=worst_case)
            assert 0.9 < first <= 1.0
            assert last <= 1.0


@MODES
def test_inputs_beyond_float32_have_a_sharp_bound(worst_case):
    rows = RNG.random((200, 6)) * 1e39
    network = network_of(xpnet.Scale(1e-39), xpnet.Standardize(0.5, 0.3))
    first, last = shares(network, rows, worst_case=worst_case)
    assert 0.9 < first <= 1.0
    assert last <= 1.0


@MODES
@pytest.mark.parametrize(
    ("steps", "row"),
    [
        ((xpnet.Standardize(0.0, 1e-45),), 1e-30),
        ((xpnet.Standardize(1e-45, 1e-40),), 1e-42),
        ((xpnet.Standardize(0.0, 1e39),), 1e38),
        ((xpnet.Scale(1e30), xpnet.Standardize(1e30, 1e30)), 1.0 + 2.0**-20),
    ],
    ids=str,
)
def test_overflow_and_underflow_of_steps_are_in_bound(steps, row, worst_case):
    rows = np.full((1, 6), row)
    assert max(shares(network_of(*steps), rows, worst_case=worst_case)) <= 1.0


def test_a_fault_of_a_matrix_is_out_of_bound():
    network = network_of(WHITEN)
    rows = RNG.normal(size=(50, 6)).astype(F32)
    stage = error_bound(network, rows).stages[0]
    mean, matrix = WHITEN.mean.astype(F32), WHITEN.matrix.astype(np.float16)
    wrong = (rows - mean) @ matrix.astype(F32)
    assert np.max(np.abs(wrong - stage.values) / stage.bound) > 50


def test_nan_affects_all_whitened_inputs():
    rows = np.ones((2, 6), F32)
    rows[0, 2] = np.nan
    stages = error_bound(network_of(WHITEN), rows).stages
    assert np.isnan(stages[0].values[0]).all()
    assert (stages[0].bound[0] == 0.0).all()
    assert np.all(np.isfinite(stages[0].bound[1]) & (stages[0].bound[1] > 0.0))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stay_in_their_column(number):
    rows = np.ones((2, 6), F32)
    rows[0, 2] = number
    stages = error_bound(network_of(ARRAYS), rows).stages
    assert not np.isfinite(stages[0].values[0, 2])
    assert stages[0].bound[0, 2] == 0.0
    assert np.all(np.isfinite(stages[0].bound[0, [0, 1, 3, 4, 5]]))


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_other_libraries_are_in_bound(library):
    pytest.importorskip(library, reason=f"{library} is not installed")
    from xpnet.testing.backends import open_backend

    network = network_of(xpnet.Scale(1 / 255), ARRAYS, WHITEN)
    rows = RNG.uniform(0, 255, (300, 6)).astype("uint8")
    backend = open_backend(library)
    with backend.flags:
        other = network.map_arrays(backend.make)
        report = xpnet.parity.compare(network, rows, {library: other})
    assert report.is_in_bound
    assert report.candidates[library].stages[0].name == "preprocessing"
