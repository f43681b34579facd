"""Current device: that of the network during every operation.

CuPy puts a result on the current device, not on the device of its arguments. A NumPy array that
records each operation stands for an array on a second GPU.
"""

from contextlib import contextmanager

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS

ROOMS = (
    "arrays.namespace",
    "functions.losses",
    "inference.class_labels",
    "inference.predict",
    "inference.runner",
    "networks.network",
    "networks.preprocessing",
    "networks.dense",
    "networks.whitening",
    "networks.column_statistics",
    "training.examples",
    "training.loop",
    "training.trainer",
)


class Spy(np.ndarray):
    """An array that records the operations on it while no device is current."""

    n_current = 0
    outside: list[str] = []  # noqa: RUF012 (of the class, on purpose)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        self._note(ufunc)
        results = options.get("out")
        if results is not None:
            options["out"] = bare(results)
        found = getattr(ufunc, method)(*bare(inputs), **options)
        return spied(found) if results is None else results[0]

    def __array_function__(self, function, _, args, options):
        self._note(function)
        return spied(function(*bare(args), **options))

    def _note(self, function):
        if not Spy.n_current:
            Spy.outside.append(function.__name__)


def bare(value):
    """Return arguments with plain arrays instead of spies."""
    if isinstance(value, Spy):
        return np.asarray(value)
    return type(value)(map(bare, value)) if isinstance(value, tuple | list) else value


def spied(value):
    return np.asarray(value).view(Spy) if isinstance(value, np.ndarray | np.generic) else value


@pytest.fixture(autouse=True)
def spies(monkeypatch):
    @contextmanager
    def current(_):
        Spy.n_current += 1
        try:
            yield
        finally:
            Spy.n_current -= 1

    monkeypatch.setattr(Spy, "outside", [])
    for room in ROOMS:
        monkeypatch.setattr(f"xpnet.{room}.current_device", current)


def network(n_out, **options):
    arrays = {"W1": np.ones((4, n_out), "f4"), "b1": np.ones(n_out, "f4")}
    return xpnet.Network.from_arrays({name: spied(a) for name, a in arrays.items()}, **options)


@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("output", ["logits", "probabilities"])
@pytest.mark.parametrize("predict", [xpnet.predict, xpnet.predict_proba])
def test_prediction(n_out, output, predict):
    predict(network(n_out, output=output), spied(np.ones((5, 2, 2))), batch_size=2)
    assert Spy.outside == []


def test_integer_labels():
    labels = xpnet.predict(network(3, classes=(7, 8, 9)), spied(np.ones((5, 2, 2))))
    assert labels.tolist() == [7] * 5
    assert Spy.outside == []


def test_a_layer():
    layer = network(3).layers[0]
    for method in (layer, layer.linear):
        method(spied(np.ones((5, 2, 4))))
    assert Spy.outside == []


def test_training():
    xpnet.train(
        network(3),
        spied(np.ones((20, 4))),
        np.arange(20) % 3,
        epochs=1,
        batch_size=5,
        validation=0.2,
        sample_weight=spied(np.arange(20.0)),
    )
    assert Spy.outside == []


def test_preprocessing():
    x = np.random.default_rng(0).normal(size=(20, 4)).astype("f4")
    steps = [xpnet.Standardize.fit(spied(x)), xpnet.Whiten.fit(spied(x), method="pca")]
    one = network(3, preprocessing=[*steps, xpnet.Whiten.fit(spied(x)), xpnet.Scale(2.0)])
    one(spied(x))
    assert Spy.outside == []


def test_functions():
    x = spied(np.ones((2, 3)))
    xpnet.cross_entropy(x, spied(np.asarray([0, 1])))
    network(3)(spied(np.ones((2, 2, 4))))
    assert Spy.outside == []


@pytest.mark.parametrize(
    "name", sorted({*(row.name for row in ACTIVATIONS.values()), "glu", "logsumexp"})
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_activations(name, dtype):
    getattr(xpnet, name)(spied(np.ones((2, 4), dtype)))
    assert Spy.outside == []


@pytest.mark.parametrize(
    "function", [xpnet.relu, xpnet.softmax, xpnet.glu], ids=lambda f: f.__name__
)
def test_whole_numbers(function):
    function(spied(np.ones((2, 4), np.int64)))
    assert Spy.outside == []


@pytest.mark.parametrize("activation", [n for n, row in ACTIVATIONS.items() if row.is_learnable])
def test_training_of_every_activation(activation):
    arrays = {"W1": np.ones((4, 3)), "b1": np.ones(3), "W2": np.ones((3, 2)), "b2": np.ones(2)}
    untrained = xpnet.Network.from_arrays(
        {name: spied(a.astype("f4")) for name, a in arrays.items()}, activation=activation
    )
    xpnet.train(untrained, spied(np.ones((20, 4))), np.arange(20) % 2, epochs=1, batch_size=10)
    assert Spy.outside == []


def test_the_spy_records():
    np.exp(spied(np.ones(3)))
    assert Spy.outside == ["exp"]
