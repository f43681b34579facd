"""Networks of every output and dtype learn, from examples of every form."""

import numpy as np
import pytest

import xpnet


def test_a_regression_learns_a_sine():
    x = np.linspace(-3, 3, 200)[:, None]
    network = xpnet.init_network([1, 20, 1], activation="tanh", scheme="he", output="values")
    run = xpnet.train(
        network, x, np.sin(x[:, 0]), epochs=200, batch_size=20, learning_rate=0.1, validation=0.2
    )
    assert np.max(np.abs(xpnet.predict(run.network, x)[:, 0] - np.sin(x[:, 0]))) < 0.1
    assert run.best.validation_loss < 1e-3
    assert {epoch.accuracy for epoch in run.history} == {None}
    assert run.best is min(run.history, key=lambda epoch: epoch.validation_loss)


@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_one_unit_for_two_classes(output, assert_same_bits):
    rows = np.random.default_rng(1).normal(size=(200, 2))
    names = np.where(rows[:, 0] + rows[:, 1] > 0.5, "above", "below")
    ending = "sigmoid" if output == "probabilities" else "identity"
    layer = xpnet.Dense(np.zeros((2, 1)), np.zeros(1), ending)
    network = xpnet.Network([layer], output=output, classes=["below", "above"])
    options = {"epochs": 30, "batch_size": 20, "learning_rate": 0.3}
    run = xpnet.train(network, rows, names, **options)
    assert (run.network.output, run.network.layers[-1].activation) == (output, ending)
    assert run.history[-1].accuracy > 0.97
    assert xpnet.evaluate(run.network, rows, names).accuracy == run.history[-1].accuracy
    ids = (names == "above").astype(int)
    assert_same_bits(run, xpnet.train(xpnet.Network([layer], output=output), rows, ids, **options))


@pytest.mark.parametrize("convert", [np.asarray, list, lambda x: x.astype(object)], ids=range(3))
@pytest.mark.parametrize("names", [["setosa", "versicolor", "virginica"], ["no", "yes"]], ids=len)
def test_labels_that_are_names(convert, names):
    ids = np.random.default_rng(0).permutation(np.arange(90) % len(names))
    rows, labels = np.eye(3)[ids], convert(np.asarray(names)[ids])
    network = xpnet.init_network([3, 3 if len(names) == 3 else 1])
    run = xpnet.train(network, rows, labels, validation=0.2, learning_rate=0.1)
    assert run.network.classes == tuple(names)
    assert xpnet.predict(run.network, rows).tolist() == list(labels)
    assert xpnet.evaluate(run.network, rows, labels).accuracy == 1.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_network_of_half_the_bits_learns(digits, start, dtype):
    network = start(dtype="float16")
    if dtype == "bfloat16":
        torch = pytest.importorskip("torch", reason="only torch has a bfloat16 to learn in")
        network = start().map_arrays(lambda x: torch.tensor(x).bfloat16())
    run = xpnet.train(network, *digits, epochs=10, batch_size=20, learning_rate=0.01)
    assert str(run.network.dtype).endswith(dtype)
    assert run.history[-1].accuracy > 0.9
    losses = [epoch.loss for epoch in run.history]
    assert losses == sorted(losses, reverse=True)


def test_the_loss_of_many_examples_is_not_too_large_for_float16():
    # The sum of 100,000 losses of 0.69 is; nor is their mean rounded to three digits.
    rows, labels = np.ones((100_000, 2), np.float16), np.arange(100_000) % 2
    network = xpnet.init_network([2, 2], scheme="normal", dtype="float16")
    run = xpnet.train(network, rows, labels, epochs=1, batch_size=5000, learning_rate=1e-6)
    assert run.history[0].loss == pytest.approx(0.6931, rel=1e-3)


def read_only(x):
    x = np.array(x)
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("augment", [0, 1])
def test_images_of_a_mapped_file(digits, start, tmp_path, augment, assert_same_bits):
    np.save(tmp_path / "images.npy", digits[0])
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    options = {"epochs": 1, "validation": 0.2, "augment": augment}
    run = xpnet.train(start().map_arrays(read_only), mapped, read_only(digits[1]), **options)
    assert_same_bits(run, xpnet.train(start(), *digits, **options))


@pytest.mark.parametrize("augment", [0, 1])
def test_images_of_any_backend(xp_backend, digits, start, augment):
    images, labels = digits[0][:50], digits[1][:50]
    placed = xp_backend.asarray(images, "uint8"), xp_backend.asarray(labels, "int64")
    # Dask's are computed first.
    network = start() if xp_backend.name == "dask" else start().map_arrays(xp_backend.asarray)
    options = {"epochs": 2, "batch_size": 20, "validation": 0.2, "augment": augment}
    run, expected = (
        xpnet.train(*given, **options) for given in ((network, *placed), (start(), images, labels))
    )
    losses = [[epoch.loss for epoch in r.history] for r in (run, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize(
    "augment", [0, lambda rows, _: rows * np.float64(1.0)], ids=["", "augment"]
)
def test_rows_and_values_of_float64_on_every_device(to_backend, augment):
    x = np.random.default_rng(0).normal(size=(40, 2))
    y = x[:, 0] - x[:, 1]
    host = xpnet.init_network([2, 1], output="values")
    options = {"epochs": 2, "validation": (x, y), "augment": augment}
    run, expected = (xpnet.train(network, x, y, **options) for network in (to_backend(host), host))
    for ours, other in zip(run.history, expected.history, strict=True):
        assert ours.loss == pytest.approx(other.loss, rel=1e-4)
        assert ours.validation_loss == pytest.approx(other.validation_loss, rel=1e-4)
    assert run.baseline == pytest.approx(y.var(), rel=1e-6)


def test_torchs_graph_does_not_grow():
    torch = pytest.importorskip("torch", reason="only torch keeps a graph")

    def leaf(*shape):
        return torch.ones(*shape, requires_grad=True)

    network = xpnet.Network(
        [xpnet.Dense(leaf(2, 2), leaf(2))], preprocessing=xpnet.Standardize(leaf(2), leaf(2))
    )
    run = xpnet.train(network, leaf(6, 2), torch.arange(6) % 2, epochs=2, validation=0.5)
    (layer,), (given,) = run.network.layers, network.layers
    assert not any(x.requires_grad for x in (layer.weight, layer.bias))
    assert float(given.weight.detach().max()) == 1.0
