"""error_bound: kept by every correct computation, and infinite where no bound exists."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.parity.bounds.error_bound import StageBound, error_bound
from xpnet.parity.bounds.rounding import format_of
from xpnet.parity.candidates import stage_results
from xpnet.parity.stage_statistics import compare_stage

F32 = np.float32
MODES = pytest.mark.parametrize("worst_case", [False, True], ids=["probabilistic", "worst case"])


def random_layer(rng, n_in, n_out, activation="identity", dtype=F32, **options):
    weight = rng.normal(0.0, n_in**-0.5, (n_in, n_out)).astype(dtype)
    return xpnet.Dense(weight, rng.normal(0.0, 0.1, n_out).astype(dtype), activation, options)


def random_network(seed, widths, activations, dtype=F32, **options):
    rng = np.random.default_rng(seed)
    pairs = zip(widths, widths[1:], activations, strict=False)
    return xpnet.Network([random_layer(rng, *pair, dtype=dtype) for pair in pairs], **options)


def of_one_layer(weight, bias, activation="identity", **options):
    layer = xpnet.Dense(np.asarray(weight, F32), np.asarray(bias, F32), activation, options)
    return xpnet.Network([layer])


def in_order(network, rows, seed):
    """Return the stages, each sum added one by one in a random order."""
    rng = np.random.default_rng(seed)
    y = rows.astype(network.dtype)
    found = [y]
    for layer in network.layers:
        z = np.zeros((len(y), layer.n_out), network.dtype)
        for i in rng.permutation(layer.n_in):
            z += y[:, i, None] * layer.weight[i]
        y = ACTIVATIONS[layer.activation](z + layer.bias, np, **layer.options)
        found.append(y)
    return found


def largest_share(found, results):
    """Return the largest error as a share of its bound."""
    float32 = format_of(random_network(0, [1, 1], ["relu"]))
    return max(
        compare_stage(stage.name, result, stage.values, stage.bound, float32).share
        for stage, result in zip(found.stages, results, strict=True)
    )


def test_every_stage_has_values_and_bounds():
    network = random_network(0, [6, 5, 4], ["sigmoid", "softmax"], preprocessing=xpnet.Scale(0.5))
    x = np.random.default_rng(1).normal(size=(7, 6)).astype(F32)
    found = error_bound(network, x)
    names = ["preprocessing", "layer 1, sigmoid", "layer 2, softmax"]
    assert [stage.name for stage in found.stages] == names
    for stage, width in zip(found.stages, (6, 5, 4), strict=True):
        assert stage.values.shape == stage.bound.shape == (7, width)
        assert (stage.values.dtype, stage.bound.dtype) == (np.float64, np.float64)
        assert np.all(stage.bound > 0.0)
    assert (found.dtype, found.confidence) == ("float32", 1.0 - 1e-6)
    assert error_bound(network, x, worst_case=True).confidence == 1.0
    assert repr(found.stages[1]) == (
        "StageBound('layer 1, sigmoid', values and bound of shape (7, 5))"
    )


def test_the_true_values_are_those_of_float64():
    network = random_network(0, [6, 5, 4], ["sigmoid", "tanh"])
    x = np.random.default_rng(1).normal(size=(7, 6))
    layers = [
        xpnet.Dense(layer.weight.astype(float), layer.bias.astype(float), layer.activation)
        for layer in network.layers
    ]
    values = error_bound(network, x).stages[-1].values
    np.testing.assert_array_equal(values, xpnet.Network(layers)(x))


def test_images_are_taken_as_rows():
    network = random_network(0, [6, 4], ["relu"])
    images = np.random.default_rng(1).integers(0, 256, (5, 2, 3), dtype=np.uint8)
    bounds = [error_bound(network, x).stages[-1].bound for x in (images, images.reshape(5, 6))]
    np.testing.assert_array_equal(*bounds)


def test_without_rows_there_are_no_bounds():
    network = random_network(0, [6, 4], ["softmax"])
    found = error_bound(network, np.zeros((0, 6), F32))
    assert [stage.bound.shape for stage in found.stages] == [(0, 6), (0, 4)]


def test_rows_beyond_one_tile_have_their_own_bounds():
    network = random_network(0, [3, 4], ["tanh"])
    x = np.random.default_rng(1).normal(size=(1200, 3)).astype(F32)
    bound = error_bound(network, x, worst_case=True).stages[-1].bound
    alone = error_bound(network, x[1100:1101], worst_case=True).stages[-1].bound
    np.testing.assert_allclose(bound[1100:1101], alone, rtol=1e-6)


def test_every_library_has_the_same_bound(xp_backend):
    network = random_network(0, [6, 5, 4], ["gelu", "softmax"], preprocessing=xpnet.Scale(0.1))
    x = np.random.default_rng(1).normal(size=(3, 6)).astype(F32)
    expected = error_bound(network, x)
    found = error_bound(network.map_arrays(xp_backend.make), xp_backend.asarray(x))
    for stage, other in zip(expected.stages, found.stages, strict=True):
        assert type(other.bound) is np.ndarray
        np.testing.assert_array_equal(other.values, stage.values)
        np.testing.assert_array_equal(other.bound, stage.bound)


@pytest.mark.parametrize("network", ["sample", None])
def test_other_types_than_networks_are_rejected(network):
    message = f"^`network` must be a Network; got {type(network).__name__}$"
    with pytest.raises(TypeError, match=message):
        error_bound(network, np.zeros((1, 2)))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_parameters_must_be_finite(name, value):
    arrays = {"weight": np.ones((2, 2), F32), "bias": np.ones(2, F32)}
    arrays[name].flat[1] = value
    layers = [xpnet.Dense(np.ones((2, 2), F32), np.ones(2, F32)), xpnet.Dense(**arrays)]
    message = (
        f"^`network` must have finite parameters; got NaN or infinity in the {name} of layer 2$"
    )
    with pytest.raises(ValueError, match=message):
        error_bound(xpnet.Network(layers), np.zeros((1, 2), F32))


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, 1.5, math.nan])
def test_confidence_must_be_between_0_and_1(confidence):
    network = random_network(0, [2, 2], ["relu"])
    message = (
        rf"^`confidence` must be above 0 and below 1; got {confidence}\."
        r" For certainty, give worst_case=True$"
    )
    with pytest.raises(ValueError, match=message):
        error_bound(network, np.zeros((1, 2), F32), confidence=confidence)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((1, 2), complex), TypeError, "complex128"),
        (np.zeros((1, 3)), ValueError, r"2 .*\(1, 3\)"),
        ("pixels", TypeError, "str"),
    ],
)
def test_rows_must_be_real_numbers_that_fit(x, error, message):
    with pytest.raises(error, match=message):
        error_bound(random_network(0, [2, 2], ["relu"]), x)


@MODES
def test_every_order_of_summation_is_in_bound(worst_case, subtests):
    x = np.random.default_rng(4).normal(size=(20, 40)).astype(F32)
    for activation in sorted(ACTIVATIONS):
        with subtests.test(activation=activation):
            network = random_network(3, [40, 30, 20], [activation, "tanh"])
            found = error_bound(network, x, worst_case=worst_case)
            assert largest_share(found, stage_results(network, x)) <= 1.0
            for seed in range(3):
                assert largest_share(found, in_order(network, x, seed)) <= 1.0


WEIGHTS = st.floats(-8.0, 8.0, width=32)


@MODES
@given(data=st.data())
def test_small_networks_are_in_bound(worst_case, data):
    n_in, n_out = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 3))
    name = data.draw(st.sampled_from(sorted(ACTIVATIONS)))
    numbers = data.draw(st.lists(WEIGHTS, min_size=n_in * n_out, max_size=n_in * n_out))
    bias = data.draw(st.lists(WEIGHTS, min_size=n_out, max_size=n_out))
    row = data.draw(st.lists(st.floats(-1e4, 1e4, width=32), min_size=n_in, max_size=n_in))
    first = xpnet.Dense(np.asarray(numbers, F32).reshape(n_in, n_out), np.asarray(bias, F32), name)
    second = random_layer(np.random.default_rng(0), n_out, 2, "softsign")
    network, x = xpnet.Network([first, second]), np.asarray([row], F32)
    found = error_bound(network, x, worst_case=worst_case)
    with np.errstate(all="ignore"):
        results = in_order(network, x, data.draw(st.integers(0, 100)))
    assert largest_share(found, results) <= 1.0


@MODES
def test_errors_propagate_through_all_layers(worst_case):
    # The first layer's terms cancel: its errors are far larger than those of later layers.
    rng = np.random.default_rng(0)
    half = rng.normal(size=(500, 4)).astype(F32)
    first = xpnet.Dense(np.concatenate([half, -half]), np.full(4, 1e-3, F32), "identity")
    eye = xpnet.Dense(np.eye(4, dtype=F32), np.zeros(4, F32))
    network, x = xpnet.Network([first, eye, eye, eye]), rng.normal(size=(1, 500)).astype(F32)
    x = np.concatenate([x, x], axis=1)
    results = in_order(network, x, 1)
    found = error_bound(network, x, worst_case=worst_case)
    assert largest_share(found, results) <= 1.0
    errors = [np.max(np.abs(y - s.values)) for y, s in zip(results, found.stages, strict=True)]
    own = np.max(np.abs(found.stages[1].values)) * 2.0**-20
    assert min(errors[1:]) > 10.0 * own


@MODES
@pytest.mark.parametrize(
    ("dtype", "is_exact"),
    [
        ("bool", True),
        ("uint8", True),
        ("int16", True),
        ("float16", True),
        ("float32", True),
        ("int32", False),
        ("float64", False),
    ],
)
def test_inputs_are_exact_where_their_dtype_is(dtype, is_exact, worst_case):
    network = random_network(0, [6, 4], ["identity"])
    x = (100.0 * np.random.default_rng(1).normal(size=(5, 6))).astype(dtype)
    first, last = error_bound(network, x, worst_case=worst_case).stages
    assert np.any(first.bound) != is_exact
    as_float32 = error_bound(network, x.astype(F32), worst_case=worst_case).stages[-1]
    assert np.all(last.bound >= as_float32.bound)
    assert np.all(last.bound > as_float32.bound) != is_exact
    assert largest_share(error_bound(network, x), stage_results(network, x.astype(F32))) <= 1.0


@MODES
def test_products_may_be_flushed_to_zero(worst_case):
    # Each product is just below the smallest normal number, their sum is far above it.
    network = of_one_layer(np.full((300, 2), 1e-19), [0.0, 1e-39])
    x = np.full((1, 300), 1e-19, F32)
    found = error_bound(network, x, worst_case=worst_case)
    assert largest_share(found, [x, np.zeros((1, 2), F32)]) <= 1.0


def test_the_bound_is_tight():
    # The sample network: errors reach a tenth of the bound, and TF32 is out of it many times.
    network = xpnet.load("sample")
    x = xpnet.sample()[0].reshape(-1, 784)
    found = error_bound(network, x)
    assert 0.1 < largest_share(found, stage_results(network, x)) < 1.0
    certain = error_bound(network, x, worst_case=True)
    ratio = np.median(certain.stages[-1].bound / found.stages[-1].bound)
    assert 3.0 < ratio < 300.0


def test_sequential_sums_of_equal_terms_need_the_worst_case():
    # All additions err in the same direction, contrary to the probabilistic model.
    n = 20_000
    network, x = of_one_layer(np.ones((n, 1)), [0.0]), np.full((1, n), 0.1, F32)
    results = [x, np.cumsum(x, axis=1, dtype=F32)[:, -1:]]
    assert largest_share(error_bound(network, x), results) > 1.0
    assert largest_share(error_bound(network, x, worst_case=True), results) < 1.0


@MODES
def test_where_the_function_jumps_there_is_no_bound(worst_case):
    network = of_one_layer([[1.0, 1.0], [-1.0, 1.0]], [0.0, 0.0], "step")
    x = np.asarray([[0.1, 0.1], [0.1, 0.3]], F32)  # 0 and 0.2; -0.2 and 0.4
    bound = error_bound(network, x, worst_case=worst_case).stages[-1].bound
    np.testing.assert_array_equal(np.isinf(bound), [[True, False], [False, False]])
    assert np.all(bound[np.isfinite(bound)] < 1e-6)


@MODES
def test_zeros_are_exact_even_at_a_jump(worst_case):
    network = of_one_layer(np.ones((2, 1)), [0.0], "step")
    found = error_bound(network, np.zeros((1, 2), F32), worst_case=worst_case)
    assert largest_share(found, stage_results(network, np.zeros((1, 2), F32))) == 0.0
    assert found.stages[-1].bound[0, 0] < math.inf


@MODES
def test_a_row_without_a_bound_has_none_in_later_stages(worst_case):
    step = xpnet.Dense(np.asarray([[1.0], [-1.0]], F32), np.zeros(1, F32), "step")
    network = xpnet.Network([step, random_layer(np.random.default_rng(0), 1, 2, "tanh")])
    x = np.asarray([[0.1, 0.1], [0.1, 0.3]], F32)
    bound = error_bound(network, x, worst_case=worst_case).stages[-1].bound
    np.testing.assert_array_equal(np.isinf(bound), [[True, True], [False, False]])


@MODES
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_where_a_sum_may_overflow_there_is_no_bound(dtype, worst_case):
    large = float(np.finfo(dtype).max) * 0.9
    layer = xpnet.Dense(np.ones((3, 1), dtype), np.zeros(1, dtype))
    small = 0.3 * large
    x = np.asarray([[large, large, -large], [small, -small, small], [1.0, 1.0, 1.0]], dtype)
    found = error_bound(xpnet.Network([layer]), x, worst_case=worst_case)
    np.testing.assert_array_equal(np.isinf(found.stages[-1].bound[:, 0]), [True, False, False])


@MODES
def test_where_a_function_may_overflow_there_is_no_bound(worst_case):
    network = of_one_layer([[1.0]], [0.0], "exponential")
    x = np.asarray([[88.722839], [88.0], [-1e6]], F32)  # the largest float32 is exp(88.7228...)
    bound = error_bound(network, x, worst_case=worst_case).stages[-1].bound[:, 0]
    assert bound[0] == math.inf
    assert bound[1] < 1e35
    assert bound[2] < 1e-37


@MODES
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "softmax", "silu", "identity"])
def test_nan_and_infinities_must_be_the_same(activation, worst_case):
    network = of_one_layer([[1.0, 2.0, 3.0], [0.5, 0.5, 0.5]], np.zeros(3), activation)
    x = np.asarray([[math.nan, 1.0], [math.inf, 1.0], [-math.inf, 1.0]], F32)
    found = error_bound(network, x, worst_case=worst_case)
    last, results = found.stages[-1], stage_results(network, x)
    assert np.all(last.bound[~np.isfinite(last.values)] == 0.0)
    assert np.all(np.isnan(last.values[0]))
    assert largest_share(found, results) <= 1.0
    eaten = np.where(np.isnan(results[-1]), F32(0.0), results[-1])
    assert largest_share(found, [results[0], eaten]) == math.inf


@MODES
@pytest.mark.parametrize(
    ("factors", "row"),
    [
        ([1e-10], [1e39, 1.0]),
        ([1e45], [1e-50, 1e-10]),
        ([1e30, 1e-30], [1e20, 1.0]),
        ([1.0 / 255.0], [1.7e-43, 3e-46]),
        ([1e-42], [1e3, 0.0]),
    ],
)
def test_intermediate_overflow_and_underflow_are_in_bound(factors, row, worst_case):
    layer = xpnet.Dense(np.eye(2, dtype=F32), np.zeros(2, F32), "softsign")
    network = xpnet.Network([layer], preprocessing=[xpnet.Scale(factor) for factor in factors])
    x = np.asarray([row])
    found = error_bound(network, x, worst_case=worst_case)
    assert largest_share(found, stage_results(network, x)) <= 1.0


@MODES
@pytest.mark.parametrize("size", [1e8, 1e15, 1e30])
def test_sums_far_from_zero_are_in_bound(size, worst_case, subtests):
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(500, 20)), np.zeros(20)
    x = (rng.normal(size=(20, 500)) * size).astype(F32)
    for activation in sorted(ACTIVATIONS):
        with subtests.test(activation=activation):
            network = of_one_layer(weight, bias, activation)
            found = error_bound(network, x, worst_case=worst_case)
            assert largest_share(found, stage_results(network, x)) <= 1.0


@MODES
def test_probabilities_may_underflow(worst_case):
    network = of_one_layer(np.eye(3), np.zeros(3), "softmax")
    x = np.asarray([[0.0, -90.0, -110.0], [0.0, -100.0, -300.0]], F32)
    found = error_bound(network, x, worst_case=worst_case)
    flushed = np.asarray([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], F32)
    assert largest_share(found, stage_results(network, x)) <= 1.0
    assert largest_share(found, [x, flushed]) <= 1.0
    assert np.all(found.stages[-1].bound[:, 1:] < 1e-37)


@MODES
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_precision_has_its_bounds(dtype, worst_case):
    activations = ["softplus", "threshold", "tanh"]
    network = random_network(5, [30, 20, 10, 5], activations, dtype=dtype)
    x = np.random.default_rng(6).normal(size=(20, 30)).astype(dtype)
    found = error_bound(network, x, worst_case=worst_case)
    assert found.dtype == dtype
    allowance = 2.0 if dtype == "float64" else 1.0
    assert 0.0 < largest_share(found, in_order(network, x, 7)) <= allowance


def test_bfloat16_has_a_bound():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    weight, x = (torch.asarray(rng.normal(size=size)).bfloat16() for size in ((9, 4), (5, 9)))
    network = xpnet.Network([xpnet.Dense(weight, torch.zeros(4).bfloat16(), "sigmoid")])
    found = error_bound(network, x)
    results = stage_results(network, x.float().numpy())
    assert found.dtype == "bfloat16"
    assert 0.01 < largest_share(found, results) <= 1.0


def test_more_confidence_means_a_larger_bound():
    network = random_network(0, [50, 4], ["identity"])
    x = np.random.default_rng(1).normal(size=(3, 50)).astype(F32)
    less, more = (
        error_bound(network, x, confidence=confidence).stages[-1].bound
        for confidence in (0.5, 1.0 - 1e-12)
    )
    assert np.all(less < more)


def test_large_float64_weights_have_no_nan_bounds():
    layer = xpnet.Dense(np.full((20, 20), 1e307), np.zeros(20))
    found = error_bound(xpnet.Network([layer]), np.full((2, 20), 1e-3))
    assert not np.any(np.isnan(found.stages[-1].bound))


def test_stage_bounds_are_compared_by_identity():
    stage = StageBound("layer 1, relu", np.zeros((1, 1)), np.zeros((1, 1)))
    assert stage != replace(stage)  # without a comparison of arrays


@MODES
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_an_infinity_is_certain_only_where_the_other_terms_cannot_overflow(dtype, worst_case):
    weight = np.asarray([[1.0, 1.0], [-10.0, 0.1]], dtype)
    network = xpnet.Network([xpnet.Dense(weight, np.zeros(2, dtype))])
    x = np.asarray([[math.inf, float(np.finfo(dtype).max) * 0.9]], dtype)
    last = error_bound(network, x, worst_case=worst_case).stages[-1]
    np.testing.assert_array_equal(last.values, [[math.inf, math.inf]])
    np.testing.assert_array_equal(last.bound, [[math.inf, 0.0]])
