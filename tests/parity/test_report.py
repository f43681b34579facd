"""compare: correct and faulty computations, predictions that could differ, and the same bits."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.exact_namespace import EXP_SERIES, ExactNamespace
from xpnet.functions.polynomial import polynomial
from xpnet.parity import compare, error_bound, stage_results
from xpnet.testing.backends import open_backend

F32 = np.float32


def random_network(widths=(20, 16, 10), activations=("sigmoid", "tanh"), **options):
    rng = np.random.default_rng(0)
    layers = [
        xpnet.Dense(
            rng.normal(0.0, n_in**-0.5, (n_in, n_out)).astype(F32),
            rng.normal(0.0, 0.1, n_out).astype(F32),
            activation,
        )
        for n_in, n_out, activation in zip(widths, widths[1:], activations, strict=False)
    ]
    return xpnet.Network(layers, **options)


def random_rows(n=30):
    return np.random.default_rng(1).normal(size=(n, 20)).astype(F32)


NETWORK, ROWS = random_network(), random_rows()


def stages(network, rows):
    return [np.array(y) for y in stage_results(network, rows)]


def stages_with(network, rows, dot=np.matmul, activations=ACTIVATIONS):
    """Return the stages with another matrix product, or with other activations."""
    y = network.inputs(rows, np)
    found = [y]
    for layer in network.layers:
        z = dot(y, layer.weight) + layer.bias
        y = activations[layer.activation](z, np, **layer.options).astype(F32)
        found.append(y)
    return found


def with_layer(network, i, **changes):
    layer = replace(network.layers[i], **changes)
    return replace(network, layers=(*network.layers[:i], layer, *network.layers[i + 1 :]))


def compared(network, rows, candidate, **options):
    """Return the agreement of one candidate."""
    return compare(network, rows, {"it": candidate}, **options).candidates["it"]


def test_every_backend_is_in_bound_live_and_recorded(xp_backend):
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


def test_the_first_stage_out_of_bound_is_named_with_its_place():
    network, rows = random_network((20, 16, 12, 10), ["relu"] * 3), random_rows(1000)
    wrong = stages(network, rows)
    wrong[2][700, 5] += F32(0.25)
    wrong[3][3, 2:4] += F32(0.5)
    report = compare(network, rows, {"right": network, "wrong": wrong})
    for words in ("OUT OF BOUND", "layer 2, relu of wrong", "row 700, unit 5 (1 of 12,000"):
        assert words in str(report)
    assert report.candidates["right"].first_out is None
    found = report.candidates["wrong"]
    assert "0 predictions differ" in str(found)
    assert [stage.n_out for stage in found.stages] == [0, 0, 1, 2]
    stage = found.stages[2]
    assert (stage.place, stage.difference) == ((700, 5), pytest.approx(0.25, abs=1e-5))
    value = error_bound(network, rows).stages[2].values[700, 5]
    assert stage.ulp == pytest.approx(0.25 / 2.0 ** (math.floor(math.log2(value)) - 23), rel=1e-4)


@pytest.mark.parametrize(
    ("dtype", "limit", "error"), [("float32", 1.0, 1e-6), ("float64", 2.0, 0.01)]
)
def test_a_result_is_out_only_beyond_its_bound(dtype, limit, error):
    network, rows = NETWORK.astype(dtype), ROWS.astype(dtype)
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
    report = compare(network, rows, {"self": network, "flipped": [rows, rows + moved]})
    assert (report.n_could_differ, report.is_in_bound, report.n_disagree) == (2, True, 2)
    assert [agreement.n_differ for agreement in report.candidates.values()] == [0, 2]


@pytest.mark.parametrize(
    ("output", "rows"),
    [("logits", [0.0, 1e-8, -1e-3, 2.0]), ("probabilities", [0.5, 0.5 + 1e-8, 0.4, 0.9])],
)
def test_one_unit_separates_two_classes(output, rows):
    # The rows cancel the bias, so that the bounds are those of 1.
    layer, rows = xpnet.Dense(np.ones((1, 1), F32), np.ones(1, F32)), np.asarray(rows)[:, None] - 1
    network = xpnet.Network([layer], output=output)
    assert compare(network, rows, {"self": network}).n_could_differ == 2


def test_a_folded_scale_is_in_bound_without_its_first_stage():
    network = random_network(preprocessing=xpnet.Scale(1 / 255))
    rows = np.random.default_rng(0).integers(0, 256, (50, 20), dtype=np.uint8)
    forgotten = replace(network, preprocessing=())
    folded = with_layer(forgotten, 0, weight=network.layers[0].weight * F32(1 / 255))
    found = compared(network, rows, folded)
    assert [stage.name for stage in found.stages] == ["layer 1, sigmoid", "layer 2, tanh"]
    assert found.first_out is None
    assert compared(network, rows, forgotten).first_out == "layer 1, sigmoid"


def test_networks_of_other_layers_are_compared_by_their_outputs():
    network = random_network(activations=["relu", "identity"])
    last = xpnet.Dense(np.eye(10, dtype=F32), np.zeros(10, F32))
    longer = replace(network, layers=(*network.layers, last))
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


RECORDED = [np.zeros((30, n)) for n in (20, 16, 10)]


@pytest.mark.parametrize(
    ("error", "word", "n_rows", "candidates"),
    [
        (ValueError, "n_in 20", 30, {"it": random_network((21, 16, 10))}),
        (ValueError, "n_out 10", 30, {"it": random_network((20, 16, 9))}),
        (ValueError, "output logits", 30, {"it": random_network(output="values")}),
        (ValueError, "classes", 30, {"it": random_network(classes=range(10, 20))}),
        (ValueError, "3 stages", 30, {"it": RECORDED[:2]}),
        (ValueError, "31 rows", 31, {"it": RECORDED}),
        (ValueError, "empty", 0, {"it": NETWORK}),
        (ValueError, "empty", 30, {}),
        (TypeError, "mapping", 30, [NETWORK]),
        (TypeError, "str", 30, {"it": "cpu"}),
        (TypeError, "NumPy", 30, {"it": [[1.0], [2.0], [3.0]]}),
    ],
)
def test_candidates_that_do_not_fit(error, word, n_rows, candidates):
    with pytest.raises(error, match=word):
        compare(NETWORK, random_rows(n_rows), candidates)


def test_another_shape_or_dtype_is_a_fault(monkeypatch):
    results = stages(NETWORK, ROWS)
    results[1] = results[1][:, :5]
    report = compare(NETWORK, ROWS, {"narrow": results})
    assert report.verdict.endswith("shape (30, 5) instead of (30, 16)")
    assert report.candidates["narrow"].stages[1].largest_share == math.inf
    tanh = ACTIVATIONS["tanh"]
    wide = replace(tanh, function=lambda z, _: np.tanh(z.astype(np.float64)), in_place=None)
    monkeypatch.setattr("xpnet.networks.dense.ACTIVATIONS", {**ACTIVATIONS, "tanh": wide})
    found = compared(NETWORK, ROWS, random_network())
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


def to_tf32(x):
    digits, exponent = np.frexp(x)
    return np.ldexp(np.rint(digits * 2**11) / 2**11, exponent).astype(F32)


def float16_sums(y, weight):
    parts = (y[:, i : i + 4] @ weight[i : i + 4] for i in range(0, len(weight), 4))
    return sum(parts, np.zeros(1, np.float16)).astype(np.float16).astype(F32)


def with_rule(name, wrong):
    return {"activations": {**ACTIVATIONS, name: lambda z, *_, **__: wrong(z)}}


def changed(network, **changes):
    """Return a network with changed parameters of its last layer and its only step."""

    def with_changes(part):
        new = {name: f(getattr(part, name)) for name, f in changes.items() if hasattr(part, name)}
        return replace(part, **new)

    *layers, last = network.layers
    steps = tuple(map(with_changes, network.preprocessing))
    return replace(network, layers=(*layers, with_changes(last)), preprocessing=steps)


def stale(weight):
    random = np.random.default_rng(0).uniform(-1.0, 1.0, weight.shape)
    return weight * (1.0 + 2.0**-12 * random).astype(F32)


FAULTS = {
    "TF32": {"dot": lambda y, weight: to_tf32(y) @ to_tf32(weight)},
    "float16 sums": {"dot": float16_sums},
    "transposed": {"dot": lambda y, w: y @ (w.T if w.shape[0] == w.shape[1] else w)},
    "sigmoid of 10 bits": with_rule("sigmoid", lambda z: to_tf32(xpnet.sigmoid(z))),
    "tanh for sigmoid": with_rule("sigmoid", xpnet.tanh),
    "leaky_relu for relu": with_rule("relu", xpnet.leaky_relu),
    "silu for gelu": with_rule("gelu", xpnet.silu),
    "tanh form of gelu": with_rule("gelu", lambda z: xpnet.gelu(z, approximate="tanh")),
}
# Faults of the parameters of the last layer, or of the preprocessing.
STALE = {
    "a unit": {"weight": lambda w: w[:, [0, 2, *range(2, w.shape[1])]]},
    "a weight": {"weight": lambda w: w * (1.0 + 0.1 * (w == w[3, 4])).astype(F32)},
    "stale weights": {"weight": stale},
    "bias": {"bias": lambda bias: np.roll(bias, 1)},
    "mean": {"mean": lambda x: x.astype(np.float16).astype(F32)},
    "matrix": {"matrix": lambda x: x.astype(np.float16).astype(F32)},
}


@pytest.mark.parametrize("fault", [*FAULTS, *STALE])
@pytest.mark.parametrize("confidence", [1.0 - 1e-6, 1.0], ids=["probabilistic", "worst case"])
def test_faults_are_caught(fault, confidence):
    rng = np.random.default_rng(0)
    step = xpnet.Whiten(rng.uniform(20, 90, 20), np.eye(20) / 64 + rng.normal(size=(20, 20)) / 512)
    names = ["sigmoid", "relu", "gelu", "identity"]
    network = random_network((20, 16, 16, 10, 5), names, preprocessing=step)
    rows = rng.uniform(0, 255, (200, 20)).astype(F32)
    there = changed(network, **STALE.get(fault, {}))
    wrong = stages_with(there, rows, **FAULTS.get(fault, {}))
    for results, is_wrong in ((stages_with(network, rows), False), (wrong, True)):
        found = compared(network, rows, results, confidence=confidence)
        # Not only in a layer by itself.
        assert any(stage.share > 1.0 for stage in found.stages) == is_wrong
        assert (found.first_out is not None) == is_wrong


NAN_RULES = {
    "relu(NaN) = 0": ("relu", math.nan, lambda z: np.where(z > 0, z, F32(0.0))),
    "relu(-inf) = NaN": ("relu", -math.inf, lambda z: z * (z > 0)),
    "clip eats NaN": ("hard_tanh", math.nan, lambda z: np.fmin(np.fmax(z, F32(-1.0)), F32(1.0))),
    "sigmoid(NaN) = 1/2": ("sigmoid", math.nan, lambda z: xpnet.sigmoid(np.nan_to_num(z))),
}


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize(("activation", "value", "wrong"), NAN_RULES.values(), ids=NAN_RULES)
def test_wrong_nan_rules_are_caught(activation, value, wrong):
    network, rows = random_network(activations=[activation, "identity"]), random_rows()
    rows[3, 7] = value
    assert compared(network, rows, stages_with(network, rows)).first_out is None
    eaten = stages_with(network, rows, **with_rule(activation, wrong))
    report = compare(network, rows, {"it": eaten})
    assert "NaN or infinity on one side, first in row 3, unit " in report.verdict
    stage = report.candidates["it"].stages[1]
    assert (stage.difference, stage.ulp, stage.place[0]) == (math.inf, math.inf, 3)


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_faults_of_one_parameter_are_caught_by_their_effect(kind, subtests):
    right = error_bound(NETWORK, ROWS).stages
    for exponent in range(1, 21):
        values = getattr(NETWORK.layers[0], kind).copy()
        values.flat[5] *= F32(1.0 + 2.0**-exponent)
        faulty = with_layer(NETWORK, 0, **{kind: values})
        found = compared(NETWORK, ROWS, faulty)
        # The effect of the fault in float64, as a share of the bounds of both networks.
        pairs = zip(error_bound(faulty, ROWS).stages, right, strict=True)
        _, *layers = [np.abs(x.values - y.values) / (x.bound + y.bound + 1e-300) for x, y in pairs]
        effect = max(map(np.max, layers))
        with subtests.test(exponent=exponent):
            assert (found.first_out is not None) or effect <= 1.0
            assert (found.first_out is None) or effect >= 0.25


SOFT = random_network(activations=["softplus", "identity"], preprocessing=xpnet.Scale(0.1))
EXACT, MANY = xpnet.reproducible(SOFT), random_rows(700)


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
