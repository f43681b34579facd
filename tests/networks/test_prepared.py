"""Prepared networks: ordinary networks with the same results, within the error bounds."""

import copy
import dataclasses
import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st

import xpnet
from xpnet.arrays.cpu.blocked_matmul import is_constant
from xpnet.networks.prepared import fold_preprocessing
from xpnet.parity.bounds.error_bound import error_bound

PIXELS = np.random.default_rng(0).integers(0, 256, (100, 784), np.uint8)
PIXELS[0], PIXELS[1], PIXELS[2:5, ::2] = 0, 255, 0
DIGITS = xpnet.sample()[0].reshape(-1, 784)


@pytest.fixture(autouse=True)
def errstate():
    """Assert that NumPy's handling of floating-point errors is left unchanged."""
    before = np.geterr()
    with np.errstate():
        yield
        assert np.geterr() == before


def network_of(*widths, dtype="float32", activations="sigmoid", preprocessing=None, seed=0):
    """Return a network of random weights in Fortran order, with a linear last layer."""
    random = np.random.default_rng(seed)
    layers = [
        xpnet.Dense(
            np.asarray(random.normal(size=(n_in, n_out)) / n_in**0.5, dtype, order="F"),
            random.normal(size=n_out).astype(dtype),
            activations,
        )
        for n_in, n_out in pairwise(widths)
    ]
    layers[-1] = dataclasses.replace(layers[-1], activation="identity")
    return xpnet.Network(layers, preprocessing)


def arrays_of(network):
    return [x for layer in network.layers for x in (layer.weight, layer.bias)]


def activations_of(network):
    return [layer.activation for layer in network.layers]


def share_of_bound(prepared, network, rows):
    """Return the largest error of a prepared network, relative to the bound of the original."""
    last = error_bound(network, rows).stages[-1]
    # In float64 the reference values have errors of the same size.
    bound = last.bound * (2 if network.dtype == "float64" else 1)
    assert np.isfinite(bound).all()
    return np.max(np.abs(prepared(rows) - last.values) / bound)


SCALE = xpnet.Scale(1 / 255)
PREPROCESSING = {
    "none": None,
    "scale": SCALE,
    "scales": [xpnet.Scale(3.0), xpnet.Scale(-0.1), xpnet.Scale(1 / 90)],
    "standardize": xpnet.Standardize(33.0, 78.0),
    "scale_after_standardize": [xpnet.Standardize(33.0, 78.0), xpnet.Scale(0.7)],
    "standardize_after_scale": [SCALE, xpnet.Standardize(0.13, 0.31)],
    "arrays": xpnet.Standardize(np.arange(784.0), np.arange(784.0) + 50),
    "fitted": xpnet.Standardize.fit(DIGITS),
    "whiten": [SCALE, xpnet.Whiten.fit(DIGITS / 255)],
    "components": xpnet.Whiten.fit(DIGITS, method="pca", epsilon=0.1),
    "far": [SCALE, xpnet.Standardize(np.arange(784.0) - 300.0, 2.0)],
}


@pytest.mark.slow
@pytest.mark.parametrize("steps", PREPROCESSING)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_results_are_within_the_bounds_of_the_original(steps, dtype):
    hidden_layers = {"sigmoid": (50, 100), "relu": (30,), "tanh": (200, 20, 60)}
    for seed, (activations, hidden) in enumerate(hidden_layers.items()):
        network = network_of(
            784,
            *hidden,
            10,
            dtype=dtype,
            activations=activations,
            preprocessing=PREPROCESSING[steps],
            seed=seed,
        )
        rows = PIXELS / 255 if steps == "none" else PIXELS
        rows = rows[:10] if dtype == "float16" else rows  # NumPy multiplies it slowly
        assert share_of_bound(xpnet.prepare(network), network, rows) <= 1
        assert share_of_bound(fold_preprocessing(network), network, rows) <= 1


@given(
    st.lists(st.integers(20, 80), min_size=2, max_size=4),
    st.sampled_from(["float32", "float64"]),
    st.integers(0, 2**32),
    st.floats(0.1, 3.0),
)
def test_random_networks_stay_within_their_bounds(widths, dtype, seed, spread):
    network = network_of(*widths, 10, dtype=dtype, preprocessing=SCALE, seed=seed)
    network = network.map_arrays(lambda x: x * x.dtype.type(spread))
    rows = np.random.default_rng(seed).integers(0, 256, (20, widths[0]), np.uint8)
    assert share_of_bound(xpnet.prepare(network), network, rows) <= 1


def test_the_sample_network():
    network, (images, labels) = xpnet.load("sample"), xpnet.sample()
    prepared = xpnet.prepare(network)
    assert repr(prepared).startswith("Network(784 -> 50 tanh -> 100 tanh -> 10 identity; logits;")
    assert share_of_bound(prepared, network, images.reshape(-1, 784)) <= 1
    assert share_of_bound(prepared, network, PIXELS) <= 1
    counts = [xpnet.evaluate(each, images, labels).correct for each in (network, prepared)]
    assert counts == [986, 986]
    found = xpnet.evaluate(prepared, images, labels).confusion
    np.testing.assert_array_equal(found, xpnet.evaluate(network, images, labels).confusion)


@pytest.mark.parametrize("prepare", [xpnet.prepare, fold_preprocessing])
def test_the_original_is_left_alone(prepare):
    network = network_of(784, 50, 10, preprocessing=PREPROCESSING["far"])
    shown, kept = repr(network), [x.copy() for x in arrays_of(network)]
    prepared = prepare(network)
    assert repr(network) == shown
    for mine, theirs, before in zip(arrays_of(network), arrays_of(prepared), kept, strict=True):
        assert mine.flags.writeable
        assert not np.may_share_memory(mine, theirs)
        np.testing.assert_array_equal(mine, before)
    expected = prepared(PIXELS)
    for array in (*arrays_of(network), network.preprocessing[1].mean):
        array[...] = 99  # later changes have no effect
    np.testing.assert_array_equal(prepared(PIXELS), expected)


@pytest.mark.parametrize("prepare", [xpnet.prepare, fold_preprocessing])
def test_arrays_are_read_only_and_in_order(prepare):
    prepared = prepare(network_of(784, 300, 10, preprocessing=PREPROCESSING["far"]))
    for array in (*arrays_of(prepared), prepared.preprocessing[1].mean):
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_a_memory_mapped_weight_is_copied(tmp_path):
    np.save(tmp_path / "weight.npy", np.ones((784, 10), np.float32))
    weight = np.load(tmp_path / "weight.npy", mmap_mode="r+")
    network = xpnet.Network([xpnet.Dense(weight, np.zeros(10, np.float32))])
    prepared = xpnet.prepare(network)
    expected = prepared(PIXELS)
    weight[...] = 7
    np.testing.assert_array_equal(prepared(PIXELS), expected)
    assert not prepared.layers[0].weight.flags.writeable


ROUND_TRIPS = {
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),
    "pickle_5": lambda network: pickle.loads(pickle.dumps(network, protocol=5)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "replace": dataclasses.replace,
    "to": lambda network: network.to("cpu"),
    "prepare": xpnet.prepare,
    "constant": fold_preprocessing,
}


@pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])
@pytest.mark.parametrize("trip", ROUND_TRIPS)
@pytest.mark.parametrize("steps", ["scale", "standardize_after_scale", "far"])
def test_copies_and_pickles_are_equal(trip, steps, is_used):
    network = network_of(784, 50, 10, preprocessing=PREPROCESSING[steps])
    prepared = xpnet.prepare(dataclasses.replace(network, metadata={"origin": "here"}))
    if is_used:
        prepared(PIXELS)
    other = ROUND_TRIPS[trip](prepared)
    assert repr(other) == repr(prepared)
    assert (other.output, other.classes) == (prepared.output, prepared.classes)
    assert other.metadata == prepared.metadata
    folded = {} if prepared.preprocessing else {"input_range": "0..255"}
    assert other.metadata == {"origin": "here"} | folded
    for mine, theirs in zip(arrays_of(prepared), arrays_of(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert all(is_constant(layer.weight) for layer in other.layers)  # as fast as before
    np.testing.assert_array_equal(other(PIXELS), prepared(PIXELS))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pickles_hold_no_cached_properties(dtype):
    network = network_of(784, 300, 10, dtype=dtype)
    new = len(pickle.dumps(network))
    xpnet.predict(network, PIXELS)
    assert len(pickle.dumps(network)) == new
    assert len(pickle.dumps(xpnet.prepare(network))) <= new + 100


@pytest.mark.parametrize("name", ["network.npz", "network.safetensors", "network.onnx"])
def test_it_can_be_saved(tmp_path, name):
    if name.endswith("onnx"):
        pytest.importorskip("onnx", reason="onnx is not installed")
    original = xpnet.load("sample")
    prepared = xpnet.prepare(original)
    xpnet.save(prepared, tmp_path / name)
    loaded = xpnet.load(tmp_path / name)
    assert repr(loaded) == repr(prepared)
    for mine, theirs in zip(arrays_of(prepared), arrays_of(loaded), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert share_of_bound(loaded, original, PIXELS) <= 1


def test_it_can_be_trained_further():
    images, labels = xpnet.sample()
    prepared = xpnet.prepare(xpnet.load("sample"))
    kept = [x.copy() for x in arrays_of(prepared)]
    trained = xpnet.train(prepared, images[:200], labels[:200], epochs=1).network
    changed = zip(arrays_of(prepared), arrays_of(trained), kept, strict=True)
    for mine, theirs, before in changed:
        np.testing.assert_array_equal(mine, before)
        assert np.any(theirs != before)


@pytest.mark.parametrize("steps", PREPROCESSING)
def test_steps_before_the_first_layer_become_part_of_it(steps):
    n_left = 2 if steps == "far" else 0
    network = network_of(784, 50, 10, activations="relu", preprocessing=PREPROCESSING[steps])
    for prepared in (xpnet.prepare(network), fold_preprocessing(network)):
        assert len(prepared.preprocessing) == n_left
        assert list(map(repr, prepared.preprocessing)) == list(
            map(repr, network.preprocessing[:n_left])
        )


@pytest.mark.parametrize("steps", ["fitted", "standardize_after_scale", "whiten", "components"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activations", ["sigmoid", "relu"])
def test_steps_fitted_to_the_digits_are_folded(steps, dtype, activations):
    network = network_of(
        784, 50, 10, dtype=dtype, activations=activations, preprocessing=PREPROCESSING[steps]
    )
    prepared = xpnet.prepare(network)
    assert prepared.preprocessing == ()
    assert share_of_bound(prepared, network, DIGITS) <= 0.1


def test_on_all_of_mnist(shared_data):
    images, _ = xpnet.read(shared_data / "mnist" / "train-images-idx3-ubyte.gz")
    images = images.reshape(-1, 784)
    for fit in (xpnet.Standardize.fit, xpnet.Whiten.fit):
        network = network_of(784, 50, 10, activations="relu", preprocessing=fit(images))
        prepared = xpnet.prepare(network)
        assert prepared.preprocessing == ()
        assert share_of_bound(prepared, network, images[::10]) <= 0.1


def test_folded_parameters_are_those_of_the_steps():
    draw = np.random.default_rng(0).normal
    steps = [
        SCALE,
        xpnet.Standardize(draw(size=70), draw(size=70) + 3.0),
        xpnet.Whiten(draw(size=70) / 100, draw(size=(70, 70))),
        xpnet.Scale(-0.5),
    ]
    network = network_of(70, 5, dtype="float64", preprocessing=steps)
    prepared = xpnet.prepare(network)
    assert prepared.preprocessing == ()
    (layer,) = network.layers
    scale, matrix = steps[1].scale, -0.5 * steps[2].matrix @ layer.weight
    np.testing.assert_allclose(
        prepared.layers[0].weight, matrix / (255 * scale[:, None]), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(prepared(np.zeros(70)), network(np.zeros(70)), rtol=1e-9)


ALIKE = np.eye(64) * 100 - (100 - 1 / 8) / 64  # the whitening matrix of nearly equal inputs
FIRST = np.eye(64)[0]


@pytest.mark.parametrize(
    ("step", "n_left"),
    [
        (xpnet.Standardize(1.9, 1.0), 0),  # up to 2 deviations
        (xpnet.Standardize(-2.1, 1.0), 1),
        (xpnet.Standardize(2.1 * FIRST, 1.0), 1),
        (xpnet.Standardize(2.1 * FIRST, 1.1), 0),
        (xpnet.Whiten(np.full(64, 1.9), np.eye(64)), 0),
        (xpnet.Whiten(np.full(64, 2.1), np.eye(64)), 1),
        (xpnet.Whiten(np.full(64, 1.9), ALIKE), 0),
        (xpnet.Whiten(np.full(64, 2.1), ALIKE), 1),
        (xpnet.Whiten(np.full(64, 2.1), -ALIKE), 1),
    ],
    ids=map(str, range(9)),
)
def test_means_that_are_many_deviations_from_0_stay(step, n_left):
    network = network_of(64, 5, activations="relu", preprocessing=step)
    for prepared in (xpnet.prepare(network), fold_preprocessing(network)):
        assert len(prepared.preprocessing) == n_left


def test_means_of_few_inputs_stay():
    for step in (xpnet.Standardize(0.1, 2.0), xpnet.Whiten(np.full(63, 0.1), np.eye(63))):
        assert len(xpnet.prepare(network_of(63, 5, preprocessing=step)).preprocessing) == 1
    for step in (xpnet.Standardize(0.0, 2.0), xpnet.Whiten(np.zeros(63), np.eye(63))):
        assert len(xpnet.prepare(network_of(63, 5, preprocessing=step)).preprocessing) == 0


@pytest.mark.parametrize(
    ("step", "weight", "n_left"),
    [
        (xpnet.Standardize(0.0, 1e37), 0.5, 0),
        (xpnet.Standardize(0.0, 1e38), 0.5, 1),  # below the smallest normal number
        (xpnet.Standardize(0.0, 1e-38), 0.5, 0),
        (xpnet.Standardize(0.0, 1e-39), 0.5, 1),
        (xpnet.Standardize(-1.0, 1.0), 1e35, 0),
        (xpnet.Standardize(-1.0, 1.0), 5e36, 1),  # 64 of them, and the bias
        (xpnet.Whiten(np.zeros(64), np.eye(64) * 1e-37), 0.5, 0),
        (xpnet.Whiten(np.zeros(64), np.eye(64) * 1e-38), 0.5, 1),
        (xpnet.Whiten(np.zeros(64), np.eye(64) * 1e38), 10.0, 1),
    ],
    ids=map(str, range(9)),
)
def test_a_step_stays_where_parameters_would_leave_the_normal_range(step, weight, n_left):
    layer = xpnet.Dense(np.full((64, 2), weight, "f4"), np.full(2, 3e38, "f4"))
    network = xpnet.Network([layer], step)
    with np.errstate(all="raise"):
        prepared = xpnet.prepare(network)
    assert len(prepared.preprocessing) == n_left
    assert np.isfinite(prepared.layers[0].bias).all()


def test_a_power_of_two_changes_no_bit():
    network = network_of(
        784, 50, 10, activations="relu", preprocessing=[xpnet.Scale(-4.0), xpnet.Scale(2.0**-10)]
    )
    prepared = xpnet.prepare(network)
    assert prepared.preprocessing == ()
    np.testing.assert_array_equal(
        prepared.layers[0].weight, network.layers[0].weight * np.float32(-(2.0**-8))
    )


@pytest.mark.parametrize(
    ("dtype", "weight", "factors", "n_left"),
    [
        ("float32", 1.0, [1e-37], 0),
        ("float32", 1.0, [1e-38], 1),  # the smallest normal number is 1.2e-38
        ("float32", 1e-20, [1e-25], 1),
        ("float32", 1.0, [3e38], 0),
        ("float32", 2.0, [3e38], 1),
        ("float32", 1e30, [1e20, 1e-10], 1),  # the last one comes first
        ("float32", 1e30, [1e-30, 1e20], 2),
        ("float64", 1.0, [1e-300], 0),
        ("float64", 1e-10, [1e-300], 1),
        ("float64", 1e10, [1e300], 1),
        ("float16", 1.0, [0.5], 1),
    ],
)
def test_a_factor_stays_where_weights_would_leave_the_normal_range(dtype, weight, factors, n_left):
    weights = np.full((4, 3), weight, dtype)
    weights[1, 1] = 0.0  # zero stays zero
    layer = xpnet.Dense(weights, np.zeros(3, dtype))
    network = xpnet.Network([layer], list(map(xpnet.Scale, factors)))
    for prepare in (xpnet.prepare, fold_preprocessing):
        with np.errstate(all="raise"):
            prepared = prepare(network)
        assert prepared.preprocessing == network.preprocessing[:n_left]
        if n_left == len(factors):
            np.testing.assert_array_equal(prepared.layers[0].weight, weights)
        else:
            assert prepared.layers[0].weight[1, 1] == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nonfinite_parameters(bad):
    network = network_of(784, 20, 30, 10, preprocessing=SCALE)
    network.layers[0].weight[3, 4] = bad
    prepared = xpnet.prepare(network)
    assert prepared.preprocessing == (SCALE,)
    rows = PIXELS[PIXELS[:, 3] > 0]
    found, expected = prepared(rows), network(rows)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    assert np.isnan(expected).all() == np.isnan(bad)


def test_hidden_sigmoids_become_tanh_and_others_stay():
    layers = network_of(784, 50, 40, 30, 20, 10).layers
    names = ["sigmoid", "relu", "sigmoid", "tanh", "sigmoid"]
    layers = [
        dataclasses.replace(layer, activation=name)
        for layer, name in zip(layers, names, strict=True)
    ]
    prepared = xpnet.prepare(xpnet.Network(layers, SCALE))
    assert activations_of(prepared) == ["tanh", "relu", "tanh", "tanh", "sigmoid"]
    assert share_of_bound(prepared, xpnet.Network(layers, SCALE), PIXELS) <= 1


@pytest.mark.parametrize("output", ["logits", "probabilities", "values"])
def test_output_and_classes_are_kept(output):
    classes = None if output == "values" else tuple("abcdefghij")
    network = dataclasses.replace(network_of(784, 50, 10), output=output, classes=classes)
    prepared = xpnet.prepare(network)
    assert (prepared.output, prepared.classes) == (output, classes)


def with_hidden_bias(bias, weight=0.0):
    """Return a network whose hidden units all have about the same input."""
    layers = [
        xpnet.Dense(np.full((784, 40), weight), np.full(40, bias), "sigmoid"),
        xpnet.Dense(np.ones((40, 3)), np.asarray([0.0, 1e-9, 1.0])),
    ]
    return xpnet.Network([*layers], SCALE)


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (with_hidden_bias(-50.0), "sigmoid"),
        (with_hidden_bias(-3.0), "sigmoid"),  # 0.047 of the weights are in effect
        (with_hidden_bias(-1.9), "tanh"),  # 0.130
        (with_hidden_bias(0.0), "tanh"),
        (with_hidden_bias(50.0), "tanh"),
        (with_hidden_bias(0.0, -0.1), "sigmoid"),  # off for inputs between 0 and 1
        (with_hidden_bias(-4.0, 0.05), "sigmoid"),  # off for inputs of mean 0
    ],
)
def test_sigmoids_that_are_nearly_all_off_stay(network, name):
    prepared = xpnet.prepare(network)
    assert activations_of(prepared) == [name, "identity"]
    assert share_of_bound(prepared, network, PIXELS[5:]) <= 1


def test_a_unit_whose_inputs_are_all_off_keeps_the_sigmoids():
    layers = [
        xpnet.Dense(np.zeros((5, 2)), np.asarray([-50.0, 3.0]), "sigmoid"),
        xpnet.Dense(np.asarray([[1.0, 1.0], [0.0, 1.0]]), np.zeros(2)),
    ]
    network = xpnet.Network(layers)
    assert activations_of(xpnet.prepare(network)) == ["sigmoid", "identity"]
    assert xpnet.prepare(network)(np.zeros((1, 5)))[0, 0] == pytest.approx(np.exp(-50), rel=1e-12)


@pytest.mark.parametrize("weight", [0.0, -0.1, 0.05, 0.3])
@pytest.mark.parametrize("bias", [-50.0, -4.0, 0.0])
def test_prepared_twice_is_prepared_once(bias, weight):
    once = xpnet.prepare(with_hidden_bias(bias, weight))
    twice = xpnet.prepare(once)
    assert repr(twice) == repr(once)
    for mine, theirs in zip(arrays_of(once), arrays_of(twice), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("weight", "following"), [(3e38, 1.0), (-3e38, 1.0), (np.inf, 1.0), (1.0, np.inf), (1.0, 3e38)]
)
def test_the_trial_gives_no_warnings(weight, following):
    layers = [
        xpnet.Dense(np.full((4, 3), weight, np.float32), np.zeros(3, np.float32), "sigmoid"),
        xpnet.Dense(np.full((3, 2), following, np.float32), np.zeros(2, np.float32)),
    ]
    assert xpnet.prepare(xpnet.Network(layers)).n_out == 2


def test_in_float16_no_bias_overflows():
    # A fifth of 200,000 is in the range of float16; half of it, added to the bias, is not.
    layers = [
        xpnet.Dense(np.zeros((4, 1000), np.float16), np.full(1000, -1.386, np.float16), "sigmoid"),
        xpnet.Dense(np.full((1000, 2), 200, np.float16), np.zeros(2, np.float16)),
    ]
    network, rows = xpnet.Network(layers), np.zeros((3, 4), np.float16)
    assert np.isfinite(network(rows)).all()
    assert np.isfinite(xpnet.prepare(network)(rows)).all()


@pytest.mark.parametrize("steps", ["standardize_after_scale", "fitted", "whiten"])
def test_steps_are_folded_on_every_backend(xp_backend, steps):
    host = network_of(784, 20, 5, activations="relu", preprocessing=PREPROCESSING[steps])
    prepared = xpnet.prepare(host.map_arrays(xp_backend.asarray))
    assert prepared.preprocessing == ()
    rows = np.float32(DIGITS[:30])
    values = xp_backend.check(prepared(xp_backend.asarray(rows)), dtype="float32", shape=(30, 5))
    last = error_bound(host, rows).stages[-1]
    assert np.all(np.abs(values - last.values) <= last.bound)


def test_on_every_backend(xp_backend):
    def there(x):
        return xp_backend.asarray(x)

    host = network_of(12, 20, 30, 5, preprocessing=[xpnet.Standardize(9.0, 80.0), SCALE])
    network = host.map_arrays(there)
    prepared = xpnet.prepare(network)
    assert list(map(repr, prepared.preprocessing)) == ["Standardize(mean=9.0, scale=80.0)"]
    # Only NumPy computes tanh faster than the sigmoid.
    names = ["tanh", "tanh"] if xp_backend.library == "numpy" else ["sigmoid", "sigmoid"]
    assert activations_of(prepared) == [*names, "identity"]
    assert list(map(repr, network.preprocessing)) == list(map(repr, host.preprocessing))
    rows = np.float32(PIXELS[:30, :12])
    values = xp_backend.check(prepared(there(rows)), dtype="float32", shape=(30, 5))
    last = error_bound(host, rows).stages[-1]
    assert np.all(np.abs(values - last.values) <= last.bound)
    again = xpnet.prepare(prepared)
    assert repr(again) == repr(prepared)


@pytest.mark.parametrize("n_rows", [1, 5, 100, 300])
def test_changes_to_an_unprepared_network_have_effect(n_rows):
    network = network_of(784, 300, 10)
    rows = np.resize(PIXELS, (n_rows, 784)) / np.float32(255)
    network(rows)
    for array in arrays_of(network):
        array[...] += np.float32(0.125)
    np.testing.assert_array_equal(network(rows), network.map_arrays(lambda x: x.copy("K"))(rows))


def test_a_reproducible_network_is_rejected():
    network = xpnet.reproducible(network_of(784, 10))
    message = "^`network` must be ordinary; got a reproducible one: prepare what it was made of$"
    with pytest.raises(TypeError, match=message):
        xpnet.prepare(network)
