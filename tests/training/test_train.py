"""The training loop."""

import numpy as np
import pytest

import xpnet


@pytest.fixture(scope="module")
def digits():
    images, labels = xpnet.sample()
    return images[:300], labels[:300]


def start(**options):
    options = {"scheme": "xavier", "preprocessing": xpnet.Scale(1 / 255), **options}
    return xpnet.init_network([784, 20, 10], **options)


def weights(run):
    return [layer.weight for layer in run.network.layers]


def test_it_learns(digits):
    before = xpnet.evaluate(start(), *digits).accuracy
    run = xpnet.train(start(), *digits, epochs=15, batch_size=20, learning_rate=0.01)
    assert before < 0.3
    assert xpnet.evaluate(run.network, *digits).accuracy > 0.95
    losses = [epoch.loss for epoch in run.history]
    assert losses[-1] < losses[0] / 5
    assert [epoch.number for epoch in run.history] == list(range(1, 16))
    assert all(a.seconds < b.seconds for a, b in zip(run.history, run.history[1:], strict=False))


def test_the_start_is_not_changed(digits):
    network = start()
    copy = network.layers[0].weight.copy()
    xpnet.train(network, *digits, epochs=1)
    np.testing.assert_array_equal(network.layers[0].weight, copy)


def test_preprocessing_and_meaning_are_kept(digits):
    run = xpnet.train(start(), *digits, epochs=1)
    assert run.network.preprocessing == (xpnet.Scale(1 / 255),)
    assert [layer.activation for layer in run.network.layers] == ["sigmoid", "identity"]


@pytest.mark.parametrize("augment", [0, 1])
def test_the_same_seed_gives_the_same_bits(digits, augment):
    one, same, other = (
        xpnet.train(start(), *digits, epochs=2, seed=seed, augment=augment) for seed in (1, 1, 2)
    )
    for a, b in zip(weights(one), weights(same), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(weights(one)[0], weights(other)[0])


def test_every_backend_learns_the_same(xp_backend, digits):
    if xp_backend.name == "dask":
        pytest.skip("Dask arrays are lazy: a training would pile up an endless graph")
    host = start()
    layers = [
        xpnet.Dense(xp_backend.asarray(old.weight), xp_backend.asarray(old.bias), old.activation)
        for old in host.layers
    ]
    network = xpnet.Network(layers, preprocessing=host.preprocessing)
    run = xpnet.train(network, digits[0][:60], digits[1][:60], epochs=2, batch_size=20)
    expected = xpnet.train(host, digits[0][:60], digits[1][:60], epochs=2, batch_size=20)
    for ours, layer in zip(run.network.layers, expected.network.layers, strict=True):
        values = xp_backend.check(ours.weight, dtype="float32", shape=layer.weight.shape)
        # Six steps of 0.005 at most; rounding moves a weight by a small part of one.
        np.testing.assert_allclose(values, layer.weight, atol=1e-4)
    assert run.history[-1].loss == pytest.approx(expected.history[-1].loss, rel=1e-4)


def test_images_held_out_are_not_learned(digits):
    images, labels = digits
    run = xpnet.train(start(), images, labels, epochs=1, validation=0.5)
    assert 0 <= run.history[0].validation_accuracy <= 1
    seen = []
    xpnet.train(start(), images, labels, epochs=1, validation=0.5, progress=seen.append)
    assert sum(seen) == 150


def test_without_validation_there_is_no_accuracy(digits):
    assert xpnet.train(start(), *digits, epochs=1).history[0].validation_accuracy is None


def test_callbacks_see_every_epoch_and_image(digits):
    epochs, counts = [], []
    run = xpnet.train(
        start(), *digits, epochs=2, batch_size=128, on_epoch=epochs.append, progress=counts.append
    )
    assert tuple(epochs) == run.history
    assert counts == [128, 128, 44] * 2


def test_read_only_images_can_be_learned(digits):
    images = digits[0].copy()
    images.flags.writeable = False
    assert xpnet.train(start(), images, digits[1], epochs=1, augment=1).history[0].loss > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "`epochs` must be at least 1; got 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1; got 0"),
        ({"learning_rate": 0}, "`learning_rate` must be positive; got 0"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be positive; got nan"),
        ({"validation": 1.0}, "from 0 to below 1; got 1.0"),
        ({"validation": -0.1}, "from 0 to below 1; got -0.1"),
        ({"augment": -1}, "0 or more; got -1"),
    ],
)
def test_options_out_of_range(digits, options, message):
    with pytest.raises(ValueError, match=message):
        xpnet.train(start(), *digits, **options)


@pytest.mark.parametrize(
    ("images", "labels", "error", "message"),
    [
        (np.zeros((2, 784)), [0, 10], ValueError, "from 0 to 9; got 10 in place 1"),
        (np.zeros((2, 784)), [0], ValueError, r"shape \(2,\), as there are images; got \(1,\)"),
        (np.zeros((2, 784)), [0.0, 1.0], TypeError, "`labels` must be integers"),
        (np.zeros((2, 64)), [0, 1], ValueError, "rows of 784 values"),
        (np.zeros((0, 784)), np.zeros(0, int), ValueError, "at least one to learn from; got none"),
        ("digits", [0], TypeError, "`images` must be an array"),
    ],
)
def test_examples_that_do_not_fit(images, labels, error, message):
    with pytest.raises(error, match=message):
        xpnet.train(start(), images, labels)


@pytest.mark.parametrize(
    ("sizes", "output"), [([4, 1], "logits"), ([4, 2], "values"), ([4, 2], "probabilities")]
)
def test_only_logits_of_classes_are_trained(sizes, output):
    network = xpnet.init_network(sizes, output=output)
    with pytest.raises(ValueError, match=f"got output='{output}' with {sizes[-1]} units"):
        xpnet.train(network, np.zeros((2, 4)), [0, 1])


def test_a_loss_that_is_no_number_stops_the_training():
    with pytest.raises(FloatingPointError, match=r"the loss \(nan\) ran away in epoch 1: a lower"):
        xpnet.train(xpnet.init_network([2, 2]), np.asarray([[np.nan, 1.0]]), [0])


def test_weights_that_run_away_give_no_warning():
    start = xpnet.init_network([2, 5, 2], activation="relu", scheme="he")
    with pytest.raises(FloatingPointError, match="ran away in epoch 1: a lower learning rate"):
        xpnet.train(start, np.ones((300, 2)), np.zeros(300, int), learning_rate=1e300)


def test_weights_that_run_away_in_the_last_step_are_told():
    # The loss of the only batch is still fine; only the weights after it are not.
    start = xpnet.init_network([2, 2])
    with pytest.raises(FloatingPointError, match="the weights ran away in epoch 1"):
        xpnet.train(start, np.ones((3, 2)), [0, 1, 1], epochs=1, learning_rate=1e39)


def test_torchs_graph_does_not_grow_with_the_training():
    torch = pytest.importorskip("torch", reason="only torch keeps a graph")
    layer = xpnet.Dense(torch.zeros(2, 2, requires_grad=True), torch.zeros(2, requires_grad=True))
    run = xpnet.train(xpnet.Network([layer]), np.ones((3, 2)), [0, 1, 1], epochs=1)
    assert not run.network.layers[0].weight.requires_grad
