"""compare: correct and faulty results, their verdicts, and predictions that could differ."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.parity import compare, error_bound, stage_results

F32 = np.float32
ROWS = np.random.default_rng(1).normal(size=(30, 20)).astype(F32)
EYE = xpnet.Dense(np.eye(10, dtype=F32), np.zeros(10, F32))


def stages(network, rows):
    return [np.array(y) for y in stage_results(network, rows)]


def with_layer(network, i, **changes):
    layer = replace(network.layers[i], **changes)
    return replace(network, layers=(*network.layers[:i], layer, *network.layers[i + 1 :]))


def compared(network, rows, candidate, **options):
    """Return the agreement of one candidate."""
    return compare(network, rows, {"it": candidate}, **options).candidates["it"]


def test_every_backend_is_in_bound_live_and_recorded(xp_backend, random_network):
    network = random_network(activations=["gelu", "softmax"])
    moved = network.map_arrays(xp_backend.make)
    candidates = {"live": moved, "recorded": stage_results(moved, ROWS)}
    report = compare(network, ROWS, candidates, confidence=0.9)
    assert (report.n_rows, report.dtype, report.confidence) == (30, "float32", 0.9)
    assert (report.n_disagree, report.is_in_bound) == (0, True)
    assert report.verdict.startswith("in bound")
    for found in report.candidates.values():
        names = [stage.name for stage in found.stages]
        assert names == ["preprocessing", "layer 1, gelu", "layer 2, softmax"]
        assert [stage.n_results for stage in found.stages] == [600, 480, 300]
        assert 0.0 < found.stages[1].share < 1.0
        assert 0.0 < found.stages[1].ulp < 100.0


def test_the_first_stage_out_of_bound_is_named_with_its_place(random_network):
    network = random_network((20, 16, 12, 10), ["relu"] * 3)
    rows = np.random.default_rng(1).normal(size=(1000, 20)).astype(F32)
    wrong = stages(network, rows)
    wrong[2][700, 5] += F32(0.25)
    wrong[3][3, 2:4] += F32(0.5)
    report = compare(network, rows, {"right": network, "wrong": wrong})
    for words in ("OUT OF BOUND", "layer 2, relu of wrong", "row 700, unit 5 (1 of 12,000"):
        assert words in str(report)
    assert report.candidates["right"].first_out is None
    found = report.candidates["wrong"]
    assert found.n_differ == 0
    assert [stage.n_out for stage in found.stages] == [0, 0, 1, 2]
    stage = found.stages[2]
    assert (stage.place, stage.difference) == ((700, 5), pytest.approx(0.25, abs=1e-5))
    value = error_bound(network, rows).stages[2].values[700, 5]
    assert stage.ulp == pytest.approx(0.25 / 2.0 ** (math.floor(math.log2(value)) - 23), rel=1e-4)


@pytest.mark.parametrize(
    ("dtype", "limit", "error"), [("float32", 1.0, 1e-6), ("float64", 2.0, 0.01)]
)
def test_a_result_is_out_only_beyond_its_bound(dtype, limit, error, random_network):
    network, rows = random_network().astype(dtype), ROWS.astype(dtype)
    last = error_bound(network, rows, confidence=1.0).stages[2]
    for share, n_out in ((0.98, 0), (1.02, 300)):
        moved = [*stages(network, rows)[:2], last.values + limit * share * last.bound]
        stage = compared(network, rows, moved, confidence=1.0).stages[2]
        assert (stage.share, stage.n_out) == (pytest.approx(share, rel=error), n_out)


def test_a_fault_is_found_in_its_own_layer_however_deep():
    # After the first layer, whose terms cancel, the bounds are wide.
    rng = np.random.default_rng(0)
    half = 1e3 * rng.normal(size=(50, 4)).astype(F32)
    first = xpnet.Dense(np.concatenate([half, -half]), np.ones(4, F32))
    layers = [xpnet.Dense(rng.normal(size=(4, 4)).astype(F32), np.ones(4, F32)) for _ in range(3)]
    network, x = xpnet.Network([first, *layers]), rng.normal(size=(20, 50)).astype(F32)
    rows = np.concatenate([x, x], axis=1)
    wrong = stages(with_layer(network, 3, bias=np.full(4, 1.0 + 2.0**-12, F32)), rows)
    assert compared(network, rows, network).first_out is None
    report = compare(network, rows, {"wrong": wrong})
    assert "layer 4, identity of wrong" in report.verdict
    *_, last = found = report.candidates["wrong"].stages
    assert (last.n_out, last.alone.n_out) == (0, 80)
    assert last.share < 1.0 < last.alone.share == last.largest_share
    assert [stage.alone is None for stage in found] == [True] + 4 * [False]


STEP = xpnet.Dense(np.ones((1, 1), F32), np.zeros(1, F32), "step")
TURNED = xpnet.Dense(np.asarray([[-1.0, 1.0]], F32), np.asarray([0.5, 0.0], F32))
NEAR_A_STEP = np.asarray([[1], [-1], [1e-40], [0]], F32)  # the third


@pytest.mark.parametrize(
    ("output", "place", "n_differ", "verdict"),
    [
        ("logits", None, 0, "in bound"),
        ("logits", 1, 1, "OUT OF BOUND.* layer 2, identity of it"),
        ("logits", 2, 1, r"NOT JUDGED.* 2 of 8 .*predictions"),
        ("values", None, None, "NOT JUDGED.* 2 of 8 "),
    ],
)
def test_what_has_no_bound_is_not_judged(output, place, n_differ, verdict):
    network = xpnet.Network([STEP, TURNED], output=output)
    outputs = network(NEAR_A_STEP)
    if place is not None:  # another class
        outputs[place] = outputs[place, ::-1]
    report = compare(network, NEAR_A_STEP, {"it": [outputs]})
    found = report.candidates["it"]
    assert re.match(verdict, report.verdict)
    assert (found.n_differ, found.stages[0].n_unbounded) == (n_differ, 2)
    assert report.is_in_bound == (verdict == "in bound")
    is_regression = output == "values"
    assert [x is None for x in (report.n_could_differ, report.n_disagree)] == [is_regression] * 2
    if not is_regression:  # the third row alone
        report = compare(network, NEAR_A_STEP[2:3], {"it": [outputs[2:3]]})
        assert report.candidates["it"].stages[-1].largest_share is None
        assert (report.is_in_bound, report.n_could_differ) == (False, 1)


def test_near_ties_could_differ_and_others_cannot():
    gap = 12 * 2.0**-23  # the bounds of results near 1 are some 8 ULP: both must move
    logits = [[1.0, 0.5, 0.0], [1.0, 1.0 + gap, 0.0], [0.0, 1.0, 1.0], [1.0, 1.001, 0.0]]
    rows, layer = np.asarray(logits, F32), xpnet.Dense(np.eye(3, dtype=F32), np.zeros(3, F32))
    network = xpnet.Network([layer])
    moved = 7 * 2.0**-23 * np.asarray([[0, 0, 0], [1, -1, 0], [0, -1, 1], [0, 0, 0]], F32)
    report = compare(network, rows, {"self": network, "same": network, "it": [rows, rows + moved]})
    assert (report.n_could_differ, report.is_in_bound, report.n_disagree) == (2, True, 2)
    assert [agreement.n_differ for agreement in report.candidates.values()] == [0, 0, 2]


@pytest.mark.parametrize(
    ("output", "rows"),
    [("logits", [0.0, 1e-8, -1e-3, 2.0]), ("probabilities", [0.5, 0.5 + 1e-8, 0.4, 0.9])],
)
def test_one_unit_separates_two_classes(output, rows):
    # The rows cancel the bias, so that the bounds are those of 1.
    layer, rows = xpnet.Dense(np.ones((1, 1), F32), np.ones(1, F32)), np.asarray(rows)[:, None] - 1
    network = xpnet.Network([layer], output=output)
    assert compare(network, rows, {"self": network}).n_could_differ == 2


def test_a_folded_scale_is_in_bound_without_its_first_stage(random_network):
    network = random_network(preprocessing=xpnet.Scale(1 / 255))
    rows = np.random.default_rng(0).integers(0, 256, (50, 20), dtype=np.uint8)
    forgotten = replace(network, preprocessing=())
    folded = with_layer(forgotten, 0, weight=network.layers[0].weight * F32(1 / 255))
    found = compared(network, rows, folded)
    assert [stage.name for stage in found.stages] == ["layer 1, sigmoid", "layer 2, tanh"]
    assert found.first_out is None
    assert compared(network, rows, forgotten).first_out == "layer 1, sigmoid"


def test_networks_of_other_layers_are_compared_by_their_outputs(random_network):
    network = random_network(activations=["relu", "identity"])
    longer = replace(network, layers=(*network.layers, EYE))
    wrong = with_layer(longer, 2, bias=np.full(10, 1e-3, F32))
    first, second = network.layers
    mixed = with_layer(network, 0, weight=first.weight[:, ::-1], bias=first.bias[::-1])
    mixed = with_layer(mixed, 1, weight=second.weight[::-1])
    outputs = {"longer": longer, "mixed": [stage_results(mixed, ROWS)[-1]], "wrong": wrong}
    found = compare(network, ROWS, outputs).candidates
    for agreement in found.values():
        assert [stage.name for stage in agreement.stages] == ["layer 2, identity"]
    assert [x.first_out is None for x in found.values()] == [True, True, False]
    assert compared(network, ROWS, mixed).first_out == "layer 1, relu"


def test_another_shape_or_dtype_is_a_fault(monkeypatch, random_network):
    network = random_network()
    results = stages(network, ROWS)
    results[1] = results[1][:, :5]
    report = compare(network, ROWS, {"narrow": results})
    assert report.verdict.endswith("shape (30, 5) instead of (30, 16)")
    assert report.candidates["narrow"].stages[1].largest_share == math.inf
    tanh = ACTIVATIONS["tanh"]
    wide = replace(tanh, function=lambda z, _: np.tanh(z.astype(np.float64)), in_place=None)
    monkeypatch.setattr("xpnet.networks.dense.ACTIVATIONS", {**ACTIVATIONS, "tanh": wide})
    found = compared(network, ROWS, random_network())
    assert found.first_out == "layer 2, tanh"
    assert found.stages[2].fault == "dtype float64 instead of float32"


def test_absolute_errors_are_allowed_to_one_candidate():
    layer = xpnet.Dense(np.eye(3, dtype=F32), np.full(3, -20.0, F32), "sigmoid")
    network = xpnet.Network([layer, xpnet.Dense(np.eye(3, dtype=F32), np.zeros(3, F32))])
    rows = np.zeros((4, 3), F32)
    near, far = ([network(rows) + F32(error)] for error in (1.5e-7, 1e-5))  # true: 2e-9
    candidates, allowed = {"near": near, "strict": near, "far": far}, {"near": 4.0, "far": 4.0}
    found = compare(network, rows, candidates, absolute_errors=allowed).candidates
    assert [x.first_out is None for x in found.values()] == [True, False, False]
