"""Networks and the forward pass on every backend."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

import xpnet
from xpnet.networks.preprocessing import arrays_of

BOOK = {
    "W1": [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]],
    "b1": [0.1, 0.2, 0.3],
    "W2": [[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]],
    "b2": [0.1, 0.2],
    "W3": [[0.1, 0.3], [0.2, 0.4]],
    "b3": [0.1, 0.2],
}


def book_network(xp_backend, dtype):
    return xpnet.Network.from_arrays(
        {name: xp_backend.asarray(w, dtype) for name, w in BOOK.items()}
    )


def random_network(xp_backend, sizes=(6, 5, 4), activation="sigmoid", **options):
    random = np.random.default_rng(0)
    layers = [
        xpnet.Dense(
            xp_backend.asarray(random.normal(size=(n_in, n_out))),
            xp_backend.asarray(random.normal(size=n_out)),
            activation,
        )
        for n_in, n_out in pairwise(sizes)
    ]
    return xpnet.Network(layers, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_books_worked_example(xp_backend, dtype):
    y = xpnet.forward(book_network(xp_backend, dtype), xp_backend.asarray([1.0, 0.5], dtype))
    values = xp_backend.check(y, dtype=dtype, shape=(2,))
    np.testing.assert_allclose(values, [0.31682708, 0.69627909], atol=5e-8)


@pytest.mark.parametrize("shape", [(6,), (0, 6), (1, 6), (7, 6), (2, 3, 6), (0, 3, 6)])
def test_leading_axes_are_kept(xp_backend, shape):
    network = random_network(xp_backend)
    x = np.random.default_rng(1).normal(size=shape)
    values = xp_backend.check(
        xpnet.forward(network, xp_backend.asarray(x)), dtype="float32", shape=(*shape[:-1], 4)
    )
    flat = xpnet.forward(network, xp_backend.asarray(x.reshape(-1, 6)))
    expected = xp_backend.check(flat, dtype="float32", shape=(x.size // 6, 4))
    # Sigmoids of sums of 6 and 5 terms, which may be added in another order.
    np.testing.assert_allclose(values.reshape(-1, 4), expected, rtol=(6 + 5) * 8 * 2**-24)


def test_bytes_are_scaled_after_the_cast_and_nan_goes_through(xp_backend):
    layer = xpnet.Dense(xp_backend.asarray([[1.0]]), xp_backend.asarray([0.0]), "relu")
    network = xpnet.Network([layer], preprocessing=[xpnet.Scale(3), xpnet.Scale(1 / 255)])
    inputs = (255, "uint8", 3.0), (True, "bool", 3 / 255), (85, "int64", 1.0), (-1, "int64", 0.0)
    for number, dtype, expected in (*inputs, (np.nan, "float32", np.nan)):
        y = xpnet.forward(network, xp_backend.asarray([[number]], dtype))
        found = xp_backend.check(y, dtype="float32", shape=(1, 1))
        np.testing.assert_allclose(found, [[expected]], rtol=1e-6)


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "step", "tanh", "identity"])
def test_nothing_looks_at_values(activation):
    jax = pytest.importorskip("jax", reason="jax.eval_shape shows a look at values")
    network = xpnet.init_network([784, 5, 10], activation=activation, preprocessing=xpnet.Scale(2))
    there = network.map_arrays(jax.numpy.asarray)
    rows = jax.ShapeDtypeStruct((3, 784), "uint8")
    result = jax.eval_shape(lambda x: xpnet.softmax(there(x)), rows)
    assert (result.shape, result.dtype) == ((3, 10), "float32")


def test_two_devices_are_rejected():
    strict = pytest.importorskip("array_api_strict")
    network = xpnet.Network([xpnet.Dense(strict.ones((2, 2)), strict.ones(2))])
    with pytest.raises(ValueError, match=r"device1.*CPU_DEVICE"):
        network(strict.ones((1, 2), device=strict.Device("device1")))


def layer(n_in, n_out, dtype="float32"):
    return xpnet.Dense(np.zeros((n_in, n_out), dtype), np.zeros(n_out, dtype))


from_arrays = xpnet.Network.from_arrays
TRANSPOSED = {"W1": np.zeros((4, 3)), "b1": np.zeros(3), "W2": np.zeros((2, 3)), "b2": np.zeros(2)}


@pytest.mark.parametrize(
    ("make", "error", "word"),
    [
        (lambda: xpnet.Network([]), ValueError, "none"),
        (lambda: xpnet.Network([np.zeros((2, 2))]), TypeError, "index 0"),
        (lambda: xpnet.Network([layer(2, 3), layer(4, 2)]), ValueError, "3 .* takes 4"),
        (lambda: xpnet.Network([layer(2, 3), layer(3, 2, "float64")]), TypeError, "float64"),
        (lambda: xpnet.Network([layer(2, 2)], output="scores"), ValueError, "scores"),
        (lambda: xpnet.Network([layer(2, 2)], classes=["a"]), ValueError, "2 different"),
        (lambda: xpnet.Network([layer(2, 2)], classes=[True, 0.5]), TypeError, "True"),
        (lambda: xpnet.Network([layer(2, 2)], classes=["a", "\ud800"]), ValueError, "surrogates"),
        (lambda: xpnet.Network([layer(2, 2)], classes=["a", "a"]), ValueError, "different"),
        (lambda: xpnet.Network([layer(2, 2)], (), "values", "ab"), ValueError, "no classes"),
        (lambda: xpnet.Network([layer(2, 2)], metadata={"rows": 3}), TypeError, "rows"),
        (lambda: xpnet.Network([layer(2, 2)], [0.5]), TypeError, "Scale"),
        (lambda: from_arrays({}), ValueError, "nothing"),
        (lambda: from_arrays({"W1": [[1.0]]}), ValueError, "W1, b1 .*got W1"),
        (lambda: from_arrays(dict.fromkeys(["W1", "b1", "W3", "b3"])), ValueError, "got W1, W3"),
        (lambda: from_arrays(dict.fromkeys(["W1", "b1", "extra"])), ValueError, "extra"),
        (lambda: from_arrays(TRANSPOSED), ValueError, r"W2, b2: .*\(2, 3\), .*transposed"),
    ],
    ids=range(17),
)
def test_invalid_networks(make, error, word):
    with pytest.raises(error, match=word):
        make()


@pytest.mark.parametrize(
    ("activation", "n_layers", "names"),
    [
        ({"activation": None}, 1, ["identity"]),
        ({"activation": "step"}, 1, ["step"]),
        ({"activation": ["relu"]}, 1, ["relu"]),
        ({}, 3, ["sigmoid", "sigmoid", "identity"]),
        ({"activation": "relu"}, 3, ["relu", "relu", "identity"]),
        ({"activation": ["relu", "tanh", "sigmoid"]}, 3, ["relu", "tanh", "sigmoid"]),
        ({"activation": ["relu", "tanh"]}, 3, ValueError),
        ({"activation": xpnet.sigmoid}, 3, TypeError),
    ],
    ids=range(8),
)
def test_a_single_name_is_that_of_hidden_layers_or_of_the_only_layer(activation, n_layers, names):
    arrays = {name: w for name, w in BOOK.items() if int(name[1]) <= n_layers}
    if isinstance(names, list):
        network = xpnet.Network.from_arrays(arrays, **activation)
        assert [layer.activation for layer in network.layers] == names
        return
    with pytest.raises(names, match="activation"):
        xpnet.Network.from_arrays(arrays, **activation)


def test_properties_of_a_network(xp_backend):
    network = random_network(xp_backend)
    assert (network.n_in, network.n_out, network.n_classes) == (6, 4, 4)
    assert (network.dtype, network.device) == (xp_backend.xp.float32, xp_backend.device)
    assert network.library == xp_backend.name.partition(":")[0].replace("-", "_")
    assert "6 -> 5 sigmoid -> 4 sigmoid" in repr(network)
    single, other = xpnet.Network([layer(2, 1)]), xpnet.Network([layer(2, 3)], output="values")
    assert (single.n_classes, other.n_classes) == (2, 0)


def test_networks_are_frozen_data():
    network = xpnet.init_network([2, 2])
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.output = "values"
    assert len({network, network, xpnet.init_network([2, 2])}) == 2  # by identity


def test_a_network_moves_to_the_cpu(xp_backend):
    facts = {"preprocessing": xpnet.Scale(2), "classes": "abcd", "metadata": {"origin": "here"}}
    network = random_network(xp_backend, **facts).to("cpu")
    assert network.metadata == {"origin": "here"}
    assert (network.library, network.device) == ("numpy", "cpu")
    assert (network.preprocessing, network.classes) == ((xpnet.Scale(2),), tuple("abcd"))
    np.testing.assert_array_equal(
        network.layers[0].weight, np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    )


def preprocessed_network(xp_backend):
    mean, scale, matrix = map(xp_backend.asarray, ([0.25] * 6, [2.0] * 6, np.eye(6)))
    steps = [xpnet.Scale(0.5), xpnet.Standardize(mean, scale), xpnet.Whiten(mean, matrix)]
    return random_network(xp_backend, preprocessing=steps, classes="abcd")


def all_arrays(network):
    parameters = [x for layer in network.layers for x in (layer.weight, layer.bias)]
    return parameters + [x for step in network.preprocessing for x in arrays_of(step).values()]


# Half a unit in the last place of the largest sum, about 10, for each of a dozen operations.
TOLERANCES = {"float16": 0.03, "bfloat16": 0.25, "float32": 0.0, "float64": 1e-5}


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_another_dtype(xp_backend, dtype):
    network = preprocessed_network(xp_backend)
    if not xp_backend.has([dtype]):
        with pytest.raises(TypeError, match=f"^{network.library} has no .*{dtype}"):
            network.astype(dtype)
        return
    changed = network.astype(dtype)
    assert len(all_arrays(changed)) == 8
    for x, before in zip(all_arrays(changed), all_arrays(network), strict=True):
        values = xp_backend.check(x, dtype=dtype, shape=tuple(before.shape))
        expected = xp_backend.check(before, dtype="float32", shape=tuple(before.shape))
        np.testing.assert_allclose(values, expected, rtol=2.0**-8)
    assert (changed.library, changed.device) == (network.library, network.device)
    assert (changed.classes, changed.preprocessing[0]) == (tuple("abcd"), xpnet.Scale(0.5))
    x = xp_backend.asarray(np.arange(12).reshape(2, 6), "uint8")
    np.testing.assert_allclose(
        xp_backend.check(changed(x), dtype=dtype, shape=(2, 4)),
        xp_backend.check(network(x), dtype="float32", shape=(2, 4)),
        atol=TOLERANCES[dtype],
    )


def test_numpy_classes_become_python_objects():
    network = xpnet.Network([layer(2, 2)], classes=np.unique([9, 7, 9]))
    assert network.classes == (7, 9)
    assert all(type(name) is int for name in network.classes)
