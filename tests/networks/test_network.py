"""Networks and the forward pass on every backend."""

import dataclasses

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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_books_worked_example(xp_backend, dtype):
    arrays = {name: xp_backend.asarray(w, dtype) for name, w in BOOK.items()}
    network = xpnet.Network.from_arrays(arrays)
    y = xpnet.forward(network, xp_backend.asarray([1.0, 0.5], dtype))
    values = xp_backend.check(y, dtype=dtype, shape=(2,))
    np.testing.assert_allclose(values, [0.31682708, 0.69627909], atol=5e-8)


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
        (lambda: from_arrays({}), ValueError, "nothing"),
        (lambda: from_arrays({"W1": [[1.0]]}), ValueError, "W1, b1 .*got W1"),
        (lambda: from_arrays(dict.fromkeys(["W1", "b1", "W3", "b3"])), ValueError, "got W1, W3"),
        (lambda: from_arrays(dict.fromkeys(["W1", "b1", "extra"])), ValueError, "extra"),
        (lambda: from_arrays(TRANSPOSED), ValueError, r"W2, b2: .*\(2, 3\), .*transposed"),
        (lambda: from_arrays(BOOK, activation=["relu"] * 2), ValueError, "activation"),
        (lambda: from_arrays(BOOK, activation=xpnet.sigmoid), TypeError, "activation"),
    ],
    ids=range(18),
)
def test_invalid_networks(make, error, word):
    with pytest.raises(error, match=word):
        make()


@pytest.mark.parametrize(
    ("activation", "n_layers", "names"),
    [
        (None, 1, ["identity"]),
        ("step", 1, ["step"]),
        (["relu"], 1, ["relu"]),
        (None, 3, ["sigmoid", "sigmoid", "identity"]),
        ("relu", 3, ["relu", "relu", "identity"]),
        (["relu", "tanh", "sigmoid"], 3, ["relu", "tanh", "sigmoid"]),
    ],
    ids=range(6),
)
def test_a_single_name_is_that_of_hidden_layers_or_of_the_only_layer(activation, n_layers, names):
    arrays = {name: w for name, w in BOOK.items() if int(name[1]) <= n_layers}
    network = from_arrays(arrays, activation=activation)
    assert [layer.activation for layer in network.layers] == names


@pytest.mark.parametrize(
    ("n_out", "output", "n_classes"),
    [(1, "logits", 2), (1, "values", 0), (3, "values", 0), (4, "probabilities", 4)],
)
def test_the_number_of_classes(n_out, output, n_classes):
    assert xpnet.Network([layer(2, n_out)], output=output).n_classes == n_classes


def test_numpy_classes_become_python_objects():
    network = xpnet.Network([layer(2, 2)], classes=np.unique([9, 7, 9]))
    assert network.classes == (7, 9)
    assert all(type(name) is int for name in network.classes)


def test_networks_are_frozen_data():
    metadata = {"origin": "here"}
    network, other = (xpnet.Network([layer(2, 2)], metadata=metadata) for _ in range(2))
    metadata["origin"] = "elsewhere"
    assert network.metadata == {"origin": "here"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.output = "values"
    assert len({network, network, other}) == 2  # by identity


def whitened_network(xp_backend):
    """Return a network with steps of every kind, and arrays of a backend."""
    random, mean = np.random.default_rng(0), np.full(6, 0.25)
    steps = [xpnet.Scale(0.5), xpnet.Standardize(mean, 2.0), xpnet.Whiten(mean, np.eye(6))]
    layers = [
        xpnet.Dense(random.normal(size=(n_in, n_out)), random.normal(size=n_out), "sigmoid")
        for n_in, n_out in ((6, 5), (5, 4))
    ]
    network = xpnet.Network(layers, steps, classes="abcd", metadata={"origin": "here"})
    return network.map_arrays(xp_backend.asarray)


def all_arrays(network):
    parameters = [x for layer in network.layers for x in (layer.weight, layer.bias)]
    return parameters + [x for step in network.preprocessing for x in arrays_of(step).values()]


def assert_same_facts(found, network):
    for name in ("classes", "metadata", "output", "n_in", "n_out", "multiplications"):
        assert getattr(found, name) == getattr(network, name)
    assert found.preprocessing[0] == network.preprocessing[0] == xpnet.Scale(0.5)


def test_a_network_on_every_backend_moves_to_the_cpu(xp_backend):
    network = whitened_network(xp_backend)
    assert (network.dtype, network.device) == (xp_backend.xp.float32, xp_backend.device)
    assert network.library == xp_backend.name.partition(":")[0].replace("-", "_")
    assert (network.n_in, network.n_out, network.multiplications) == (6, 4, 36 + 30 + 20)
    assert "6 -> 5 sigmoid -> 4 sigmoid" in repr(network)
    there = network.to("cpu")
    assert (there.library, there.device) == ("numpy", "cpu")
    assert_same_facts(there, network)
    for x, before in zip(all_arrays(there), all_arrays(network), strict=True):
        assert type(x) is np.ndarray
        expected = xp_backend.check(before, dtype="float32", shape=x.shape)
        np.testing.assert_array_equal(x, expected)


# Half a unit in the last place of the largest sum, about 10, for each of a dozen operations.
TOLERANCES = {"float16": 0.03, "bfloat16": 0.25, "float32": 0.0, "float64": 1e-5}


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_another_dtype(xp_backend, dtype):
    network = whitened_network(xp_backend)
    if not xp_backend.has([dtype]):
        with pytest.raises(TypeError, match=f"^{network.library} has no .*{dtype}"):
            network.astype(dtype)
        return
    changed = network.astype(dtype)
    assert_same_facts(changed, network)
    for x, before in zip(all_arrays(changed), all_arrays(network), strict=True):
        values = xp_backend.check(x, dtype=dtype, shape=tuple(before.shape))
        expected = xp_backend.check(before, dtype="float32", shape=tuple(before.shape))
        np.testing.assert_allclose(values, expected, rtol=2.0**-8)
    x = xp_backend.asarray(np.arange(12).reshape(2, 6), "uint8")
    np.testing.assert_allclose(
        xp_backend.check(changed(x), dtype=dtype, shape=(2, 4)),
        xp_backend.check(network(x), dtype="float32", shape=(2, 4)),
        atol=TOLERANCES[dtype],
    )
