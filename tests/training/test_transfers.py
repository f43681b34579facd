"""Tests of the copies of a training run, with array-api-strict's device1 as the GPU."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.transfer import Transfers, count_transfers, move, to_numpy
from xpnet.training import examples
from xpnet.training.run import RunawayError

strict = pytest.importorskip("array_api_strict")
# Of 40 images, 30 are learned from, in 3 batches.
OPTIONS = {"epochs": 2, "batch_size": 10, "validation": 0.25}
# Bytes: float32 twice, and int64.
LOSS, CHECK, ANSWER, ID, COUNT = 4, 4, 8, 8, 8


def there(x):
    return move(x, strict, strict.Device("device1"))


def host_network():
    return xpnet.init_network(
        [784, 5, 10], activation="sigmoid", preprocessing=xpnet.Scale(1 / 255)
    )


def network_there():
    return host_network().map_arrays(there)


@pytest.fixture(scope="module")
def digits():
    return tuple(part[::25] for part in xpnet.sample())


def assert_learned_alike(run, expected):
    for ours, layer in zip(run.network.layers, expected.network.layers, strict=True):
        # Six steps of 0.005 at most; rounding moves a weight by a small part of one.
        np.testing.assert_allclose(to_numpy(ours.weight), layer.weight, atol=1e-4)
    accuracies = [[(e.accuracy, e.validation_accuracy) for e in r.history] for r in (run, expected)]
    assert accuracies[0] == accuracies[1]


# Bytes per epoch to the device: training images with their class ids, then the training images
# and the held-out ones again, for their scores.
EPOCH_TO_DEVICE = 30 * (784 + ID) + 30 * 784 + 10 * 784
# And back: the loss, whether all is finite, and ten outputs for each image scored.
EPOCH_TO_HOST = LOSS + CHECK + (30 + 10) * 10 * 4


def test_host_images_cross_some_thousand_at_a_time(digits):
    run = xpnet.train(network_there(), *digits, **OPTIONS)
    assert run.transfers == Transfers(
        2 * (2 + 2), 2 * EPOCH_TO_DEVICE, 2 * (2 + 2), 2 * EPOCH_TO_HOST
    )
    assert_learned_alike(run, xpnet.train(host_network(), *digits, **OPTIONS))


def test_fewer_at_a_time_are_more_copies_of_as_many_bytes(digits, monkeypatch):
    monkeypatch.setattr(examples, "_ROWS_AT_A_TIME", 20)
    run = xpnet.train(network_there(), *digits, **OPTIONS)
    # 20 and then 10 of 30 images and class ids.
    assert run.transfers == Transfers(
        2 * (4 + 2), 2 * EPOCH_TO_DEVICE, 2 * (2 + 2), 2 * EPOCH_TO_HOST
    )


def test_augmented_images_are_counted_alike(digits):
    run = xpnet.train(network_there(), *digits, augment=1, **OPTIONS)
    assert run.transfers == Transfers(
        2 * (2 + 2), 2 * EPOCH_TO_DEVICE, 2 * (2 + 2), 2 * EPOCH_TO_HOST
    )
    assert_learned_alike(run, xpnet.train(host_network(), *digits, augment=1, **OPTIONS))


def test_images_there_are_chosen_there(digits):
    images, labels = map(there, digits)
    run = xpnet.train(network_there(), images, labels, transfers="forbid", **OPTIONS)
    # The places of the images held out, and of those whose accuracy is measured; then in each
    # epoch their order.
    to_device = Transfers(2 + 2, (10 + 30 + 2 * 30) * ID)
    # Whether a label is wrong; then the loss, whether all is finite, and twice a loss and a count;
    # at the end the number of images of the most frequent class.
    copies, n_bytes = 1 + 2 * 6 + 1, ANSWER + 2 * (LOSS + CHECK + 2 * (LOSS + COUNT)) + COUNT
    assert run.transfers == Transfers(
        to_device.copies_to_device, to_device.bytes_to_device, copies, n_bytes
    )
    assert_learned_alike(run, xpnet.train(host_network(), *digits, **OPTIONS))


def test_labels_there_are_chosen_there_beside_augmented_images(digits):
    # The places of labels cross in the thread that learns, where they are counted.
    images, labels = digits[0], there(digits[1])
    run = xpnet.train(network_there(), images, labels, augment=1, **OPTIONS)
    to_device = (10 + 30 + 2 * 30) * ID + 2 * (30 + 30 + 10) * 784
    # Labels come back to be compared with outputs that have.
    to_host = ANSWER + 2 * (EPOCH_TO_HOST + (30 + 10) * ID) + COUNT
    assert run.transfers == Transfers(2 + 2 * (1 + 1 + 2), to_device, 1 + 2 * 6 + 1, to_host)
    expected = xpnet.train(host_network(), *digits, augment=1, **OPTIONS)
    assert_learned_alike(run, expected)


def test_other_examples_held_out_are_copied_for_their_scores(digits):
    images, labels = digits
    options = {"epochs": 2, "batch_size": 10, "validation": (images[:5], labels[:5])}
    run = xpnet.train(network_there(), images, labels, **options)
    to_device = 2 * (40 * (784 + ID) + (40 + 5) * 784)
    to_host = 2 * (LOSS + CHECK + (40 + 5) * 40)
    assert run.transfers == Transfers(2 * (2 + 2), to_device, 2 * (2 + 2), to_host)


@pytest.mark.parametrize("options", [{}, {"augment": 1}])
def test_on_the_host_nothing_is_copied(digits, options):
    run = xpnet.train(host_network(), *digits, transfers="forbid", **OPTIONS, **options)
    assert run.transfers == Transfers()


def test_what_is_in_host_memory_may_be_augmented_where_copies_are_forbidden(digits):
    torch = pytest.importorskip("torch", reason="torch's arrays may be in host memory")
    network = host_network().map_arrays(torch.tensor)
    images, labels = map(torch.tensor, digits)
    run = xpnet.train(network, images, labels, augment=1, transfers="forbid", **OPTIONS)
    assert run.transfers == Transfers()
    assert_learned_alike(run, xpnet.train(host_network(), *digits, augment=1, **OPTIONS))


def test_forbidden_images_and_labels(digits):
    network = network_there()
    with pytest.raises(ValueError, match=r"`images` of shape \(40, 28, 28\) would be copied"):
        xpnet.train(network, *digits, transfers="forbid")
    with pytest.raises(ValueError, match=r"`labels` of shape \(40,\) would be copied"):
        xpnet.train(network, there(digits[0]), digits[1], transfers="forbid")
    placed = tuple(map(there, digits))
    with pytest.raises(ValueError, match=r"`images` of shape \(40, 28, 28\) would be copied"):
        xpnet.train(network, *placed, validation=digits, transfers="forbid")
    with pytest.raises(ValueError, match=r"`labels` of shape \(40,\) would be copied"):
        xpnet.train(network, *placed, validation=(placed[0], digits[1]), transfers="forbid")
    with pytest.raises(ValueError, match=r"`images` of shape \(40, 28, 28\) would be copied"):
        xpnet.train(host_network(), *placed, transfers="forbid")


def test_moves_of_pixels_need_the_host(digits):
    images, labels = map(there, digits)
    message = "`augment` runs on the host and must be 0 with transfers='forbid'"
    with pytest.raises(ValueError, match=message):
        xpnet.train(network_there(), images, labels, transfers="forbid", augment=2)
    run = xpnet.train(network_there(), images, labels, epochs=1, augment=2)
    assert run.transfers.bytes_to_host > 40 * 784


def test_an_error_says_what_was_copied_until_then(digits):
    network = network_there()
    with count_transfers() as counted, pytest.raises(RunawayError) as caught:
        xpnet.train(network, *digits, epochs=1, batch_size=100, learning_rate=1e39)
    # The images, their class ids, the loss, and whether the weights are finite.
    expected = Transfers(2, 40 * (784 + ID), 2, LOSS + CHECK)
    assert caught.value.run.transfers == counted == expected
