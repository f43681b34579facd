"""compare with reproducible results: the same bits on every backend, and planted differences."""

import re
from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.exact_namespace import EXP_SERIES, ExactNamespace
from xpnet.functions.special import polynomial
from xpnet.inference.result_hash import result_hash
from xpnet.networks.reproducible import reproducible
from xpnet.parity import candidates, compare, stage_results
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
    report = compare(reproducible(network), rows, {"other": network.map_arrays(xp_backend.make)})
    stages = report.candidates["other"].stages
    assert report.is_in_bound
    assert (report.n_rows, report.dtype) == (700, dtype)
    assert report.result_hash == result_hash(network, rows)
    assert [stage.name for stage in stages] == STAGES
    assert [stage.n_results for stage in stages] == [14_000, 11_200, 7_000]
    assert all(stage.is_in_bound and stage.place is None for stage in stages)


def test_a_device_without_float64_is_rejected():
    pytest.importorskip("array_api_strict")
    there = NETWORK.map_arrays(open_backend("array-api-strict:no_float64").make)
    message = "reproducible results need float64, which array_api_strict lacks on this device"
    with pytest.raises(TypeError, match=message):
        compare(reproducible(NETWORK), ROWS, {"there": there})


def test_the_reference_is_computed_by_numpy(strict):
    report = compare(reproducible(strict(NETWORK)), ROWS, {"cpu": NETWORK})
    assert report.is_in_bound
    assert report.result_hash == result_hash(NETWORK, ROWS)


@pytest.fixture
def change_results(monkeypatch):
    """Change the results of all stages of networks that are not of NumPy."""

    def plant(change):
        def changed(network, rows):
            results = compute(network, rows)
            is_numpy = network.library == "numpy"
            return results if is_numpy else [change(i, y) for i, y in enumerate(results)]

        compute = candidates.results_on_device
        monkeypatch.setattr(candidates, "results_on_device", changed)

    return plant


def test_one_bit_in_one_library_is_found_and_named(change_results, strict):
    def one_bit(i, y):
        if i == 1:
            host = to_numpy(y).copy()
            host[88, 5] = np.nextafter(host[88, 5], np.float32(9.0))
            y = array_namespace(y).asarray(host)
        return y

    change_results(one_bit)
    report = compare(reproducible(NETWORK), ROWS, {"right": NETWORK, "wrong": strict(NETWORK)})
    assert not report.is_in_bound
    assert all(stage.is_in_bound for stage in report.candidates["right"].stages)
    wrong = report.candidates["wrong"].stages
    assert [stage.n_out for stage in wrong] == [0, 2, 0]  # in rows 88 and 512 + 88
    expected = stage_results(reproducible(NETWORK), ROWS)[1][88, 5]
    found = np.nextafter(expected, np.float32(9.0))
    stage = wrong[1]
    assert (stage.place, stage.expected, stage.found) == ((88, 5), expected, found)
    assert stage.difference == found - expected
    assert stage.share == np.inf


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
    report = compare(reproducible(network), ROWS, {"fused": strict(network)})
    stages = report.candidates["fused"].stages
    assert [stage.is_in_bound for stage in stages] == [True, False, False]
    assert 0 < stages[1].n_out < stages[1].n_results
    assert stages[1].found == pytest.approx(stages[1].expected, rel=1e-15)


def recorded(network=NETWORK, rows=ROWS):
    return [stage.copy() for stage in stage_results(reproducible(network), rows)]


def test_recorded_results_are_compared_to_the_bit():
    stages = recorded()
    assert compare(reproducible(NETWORK), ROWS, {"right": stages}).is_in_bound
    assert compare(
        reproducible(NETWORK), ROWS, {"right": list(map(np.asfortranarray, stages))}
    ).is_in_bound
    rows = ROWS.copy()
    rows[600, 3] = -0.0  # counts as 0
    stages = recorded(rows=rows)
    stages[0][600, 3] = -0.0
    stage = compare(reproducible(NETWORK), rows, {"wrong": stages}).candidates["wrong"].stages[0]
    assert (stage.n_out, stage.place) == (1, (600, 3))
    assert (stage.difference, str(stage.found), str(stage.expected)) == (0.0, "-0.0", "0.0")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda y: y.astype(np.float64), "dtype float64 instead of float32"),
        (lambda y: y[:, :7], "shape (188, 7) instead of (188, 10)"),
    ],
)
def test_recorded_results_of_another_form_are_a_fault(change, fault):
    stages = recorded()
    stages[2] = change(stages[2])
    *right, wrong = (
        compare(reproducible(NETWORK), ROWS, {"wrong": stages}).candidates["wrong"].stages
    )
    assert all(stage.is_in_bound for stage in right)
    assert wrong.fault.replace("512", "188") == fault
    assert not wrong.is_in_bound


def test_a_result_of_another_library_is_a_fault(change_results, strict):
    def later_on_the_host(i, y):
        if i == 2:  # and other bits before that
            y = array_namespace(y).asarray(to_numpy(y) * 2) if y.shape[0] == 512 else to_numpy(y)
        return y

    change_results(later_on_the_host)
    report = compare(reproducible(NETWORK), ROWS, {"host": strict(NETWORK)})
    stage = report.candidates["host"].stages[2]
    assert stage.fault == "library numpy instead of array_api_strict"
    assert stage.n_out > 0


def test_outputs_alone_with_units_in_another_order():
    first, second = NETWORK.layers
    first = replace(first, weight=first.weight[:, ::-1].copy(), bias=first.bias[::-1].copy())
    second = replace(second, weight=second.weight[::-1].copy())
    other = replace(NETWORK, layers=(first, second))
    assert not compare(reproducible(NETWORK), ROWS, {"other": other}).is_in_bound
    report = compare(reproducible(NETWORK), ROWS, {"other": other}, outputs_only=True)
    assert report.is_in_bound
    assert [stage.name for stage in report.candidates["other"].stages] == STAGES[-1:]


def test_another_preprocessing_leaves_out_its_stage():
    other = replace(NETWORK, preprocessing=())
    stages = compare(reproducible(NETWORK), ROWS, {"other": other}).candidates["other"].stages
    assert [stage.name for stage in stages] == STAGES[1:]


def test_other_dtypes_are_rejected():
    message = "must be of float32 or float64; got float16"
    network = make_network("float16")
    for given, other in ((network, NETWORK), (NETWORK, network)):
        with pytest.raises(TypeError, match=message):
            compare(reproducible(given), ROWS, {"other": other})


def test_no_rows_and_no_candidates_are_rejected():
    message = re.escape("`x` and `candidates` must not be empty; got 0 rows and 1")
    with pytest.raises(ValueError, match=message):
        compare(reproducible(NETWORK), ROWS[:0], {"self": NETWORK})
    with pytest.raises(TypeError, match="must be a mapping of names to networks or stages; got"):
        compare(reproducible(NETWORK), ROWS, [NETWORK])


def test_progress_is_called_with_all_rows():
    counts = []
    compare(reproducible(NETWORK), ROWS, {"self": NETWORK}, progress=counts.append)
    assert counts == [512, 188]
