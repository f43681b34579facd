"""compare of reproducible networks: the same bits, or where they differ."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.exact_functions import EXP_SERIES, ExactNamespace
from xpnet.functions.polynomial import polynomial
from xpnet.parity import compare, stage_results
from xpnet.testing.backends import open_backend

F32 = np.float32
SOFT = xpnet.init_network([20, 16, 10], activation="softplus", preprocessing=xpnet.Scale(0.1))
EXACT, MANY = xpnet.reproducible(SOFT), np.random.default_rng(1).normal(size=(700, 20)).astype(F32)


def strict(network):
    pytest.importorskip("array_api_strict")
    return network.map_arrays(open_backend("array-api-strict").make)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_backend_has_the_same_bits(xp_backend, dtype):
    if not xp_backend.has_float64:
        pytest.skip("no float64")
    network, rows = SOFT.astype(dtype), MANY.astype(dtype)
    rows[:5, 0] = np.nan, np.inf, -np.inf, -0.0, 1e-40
    there = network.map_arrays(xp_backend.make)
    for reference, other in ((network, there), (there, network)):  # NumPy computes the reference
        report = compare(xpnet.reproducible(reference), rows, {"other": other})
        stages = report.candidates["other"].stages
        assert (report.verdict, report.dtype, report.confidence) == ("the same bits", dtype, 1.0)
        assert report.result_hash == xpnet.result_hash(network, rows)
        assert [stage.n_results for stage in stages] == [14_000, 11_200, 7_000]


def test_one_bit_in_one_library_is_found_and_named(monkeypatch):
    rounded = type(EXACT).rounded

    def with_one_bit(network, y, xp):
        y = rounded(network, y, xp)
        if network.library != "numpy" and y.shape == (700, 16):
            host = to_numpy(y).copy()
            host[[88, 600], 5] = np.nextafter(host[[88, 600], 5], F32(9.0))
            y = xp.asarray(host)
        return y

    monkeypatch.setattr(type(EXACT), "rounded", with_one_bit)
    report = compare(EXACT, MANY, {"right": SOFT, "wrong": strict(SOFT)})
    for words in ("DIFFERENT BITS", "layer 1, softplus of wrong", "row 88, unit 5 "):
        assert words in report.verdict
    stages = report.candidates["wrong"].stages
    assert [stage.n_out for stage in stages] == [0, 2, 0]
    assert (stages[1].place, stages[1].share, report.is_in_bound) == ((88, 5), np.inf, False)
    assert 0.0 < stages[1].difference < 1e-6


def test_a_fused_multiply_add_in_one_library_is_found(monkeypatch):
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
    network = SOFT.astype("float64")
    report = compare(xpnet.reproducible(network), MANY, {"fused": strict(network)})
    stages = report.candidates["fused"].stages
    assert [stage.is_in_bound for stage in stages] == [True, False, False]
    assert 0 < stages[1].n_out < stages[1].n_results
    assert stages[1].difference < 1e-14


def test_recorded_results_are_compared_to_the_bit():
    stages = [stage.copy() for stage in stage_results(EXACT, 0.0 * MANY)]
    for right in (stages, list(map(np.asfortranarray, stages))):
        assert compare(EXACT, 0.0 * MANY, {"right": right}).is_in_bound
    stages[0][600, 3] = -0.0
    stages[1] = stages[1].astype(np.float64)
    stages[2][3, 2] += 1.0
    first, second, third = compare(EXACT, 0.0 * MANY, {"it": stages}).candidates["it"].stages
    assert (first.n_out, first.place, first.difference) == (1, (600, 3), 0.0)
    assert second.fault == "dtype float64 instead of float32"
    assert (third.n_out, third.place) == (1, (3, 2))
    outputs = compare(EXACT, 0.0 * MANY, {"it": stages[2:]}).candidates["it"].stages
    assert outputs == (third,)
