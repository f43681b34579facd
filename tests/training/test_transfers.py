"""Training on a device: array-api-strict's device1 is in the place of a GPU."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.counting import Transfers
from xpnet.arrays.transfer import move, to_numpy

strict = pytest.importorskip("array_api_strict")
OPTIONS = {"epochs": 2, "batch_size": 10, "validation": 0.25}


def there(x):
    return move(x, strict, strict.Device("device1"))


def host_network():
    return xpnet.init_network([784, 5, 10], scheme="he", preprocessing=xpnet.Scale(1 / 255))


def network_there():
    old = host_network()
    layers = [xpnet.Dense(there(y.weight), there(y.bias), y.activation) for y in old.layers]
    return xpnet.Network(layers, old.preprocessing)


@pytest.fixture(scope="module")
def digits():
    return tuple(part[::25] for part in xpnet.sample())


def test_host_images_cross_batch_by_batch(digits):
    run = xpnet.train(network_there(), *digits, **OPTIONS)
    # Each epoch: 30 images and labels in 3 batches, then 10 images held out, whose labels come
    # back; a loss, and whether each of the 4 parameters is finite.
    to_device = 2 * (30 * (784 + 8) + 10 * 784)
    assert run.transfers == Transfers(2 * 7, to_device, 2 * 6, 2 * (10 * 8 + 4 + 4))


def test_images_there_are_chosen_there(digits):
    images, labels = map(there, digits)
    run = xpnet.train(network_there(), images, labels, transfers="forbid", **OPTIONS)
    # Each epoch: the order and the places of images held out there; a loss, 4 answers and the
    # counts back. Before them, whether a label is wrong.
    to_host = 1 + 2 * (4 + 4 + 101 * 8)
    assert run.transfers == Transfers(4, 2 * 8 * (30 + 10), 1 + 2 * 6, to_host)
    expected = xpnet.train(host_network(), *digits, **OPTIONS)
    for ours, layer in zip(run.network.layers, expected.network.layers, strict=True):
        # Six steps of 0.005 at most; rounding moves a weight by a small part of one.
        np.testing.assert_allclose(to_numpy(ours.weight), layer.weight, atol=1e-4)
    accuracies = [[e.validation_accuracy for e in r.history] for r in (run, expected)]
    assert accuracies[0] == accuracies[1]


def test_on_the_host_nothing_is_copied(digits):
    run = xpnet.train(host_network(), *digits, transfers="forbid", **OPTIONS)
    assert run.transfers == Transfers()


def test_forbidden_images_and_labels(digits):
    with pytest.raises(ValueError, match=r"`images` of shape \(40, 28, 28\) would be copied"):
        xpnet.train(network_there(), *digits, transfers="forbid")
    with pytest.raises(ValueError, match=r"`labels` of shape \(40,\) would be copied"):
        xpnet.train(network_there(), there(digits[0]), digits[1], transfers="forbid")


def test_moves_of_pixels_need_the_host(digits):
    images, labels = map(there, digits)
    with pytest.raises(ValueError, match=r"`augment` must be 0 with transfers='forbid'.* got 2"):
        xpnet.train(network_there(), images, labels, augment=2, transfers="forbid")
    run = xpnet.train(network_there(), images, labels, augment=2, epochs=1)
    assert run.transfers.bytes_to_host > 40 * 784
