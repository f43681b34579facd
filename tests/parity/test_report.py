"""compare: correct and faulty computations, and predictions that could differ."""

import math
from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

import xpnet
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS
from xpnet.parity.bounds.error_bound import error_bound
from xpnet.parity.candidates import stage_results
from xpnet.parity.report import Report, compare
from xpnet.parity.stage_statistics import Agreement, StageAgreement

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


def test_every_backend_is_in_bound(xp_backend):
    network, rows = random_network(activations=["gelu", "softmax"]), random_rows()
    report = compare(network, rows, {"candidate": network.map_arrays(xp_backend.make)})
    stages_of = report.candidates["candidate"].stages
    assert report.is_in_bound
    assert [stage.name for stage in stages_of] == [
        "preprocessing",
        "layer 1, gelu",
        "layer 2, softmax",
    ]
    assert [stage.n_results for stage in stages_of] == [600, 480, 300]
    assert [stage.fault for stage in stages_of] == ["", "", ""]
    assert 0.0 < stages_of[1].share < 1.0
    assert 0.0 < stages_of[1].ulp < 100.0


def test_a_report_has_rows_dtype_and_confidence():
    network, rows = random_network(), random_rows()
    report = compare(network, rows, {"self": network}, confidence=0.9)
    assert (report.n_rows, report.dtype, report.confidence) == (30, "float32", 0.9)
    assert (list(report.candidates), report.n_disagree, report.is_in_bound) == (["self"], 0, True)
    assert compare(network, rows, {"self": network}, worst_case=True).confidence == 1.0


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


def test_a_result_is_out_only_beyond_its_bound():
    network, rows = random_network(), random_rows()
    last = error_bound(network, rows, worst_case=True).stages[2]
    for share, n_out in ((0.99, 0), (1.01, 300)):
        moved = [*stages(network, rows)[:2], last.values + share * last.bound]
        report = compare(network, rows, {"moved": moved}, worst_case=True)
        stage = report.candidates["moved"].stages[2]
        assert stage.share == pytest.approx(share, rel=1e-6)
        assert stage.n_out == n_out


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


def test_where_nothing_has_a_bound_nothing_is_in_bound():
    network = xpnet.Network([xpnet.Dense(np.asarray([[1.0], [-1.0]], F32), [0.0], "step")])
    report = compare(network, np.full((3, 2), 0.1, F32), {"self": network})
    assert report.candidates["self"].first_out is None
    assert not report.candidates["self"].is_judged
    assert report.candidates["self"].stages[1].largest_share is None
    assert not report.is_in_bound


def test_results_without_a_bound_are_counted_and_not_judged():
    network = xpnet.Network([xpnet.Dense(np.asarray([[1.0], [-1.0]], F32), [0.0], "step")])
    rows = np.asarray([[0.1, 0.1], [0.2, 0.1]], F32)
    results = [rows, np.asarray([[1.0], [1.0]], F32)]
    stage = compare(network, rows, {"wrong": results}).candidates["wrong"].stages[1]
    assert (stage.n_unbounded, stage.n_out, stage.difference) == (1, 0, 0.0)


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


def test_rows_without_a_bound_could_differ():
    step = xpnet.Dense(np.asarray([[1.0, 1.0], [-1.0, 1.0]], F32), np.zeros(2, F32), "step")
    rows = np.asarray([[0.1, 0.1], [0.2, 0.3]], F32)
    network = xpnet.Network([step])
    assert compare(network, rows, {"self": network}).n_could_differ == 1


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


def test_float64_is_compared_with_twice_the_bound():
    network = random_network()
    layers = [
        xpnet.Dense(layer.weight.astype(float), layer.bias.astype(float), layer.activation)
        for layer in network.layers
    ]
    network, rows = xpnet.Network(layers), random_rows().astype(float)
    last = error_bound(network, rows).stages[-1]
    for share, n_out in ((1.9, 0), (2.1, 300)):
        moved = [*stages(network, rows)[:2], last.values + share * last.bound]
        assert compare(network, rows, {"moved": moved}).candidates["moved"].stages[2].n_out == n_out


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
    order = np.random.default_rng(2).permutation(16)
    first, second = network.layers
    mixed = with_layer(network, 0, weight=first.weight[:, order], bias=first.bias[order])
    mixed = with_layer(mixed, 1, weight=second.weight[order])
    report = compare(network, rows, {"longer": longer, "mixed": mixed}, outputs_only=True)
    for agreement in report.candidates.values():
        assert [stage.name for stage in agreement.stages] == ["layer 2, identity"]
    assert report.is_in_bound
    assert compare(network, rows, {"mixed": mixed}).candidates["mixed"].first_out == "layer 1, relu"


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


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (random_network((21, 16, 10)), "n_in 20, as the network; got 21"),
        (random_network((20, 16, 9)), "n_out 10, as the network; got 9"),
        (random_network(output="values"), "output logits, as the network; got values"),
        (
            random_network(classes=range(10, 20)),
            r"classes \[0, 1, .*, 9\], as .* got \[10, .*, 19\]",
        ),
        (
            random_network((20, 17, 10)),
            r"layers as wide as \[16, 10\], as the network \(outputs_only=.*\); got \[17, 10\]",
        ),
        (
            [np.zeros((30, n)) for n in (20, 16)],
            r"3 stages of 30 rows; got the shapes \[\(30, 20\), \(30, 16\)\]",
        ),
        (
            [np.zeros((31, n)) for n in (20, 16, 10)],
            r"3 stages of 30 rows; got the shapes \[\(31, 20\), \(31, 16\), \(31, 10\)\]",
        ),
    ],
)
def test_candidates_must_fit(candidate, message):
    with pytest.raises(ValueError, match=f"^`candidates` must have {message}$"):
        compare(random_network(), random_rows(), {"other": candidate})


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([random_network()], "be a mapping of names to networks or stages; got list"),
        ({"other": "cpu"}, "be networks or sequences of arrays; got str"),
        ({"other": 3}, "be networks or sequences of arrays; got int"),
        ({"other": [[1.0], [2.0], [3.0]]}, "hold NumPy arrays as stages; got list"),
    ],
)
def test_candidates_must_be_networks_or_stages(candidates, message):
    with pytest.raises(TypeError, match=f"^`candidates` must {message}$"):
        compare(random_network(), random_rows(), candidates)


@pytest.mark.parametrize(("n_rows", "n_candidates"), [(0, 1), (3, 0)])
def test_empty_arguments_are_rejected(n_rows, n_candidates):
    network = random_network()
    message = f"^`x` and `candidates` must not be empty; got {n_rows} rows and {n_candidates}$"
    with pytest.raises(ValueError, match=message):
        compare(network, random_rows(n_rows), dict.fromkeys(["self"][:n_candidates], network))


def test_stages_of_another_shape_are_a_fault():
    network, rows = random_network(), random_rows()
    results = stages(network, rows)
    results[1] = results[1][:, :5]
    found = compare(network, rows, {"narrow": results}).candidates["narrow"]
    assert found.first_out == "layer 1, sigmoid"
    assert found.stages[1].fault == "shape (30, 5) instead of (30, 16)"
    assert (found.stages[1].n_results, found.stages[1].largest_share) == (0, math.inf)


def test_recorded_stages_are_judged_as_the_network_itself(xp_backend):
    network, rows = random_network(), random_rows(700)
    moved = network.map_arrays(xp_backend.make)
    recorded = stage_results(moved, rows)
    found = compare(network, rows, {"recorded": recorded, "live": moved}).candidates
    for stage, other in zip(found["recorded"].stages, found["live"].stages, strict=True):
        assert stage.n_results == other.n_results
        assert stage.is_in_bound
        assert other.is_in_bound


def test_progress_is_called_with_all_rows():
    counts = []
    network = random_network()
    compare(network, random_rows(1300), {"self": network}, progress=counts.append)
    assert sum(counts) == 1300
    assert len(counts) > 1


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


def test_a_result_of_another_library_is_a_fault(xp_backend):
    network = random_network().map_arrays(xp_backend.make)
    with changing(to_numpy):
        found = compare(random_network(), random_rows(), {"host": network}).candidates["host"]
    is_numpy = xp_backend.library == "numpy"
    expected = "" if is_numpy else f"library numpy instead of {network.library}"
    assert found.stages[2].fault == expected


def test_a_result_on_another_device_is_a_fault():
    strict = pytest.importorskip("array_api_strict")
    layers = [
        replace(
            layer,
            weight=strict.asarray(layer.weight, device=strict.Device("device1")),
            bias=strict.asarray(layer.bias, device=strict.Device("device1")),
        )
        for layer in random_network().layers
    ]
    host = strict.Device("CPU_DEVICE")
    with changing(lambda y: y.to_device(host)):
        candidates = {"there": xpnet.Network(layers)}
        found = compare(random_network(), random_rows(), candidates).candidates["there"]
    assert found.first_out == "layer 2, tanh"
    assert found.stages[2].fault == f"device {host} instead of {strict.Device('device1')}"


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
    "tanh for sigmoid": {"activations": with_swap("sigmoid", "tanh")},
    "leaky_relu for relu": {"activations": with_swap("relu", "leaky_relu")},
    "silu for gelu": {"activations": with_rule("gelu", xpnet.silu)},
    "tanh form of gelu": {
        "activations": with_rule("gelu", lambda z: xpnet.gelu(z, approximate="tanh"))
    },
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("worst_case", [False, True], ids=["probabilistic", "worst case"])
def test_faulty_computations_are_caught(fault, worst_case):
    network = random_network((20, 16, 16, 10, 5), ["sigmoid", "relu", "gelu", "identity"])
    rows = random_rows()
    candidates = {
        "right": stages_with(network, rows, np.matmul),
        "wrong": stages_with(network, rows, **({"dot": np.matmul} | fault)),
    }
    report = compare(network, rows, candidates, worst_case=worst_case)
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


def report_of(share, *, fault="", n_unbounded=0, n_differ=2, **options):
    stage = StageAgreement(
        "layer 1, relu", 9, 0.1, 2.0, share, (0, 0), share > 1, n_unbounded, fault
    )
    found = {"cpu": Agreement((stage,), n_differ, 0)}
    return Report(
        **{
            "n_rows": 3,
            "dtype": "float32",
            "confidence": 0.9,
            "n_could_differ": 0,
            "n_disagree": 0,
            "candidates": found,
            **options,
        }
    )


PLACE = "first in layer 1, relu of cpu"
LITTLE = f"OUT OF BOUND by little, {PLACE}: up to 2.5 times the bound; with many equal terms"
ERROR = f"OUT OF BOUND, an error rather than rounding, {PLACE}"


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        (report_of(0.123), "in bound: differences are rounding, up to 0.123 of the bound"),
        (report_of(2.5), f"{LITTLE} or units, --worst-case is the fair bound"),
        (report_of(2.5, confidence=1.0), f"{ERROR}: up to 2.5 times the bound"),
        (report_of(1234.5), f"{ERROR}: up to 1,234.5 times the bound"),
        (report_of(1.5e30), f"{ERROR}: up to 1.5e+30 times the bound"),
        (report_of(np.inf), f"{ERROR}: NaN or infinity on one side"),
        (report_of(0.0, fault="dtype float64"), f"{ERROR}: dtype float64"),
        (
            report_of(0.0, n_unbounded=9, n_differ=None),
            "NOT JUDGED: no bound for 9 of 9 outputs (100.0%)",
        ),
    ],
)
def test_the_verdict_in_words(report, verdict):
    assert report.verdict == verdict
    assert str(report) == f"Report(3 rows, float32: {verdict})"


def test_a_candidate_in_a_line():
    (found,) = report_of(2.5).candidates.values()
    assert str(found) == "Agreement(up to 2.5 of bound; 2 predictions differ)"
    (found,) = report_of(0.0, n_unbounded=9).candidates.values()
    assert str(replace(found, n_differ=None)) == "Agreement(not judged)"
