"""compare: correct and faulty computations, and predictions that could differ."""

import math
from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.parity.bounds.error_bound import error_bound
from xpnet.parity.candidates import stage_results
from xpnet.parity.report import compare

F32 = np.float32
PAIR = ["sigmoid", "tanh"]


def random_network(widths=(20, 16, 10), activations=PAIR, *, seed=0, **options):
    rng = np.random.default_rng(seed)
    layers = [
        xpnet.Dense(
            rng.normal(0.0, n_in**-0.5, (n_in, n_out)).astype(F32),
            rng.normal(0.0, 0.1, n_out).astype(F32),
            activation,
        )
        for n_in, n_out, activation in zip(widths, widths[1:], activations, strict=False)
    ]
    return xpnet.Network(layers, **options)


def random_rows(n=30, width=20, seed=1):
    return np.random.default_rng(seed).normal(size=(n, width)).astype(F32)


def logits_network(outputs):
    """Return a network and rows that give these logits, exactly."""
    outputs = np.asarray(outputs, F32)
    n = outputs.shape[1]
    return xpnet.Network([xpnet.Dense(np.eye(n, dtype=F32), np.zeros(n, F32))]), outputs


def stages(network, rows):
    return [np.array(y) for y in stage_results(network, rows)]


def stages_with(network, rows, dot, activations=ACTIVATIONS):
    """Return the stages with another matrix product, or with other activations."""
    y, found = rows, [rows]
    for layer in network.layers:
        z = dot(y, layer.weight) + layer.bias
        y = activations[layer.activation](z, np, **layer.options).astype(F32)
        found.append(y)
    return found


def with_layer(network, i, **changes):
    layer = replace(network.layers[i], **changes)
    return replace(network, layers=(*network.layers[:i], layer, *network.layers[i + 1 :]))


def test_every_backend_is_in_bound_live_and_recorded(xp_backend):
    network, rows = random_network(activations=["gelu", "softmax"]), random_rows()
    moved = network.map_arrays(xp_backend.make)
    candidates = {"live": moved, "recorded": stage_results(moved, rows)}
    report = compare(network, rows, candidates, confidence=0.9)
    assert (report.n_rows, report.dtype, report.confidence) == (30, "float32", 0.9)
    assert (list(report.candidates), report.n_disagree, report.is_in_bound) == (
        ["live", "recorded"],
        0,
        True,
    )
    for found in report.candidates.values():
        names = [stage.name for stage in found.stages]
        assert names == ["preprocessing", "layer 1, gelu", "layer 2, softmax"]
        assert [stage.n_results for stage in found.stages] == [600, 480, 300]
        assert [stage.alone is None for stage in found.stages] == [True, False, False]
        assert 0.0 < found.stages[1].share < 1.0
        assert 0.0 < found.stages[1].ulp < 100.0


def test_the_first_stage_out_of_bound_is_named_with_its_place():
    network, rows = random_network((20, 16, 12, 10), ["relu"] * 3), random_rows(1000)
    wrong = stages(network, rows)
    wrong[2][700, 5] += F32(0.25)
    wrong[3][3, 2:4] += F32(0.5)
    report = compare(network, rows, {"right": network, "wrong": wrong})
    agreement = report.candidates["wrong"]
    assert report.candidates["right"].first_out is None
    assert not report.is_in_bound
    assert agreement.first_out == "layer 2, relu"
    assert [stage.is_in_bound for stage in agreement.stages] == [True, True, False, False]
    assert [stage.n_out for stage in agreement.stages] == [0, 0, 1, 2]
    found = agreement.stages[2]
    assert found.place == (700, 5)
    assert found.difference == pytest.approx(0.25, abs=1e-5)
    value = error_bound(network, rows).stages[2].values[700, 5]
    assert found.ulp == pytest.approx(0.25 / 2.0 ** (math.floor(math.log2(value)) - 23), rel=1e-4)
    assert found.share > 1e4


@pytest.mark.parametrize(
    ("dtype", "limit", "error"), [("float32", 1.0, 1e-6), ("float64", 2.0, 0.01)]
)
def test_a_result_is_out_only_beyond_its_bound(dtype, limit, error):
    network, rows = random_network().astype(dtype), random_rows().astype(dtype)
    last = error_bound(network, rows, confidence=1.0).stages[2]
    for share, n_out in ((0.98, 0), (1.02, 300)):
        moved = [*stages(network, rows)[:2], last.values + limit * share * last.bound]
        report = compare(network, rows, {"moved": moved}, confidence=1.0)
        stage = report.candidates["moved"].stages[2]
        assert stage.share == pytest.approx(share, rel=error)
        assert (stage.n_out, report.confidence) == (n_out, 1.0)


def test_a_fault_is_found_in_its_own_layer_however_deep():
    # After the first layer, whose terms cancel, the bounds are wide.
    rng = np.random.default_rng(0)
    half = 1e3 * rng.normal(size=(50, 4)).astype(F32)
    first = xpnet.Dense(np.concatenate([half, -half]), np.ones(4, F32))
    layers = [xpnet.Dense(rng.normal(size=(4, 4)).astype(F32), np.ones(4, F32)) for _ in range(3)]
    network, x = xpnet.Network([first, *layers]), rng.normal(size=(20, 50)).astype(F32)
    rows = np.concatenate([x, x], axis=1)
    wrong = stages(with_layer(network, 3, bias=np.full(4, 1.0 + 2.0**-12, F32)), rows)
    found = compare(network, rows, {"right": network, "wrong": wrong}).candidates
    assert found["right"].first_out is None
    assert found["wrong"].first_out == "layer 4, identity"
    last = found["wrong"].stages[4]
    assert (last.n_out, last.alone.n_out) == (0, 80)
    assert last.share < 1.0 < last.alone.share == last.largest_share
    assert [stage.alone is None for stage in found["wrong"].stages] == [True] + 4 * [False]


def near_a_step(output):
    """Return a network with a step and rows, the last two near the step."""
    step = xpnet.Dense(np.ones((1, 1), F32), np.zeros(1, F32), "step")
    turned = xpnet.Dense(np.asarray([[-1.0, 1.0]], F32), np.asarray([0.5, 0.0], F32))
    network = xpnet.Network([step, turned], output=output)
    return network, np.asarray([[1], [-1], [1e-40], [0]], F32)


@pytest.mark.parametrize(
    ("output", "place", "n_differ", "verdict"),
    [
        ("logits", None, 0, "in bound: "),
        ("logits", 1, 1, "OUT OF BOUND, first in layer 2, identity of it: "),
        ("logits", 2, 1, "NOT JUDGED: no bound for 2 of 8 outputs (25.0%); of their "),
        ("values", None, None, "NOT JUDGED: no bound for 2 of 8 outputs (25.0%)"),
    ],
)
def test_what_has_no_bound_is_not_judged(output, place, n_differ, verdict):
    network, rows = near_a_step(output)
    outputs = network(rows)
    if place is not None:  # another class
        outputs[place] = outputs[place, ::-1]
    report = compare(network, rows, {"it": [outputs]})
    found = report.candidates["it"]
    assert (report.verdict.startswith(verdict), found.n_differ) == (True, n_differ)
    assert report.is_in_bound == verdict.startswith("in bound")
    assert found.stages[0].n_unbounded == 2


def test_where_nothing_has_a_bound_nothing_is_in_bound():
    network, rows = near_a_step("logits")
    report = compare(network, rows[2:3], {"it": network})
    assert report.candidates["it"].first_out is None
    assert report.candidates["it"].stages[1].largest_share is None
    assert (report.is_in_bound, report.n_could_differ) == (False, 1)


def test_near_ties_could_differ_and_others_cannot():
    gap = 12 * 2.0**-23  # the bounds of results near 1 are some 8 ULP: both must move
    network, rows = logits_network(
        [[1.0, 0.5, 0.0], [1.0, 1.0 + gap, 0.0], [0.0, 1.0, 1.0], [1.0, 1.001, 0.0]]
    )
    report = compare(network, rows, {"self": network})
    assert report.n_could_differ == 2
    moved = 7 * 2.0**-23 * np.asarray([[0, 0, 0], [1, -1, 0], [0, -1, 1], [0, 0, 0]], F32)
    flipped = [rows, rows + moved]
    report = compare(network, rows, {"self": network, "flipped": flipped})
    assert report.is_in_bound
    assert report.n_disagree == 2
    assert [agreement.n_differ for agreement in report.candidates.values()] == [0, 2]


@pytest.mark.parametrize(
    ("output", "activation", "rows"),
    [
        ("logits", "identity", [[0.0], [1e-8], [-1e-3], [2.0]]),
        ("probabilities", "identity", [[0.5], [0.5 + 1e-8], [0.4], [0.9]]),
    ],
)
def test_one_unit_separates_two_classes(output, activation, rows):
    layer = xpnet.Dense(np.ones((1, 1), F32), np.asarray([1.0], F32), activation)
    rows = np.asarray(rows) - 1.0  # cancels the bias, so that the bounds are those of 1
    network = xpnet.Network([layer], output=output)
    assert compare(network, rows, {"self": network}).n_could_differ == 2


def test_a_regression_has_no_predictions():
    network = random_network(output="values")
    report = compare(network, random_rows(), {"self": network})
    assert (report.n_could_differ, report.n_disagree) == (None, None)
    assert report.candidates["self"].n_differ is None
    assert report.is_in_bound


def test_a_folded_scale_is_in_bound_without_its_first_stage():
    network = random_network(preprocessing=xpnet.Scale(1 / 255))
    rows = np.random.default_rng(0).integers(0, 256, (50, 20), dtype=np.uint8)
    weight = network.layers[0].weight * F32(1 / 255)
    folded = replace(with_layer(network, 0, weight=weight), preprocessing=())
    report = compare(network, rows, {"folded": folded})
    names = [stage.name for stage in report.candidates["folded"].stages]
    assert names == ["layer 1, sigmoid", "layer 2, tanh"]
    assert report.is_in_bound
    forgotten = replace(network, preprocessing=())
    assert not compare(network, rows, {"forgotten": forgotten}).is_in_bound


def test_networks_of_other_layers_are_compared_by_their_outputs():
    network, rows = random_network(activations=["relu", "identity"]), random_rows()
    unit = xpnet.Dense(np.eye(10, dtype=F32), np.zeros(10, F32))
    longer = replace(network, layers=(*network.layers, unit))
    first, second = network.layers
    order = np.random.default_rng(2).permutation(16)
    mixed = with_layer(network, 0, weight=first.weight[:, order], bias=first.bias[order])
    mixed = with_layer(mixed, 1, weight=second.weight[order])
    outputs = {"longer": longer, "mixed": [stage_results(mixed, rows)[-1]]}
    report = compare(network, rows, outputs)
    for agreement in report.candidates.values():
        assert [stage.name for stage in agreement.stages] == ["layer 2, identity"]
    assert report.is_in_bound
    assert compare(network, rows, {"mixed": mixed}).candidates["mixed"].first_out == "layer 1, relu"
    wrong = with_layer(longer, 2, bias=np.full(10, 1e-3, F32))
    assert not compare(network, rows, {"wrong": wrong}).is_in_bound


@pytest.mark.parametrize("kind", [xpnet.reproducible, lambda x: x], ids=["bits", "bounds"])
def test_outputs_alone(kind):
    network, rows = kind(random_network()), random_rows()
    outputs = stage_results(network, rows)[-1]
    wrong = outputs.copy()
    wrong[7, 3] += 1.0
    report = compare(network, rows, {"right": [outputs], "wrong": [wrong]})
    for agreement in report.candidates.values():
        assert [stage.name for stage in agreement.stages] == ["layer 2, tanh"]
    assert report.candidates["right"].first_out is None
    assert report.candidates["wrong"].first_out == "layer 2, tanh"
    assert report.candidates["wrong"].stages[0].place == (7, 3)


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
        (ValueError, "empty", 0, {"it": random_network()}),
        (ValueError, "empty", 30, {}),
        (TypeError, "mapping", 30, [random_network()]),
        (TypeError, "str", 30, {"it": "cpu"}),
        (TypeError, "NumPy", 30, {"it": [[1.0], [2.0], [3.0]]}),
    ],
)
def test_candidates_that_do_not_fit(error, word, n_rows, candidates):
    with pytest.raises(error, match=word):
        compare(random_network(), random_rows(n_rows), candidates)


@pytest.mark.parametrize("confidence", [0.0, 1.5])
def test_a_confidence_is_a_probability(confidence):
    with pytest.raises(ValueError, match="confidence"):
        compare(random_network(), random_rows(), {"it": RECORDED}, confidence=confidence)


def test_stages_of_another_shape_are_a_fault():
    network, rows = random_network(), random_rows()
    results = stages(network, rows)
    results[1] = results[1][:, :5]
    report = compare(network, rows, {"narrow": results})
    found = report.candidates["narrow"]
    assert found.first_out == "layer 1, sigmoid"
    assert (found.stages[1].n_results, found.stages[1].largest_share) == (0, math.inf)
    assert report.verdict.endswith("shape (30, 5) instead of (30, 16)")


def test_absolute_errors_are_allowed_to_one_candidate():
    layer = xpnet.Dense(np.eye(3, dtype=F32), np.full(3, -20.0, F32), "sigmoid")
    network = xpnet.Network([layer, xpnet.Dense(np.eye(3, dtype=F32), np.zeros(3, F32))])
    rows = np.zeros((4, 3), F32)
    near, far = (network(rows) + F32(error) for error in (1.5e-7, 1e-5))  # true: 2e-9
    candidates = {"near": [near], "strict": [near], "far": [far]}
    found = compare(network, rows, candidates, absolute_errors={"near": 4.0, "far": 4.0}).candidates
    assert 0.1 < found["near"].stages[0].share < 1.0
    assert found["strict"].stages[0].share > 2.0
    assert found["far"].stages[0].share > 2.0


@contextmanager
def changing(change):
    """Change the results of tanh, except in the float64 reference."""
    tanh = ACTIVATIONS["tanh"]

    def changed(z, xp):
        y = tanh.function(z, xp)
        return y if str(z.dtype).endswith("float64") else change(y)

    table = {**ACTIVATIONS, "tanh": replace(tanh, function=changed, in_place=None)}
    with mock.patch("xpnet.networks.dense.ACTIVATIONS", table):
        yield


def test_a_result_of_another_dtype_is_a_fault():
    network = random_network()
    with changing(lambda y: y.astype(np.float64)):
        found = compare(network, random_rows(), {"wide": network}).candidates["wide"]
    assert found.first_out == "layer 2, tanh"
    assert found.stages[2].fault == "dtype float64 instead of float32"
    assert found.stages[2].n_out == 0


def to_tf32(x):
    digits, exponent = np.frexp(x)
    return np.ldexp(np.rint(digits * 2**11) / 2**11, exponent).astype(F32)


def float16_sums(y, weight):
    total = np.zeros((len(y), weight.shape[1]), np.float16)
    for start in range(0, len(weight), 4):
        total = (total + y[:, start : start + 4] @ weight[start : start + 4]).astype(np.float16)
    return total.astype(F32)


def with_swap(name, other):
    return {**ACTIVATIONS, name: ACTIVATIONS[other]}


def with_rule(name, wrong):
    return {**ACTIVATIONS, name: lambda z, *_, **__: wrong(z)}


FAULTS = {
    "TF32": {"dot": lambda y, weight: to_tf32(y) @ to_tf32(weight)},
    "float16 accumulation": {"dot": float16_sums},
    "transposed": {"dot": lambda y, w: y @ (w.T if w.shape[0] == w.shape[1] else w)},
    "sigmoid of 10 bits": {
        "activations": with_rule("sigmoid", lambda z: to_tf32(xpnet.sigmoid(z)))
    },
    "tanh for sigmoid": {"activations": with_swap("sigmoid", "tanh")},
    "leaky_relu for relu": {"activations": with_swap("relu", "leaky_relu")},
    "silu for gelu": {"activations": with_rule("gelu", xpnet.silu)},
    "tanh form of gelu": {
        "activations": with_rule("gelu", lambda z: xpnet.gelu(z, approximate="tanh"))
    },
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("confidence", [1.0 - 1e-6, 1.0], ids=["probabilistic", "worst case"])
def test_faulty_computations_are_caught(fault, confidence):
    network = random_network((20, 16, 16, 10, 5), ["sigmoid", "relu", "gelu", "identity"])
    rows = random_rows()
    candidates = {
        "right": stages_with(network, rows, np.matmul),
        "wrong": stages_with(network, rows, **({"dot": np.matmul} | fault)),
    }
    report = compare(network, rows, candidates, confidence=confidence)
    assert report.candidates["right"].first_out is None
    assert report.candidates["wrong"].first_out is not None


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
    right = stages_with(network, rows, np.matmul)
    eaten = stages_with(network, rows, np.matmul, with_rule(activation, wrong))
    report = compare(network, rows, {"right": right, "eaten": eaten})
    assert report.candidates["right"].first_out is None
    found = report.candidates["eaten"]
    assert found.first_out == f"layer 1, {activation}"
    assert (found.stages[1].difference, found.stages[1].ulp) == (math.inf, math.inf)
    assert found.stages[1].place[0] == 3


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_faults_of_one_parameter_are_caught_by_their_effect(kind, subtests):
    network, rows = random_network(), random_rows()
    right = error_bound(network, rows).stages
    for exponent in range(1, 21):
        values = getattr(network.layers[0], kind).copy()
        values.flat[5] *= F32(1.0 + 2.0**-exponent)
        faulty = with_layer(network, 0, **{kind: values})
        found = compare(network, rows, {"faulty": faulty}).candidates["faulty"]
        # The effect of the fault in float64, as a share of the bounds of both networks.
        pairs = zip(error_bound(faulty, rows).stages, right, strict=True)
        _, *layers = [np.abs(x.values - y.values) / (x.bound + y.bound + 1e-300) for x, y in pairs]
        effect = max(map(np.max, layers))
        with subtests.test(exponent=exponent):
            assert (found.first_out is not None) or effect <= 1.0
            assert (found.first_out is None) or effect >= 0.25


def test_the_verdict_says_where_and_how_far():
    network, rows = random_network(), random_rows()
    right, wrong, infinite = (stages(network, rows) for _ in range(3))
    wrong[1][7, 3] += F32(0.5)
    infinite[2][4, 9] = np.inf
    verdicts = {
        "in bound: differences are rounding, up to 0.": right,
        "OUT OF BOUND, first in layer 1, sigmoid of it: up to ": wrong,
        "OUT OF BOUND, first in layer 2, tanh of it: NaN or infinity ": infinite,
    }
    for verdict, results in verdicts.items():
        report = compare(network, rows, {"it": results})
        assert report.verdict.startswith(verdict)
        assert str(report) == f"Report(30 rows, float32: {report.verdict})"
    assert "row 4, unit 9 (1 of 300 results)" in report.verdict
    assert (
        "times the bound in row 7, unit 3 (1 of " in compare(network, rows, {"it": wrong}).verdict
    )
    assert str(report.candidates["it"]).startswith("Agreement(up to inf of bound; ")
