"""Networks on every backend."""

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


@pytest.mark.parametrize("shape", [(2,), (1, 2), (3, 2), (2, 3, 2), (0, 2), (0, 3, 2)])
def test_the_books_worked_example(xp_backend, shape):
    arrays = {name: xp_backend.asarray(x) for name, x in BOOK.items()}
    network = xpnet.Network.from_arrays(arrays)
    x = xp_backend.asarray(np.broadcast_to([1.0, 0.5], shape))
    for function, signals in (
        (network.layers[0].linear, [0.3, 0.7, 1.1]),
        (network.layers[0], [0.57444252, 0.66818777, 0.75026011]),
        (network, [0.31682708, 0.69627909]),
    ):
        found = function(x)
        values = xp_backend.check(found, dtype="float32", shape=(*shape[:-1], len(signals)))
        np.testing.assert_allclose(values, np.broadcast_to(signals, values.shape), rtol=1e-6)


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
    network = xpnet.Network.from_arrays(arrays, activation=activation)
    assert [layer.activation for layer in network.layers] == names


@pytest.mark.parametrize(
    ("n_out", "output", "n_classes"),
    [(1, "logits", 2), (1, "values", 0), (3, "values", 0), (4, "probabilities", 4)],
)
def test_the_number_of_classes(n_out, output, n_classes):
    layers = xpnet.init_network([2, n_out]).layers
    assert xpnet.Network(layers, output=output).n_classes == n_classes


def test_networks_are_frozen_data():
    metadata, layers = {"origin": "here"}, xpnet.init_network([2, 2]).layers
    network, other = (
        xpnet.Network(layers, classes=np.unique([9, 7, 9]), metadata=metadata) for _ in range(2)
    )
    metadata["origin"] = "elsewhere"
    assert network.metadata == {"origin": "here"}
    assert (network.classes, {type(name) for name in network.classes}) == ((7, 9), {int})
    for frozen in (network, xpnet.reproducible(network)):
        for name in ("output", "n_classes", "notes"):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(frozen, name, "values")
    assert len({network, network, other}) == 2  # by identity


def arrays_of_all(network):
    parameters = [x for layer in network.layers for x in (layer.weight, layer.bias)]
    return parameters + [x for step in network.preprocessing for x in arrays_of(step).values()]


# Half a unit in the last place of the largest sum, about 10, for each of a dozen operations.
TOLERANCES = {"float16": 0.03, "bfloat16": 0.25, "float32": 0.0, "float64": 1e-5}


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_a_network_moves_to_another_dtype_and_to_the_cpu(xp_backend, dtype):
    draw, mean = np.random.default_rng(0).normal, np.full(6, 0.25)
    steps = [xpnet.Scale(0.5), xpnet.Standardize(mean, 2.0), xpnet.Whiten(mean, np.eye(6))]
    sizes = [(6, 5), (5, 4)]
    layers = [xpnet.Dense(draw(size=size), draw(size=size[1]), "sigmoid") for size in sizes]
    network = xpnet.Network(layers, steps, classes="abcd", metadata={"origin": "here"})
    network = network.map_arrays(xp_backend.asarray)
    assert (network.dtype, network.device) == (xp_backend.xp.float32, xp_backend.device)
    assert network.library == xp_backend.name.partition(":")[0].replace("-", "_")
    if not xp_backend.has([dtype]):
        with pytest.raises(TypeError, match=f"^{network.library} has no .*{dtype}"):
            network.astype(dtype)
        return
    changed, there = network.astype(dtype), network.to("cpu")
    assert (there.library, there.device) == ("numpy", "cpu")
    for moved in (network, changed, there):
        assert (moved.n_in, moved.n_out, moved.multiplications) == (6, 4, 36 + 30 + 20)
        assert (moved.output, moved.classes) == ("logits", tuple("abcd"))
        assert (moved.metadata, moved.preprocessing[0]) == ({"origin": "here"}, steps[0])
    for before, x, host in zip(*map(arrays_of_all, (network, changed, there)), strict=True):
        assert type(host) is np.ndarray
        expected = xp_backend.check(before, dtype="float32", shape=host.shape)
        np.testing.assert_array_equal(host, expected)
        values = xp_backend.check(x, dtype=dtype, shape=host.shape)
        np.testing.assert_allclose(values, expected, rtol=2.0**-8)
    x = xp_backend.asarray(np.arange(12).reshape(2, 6), "uint8")
    np.testing.assert_allclose(
        xp_backend.check(changed(x), dtype=dtype, shape=(2, 4)),
        xp_backend.check(network(x), dtype="float32", shape=(2, 4)),
        atol=TOLERANCES[dtype],
    )
