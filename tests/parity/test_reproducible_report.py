"""compare with reproducible results: the same bits on every backend, and planted differences."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.exact_namespace import EXP_SERIES, ExactNamespace
from xpnet.functions.special import polynomial
from xpnet.parity import compare, stage_results
from xpnet.testing.backends import open_backend

STAGES = ["preprocessing", "layer 1, softplus", "layer 2, tanh"]


def make_network(dtype="float32", **options):
    rng = np.random.default_rng(0)
    layers = [
        xpnet.Dense(
            rng.normal(0.0, n_in**-0.5, (n_in, n_out)).astype(dtype),
            rng.normal(0.0, 0.1, n_out).astype(dtype),
            activation,
        )
        for n_in, n_out, activation in ((20, 16, "softplus"), (16, 10, "tanh"))
    ]
    return xpnet.Network(layers, preprocessing=xpnet.Scale(0.1), **options)


def make_rows(n=700, dtype="float32"):
    return np.random.default_rng(1).normal(size=(n, 20)).astype(dtype)


NETWORK, ROWS = make_network(), make_rows()
EXACT = xpnet.reproducible(NETWORK)


@pytest.fixture
def strict():
    """Return a function that copies a network to array-api-strict."""
    pytest.importorskip("array_api_strict")
    return lambda network: network.map_arrays(open_backend("array-api-strict").make)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_backend_has_the_same_bits(xp_backend, dtype):
    if not xp_backend.has_float64:
        pytest.skip("no float64")
    network, rows = make_network(dtype), make_rows(dtype=dtype)
    rows[:5, 0] = np.nan, np.inf, -np.inf, -0.0, 1e-40
    there = network.map_arrays(xp_backend.make)
    for reference, other in ((network, there), (there, network)):  # NumPy computes the reference
        report = compare(xpnet.reproducible(reference), rows, {"other": other})
        stages = report.candidates["other"].stages
        assert (report.verdict, report.dtype, report.confidence) == ("the same bits", dtype, 1.0)
        assert report.result_hash == xpnet.result_hash(network, rows)
        assert [stage.name for stage in stages] == STAGES
        assert [stage.n_results for stage in stages] == [14_000, 11_200, 7_000]
        assert all(stage.is_in_bound and stage.place is None for stage in stages)


def test_what_is_not_reproducible_is_refused():
    pytest.importorskip("array_api_strict")
    no_float64 = NETWORK.map_arrays(open_backend("array-api-strict:no_float64").make)
    for other in (no_float64, make_network("float16")):
        with pytest.raises(TypeError, match="float64"):
            compare(EXACT, ROWS, {"other": other})


def test_one_bit_in_one_library_is_found_and_named(monkeypatch, strict):
    rounded = type(EXACT).rounded

    def with_one_bit(network, y, xp):
        y = rounded(network, y, xp)
        if network.library != "numpy" and y.shape == (700, 16):
            host = to_numpy(y).copy()
            host[[88, 600], 5] = np.nextafter(host[[88, 600], 5], np.float32(9.0))
            y = xp.asarray(host)
        return y

    monkeypatch.setattr(type(EXACT), "rounded", with_one_bit)
    report = compare(EXACT, ROWS, {"right": NETWORK, "wrong": strict(NETWORK)})
    assert report.candidates["right"].first_out is None
    assert report.verdict == (
        "DIFFERENT BITS, first in layer 1, softplus of wrong: other bits, first in row 88, unit 5"
        " (2 of 11,200 results)"
    )
    stages = report.candidates["wrong"].stages
    assert [stage.n_out for stage in stages] == [0, 2, 0]
    assert (stages[1].place, stages[1].share, report.is_in_bound) == ((88, 5), np.inf, False)
    assert 0.0 < stages[1].difference < 1e-6


def test_a_fused_multiply_add_in_one_library_is_found(monkeypatch, strict):
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("no wider type, in which a product is rounded later")

    exp = ExactNamespace.exp

    def fused(self, x):
        """exp(x) of small numbers, where the last product and sum are rounded once."""
        y, xp = exp(self, x), array_namespace(x)
        if xp is not np:
            x, y = to_numpy(x), to_numpy(y)
            wide = polynomial(EXP_SERIES, x).astype(np.longdouble) * (x * x) + x
            y = xp.asarray(np.where(np.abs(x) < 0.3, 1.0 + wide.astype(np.float64), y))
        return y

    monkeypatch.setattr(ExactNamespace, "exp", fused)
    network = make_network("float64")
    report = compare(xpnet.reproducible(network), ROWS, {"fused": strict(network)})
    stages = report.candidates["fused"].stages
    assert [stage.is_in_bound for stage in stages] == [True, False, False]
    assert 0 < stages[1].n_out < stages[1].n_results
    assert stages[1].difference < 1e-14


def test_recorded_results_are_compared_to_the_bit():
    rows = ROWS.copy()
    rows[600, 3] = -0.0  # counts as 0
    stages = [stage.copy() for stage in stage_results(EXACT, rows)]
    assert compare(EXACT, rows, {"right": stages}).is_in_bound
    assert compare(EXACT, rows, {"right": list(map(np.asfortranarray, stages))}).is_in_bound
    stages[0][600, 3] = -0.0
    stage = compare(EXACT, rows, {"wrong": stages}).candidates["wrong"].stages[0]
    assert (stage.n_out, stage.place, stage.difference) == (1, (600, 3), 0.0)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda y: y.astype(np.float64), "dtype float64 instead of float32"),
        (lambda y: y[:, :7], "shape (700, 7) instead of (700, 10)"),
    ],
)
def test_recorded_results_of_another_form_are_a_fault(change, fault):
    stages = list(stage_results(EXACT, ROWS))
    stages[2] = change(stages[2])
    *right, wrong = compare(EXACT, ROWS, {"wrong": stages}).candidates["wrong"].stages
    assert all(stage.is_in_bound for stage in right)
    assert (wrong.fault, wrong.is_in_bound) == (fault, False)


def test_another_preprocessing_leaves_out_its_stage():
    other = replace(NETWORK, preprocessing=())
    found = compare(EXACT, ROWS, {"other": other}).candidates["other"]
    assert [stage.name for stage in found.stages] == STAGES[1:]
    assert found.first_out == STAGES[1]
