"""Transfers to a device and back: array-api-strict's device1 stands for a GPU."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.arrays.transfer import Transfers, count_transfers, move

strict = pytest.importorskip("array_api_strict")
DEVICE = strict.Device("device1")


def there(x):
    return move(x, strict, DEVICE)


def network_there(**meaning):
    return replace(xpnet.load("sample").map_arrays(there), **meaning)


@pytest.fixture(scope="module")
def digits():
    images, labels = (part[::50] for part in xpnet.sample())
    return images.reshape(20, 784), labels


def test_predict_copies_images_there_and_labels_back(digits):
    with count_transfers() as transfers:
        xpnet.predict(network_there(), digits[0], batch_size=10)
    parameters = 784 * 50 + 50 + 50 * 100 + 100 + 100 * 10 + 10
    assert transfers == Transfers(6 + 2, 4 * parameters + 20 * 784, 2, 20 * 8)


def test_evaluate_counts_its_copies(digits):
    result = xpnet.evaluate(network_there(), *digits)
    assert result.transfers == Transfers(1, 20 * 784, 1, 20 * 8)


def test_on_the_host_nothing_is_copied(digits):
    result = xpnet.evaluate(xpnet.load("sample"), *digits, transfers="forbid")
    assert result.transfers == Transfers()


@pytest.mark.parametrize("classes", [None, tuple(range(10)), tuple("abcdefghij")])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_on_the_device_only_counts_come_back(digits, dtype, classes):
    images, labels = there(digits[0]), there(digits[1].astype(dtype))
    result = xpnet.evaluate(network_there(classes=classes), images, labels, transfers="forbid")
    expected = xpnet.evaluate(xpnet.load("sample"), *digits)
    np.testing.assert_array_equal(result.confusion, expected.confusion)
    # One number for the check of the labels, the starts of 100 sorted pairs, and the number of
    # images without a finite output.
    assert result.transfers == Transfers(0, 0, 3, 8 + 101 * 8 + 8)


def test_predict_on_the_device_copies_nothing(digits):
    network, images = network_there(), there(digits[0])
    with count_transfers() as transfers:
        xpnet.predict(network, images, transfers="forbid")
        xpnet.predict_proba(xpnet.reproducible(network), images, transfers="forbid")
    assert transfers == Transfers()


@pytest.mark.parametrize("call", [xpnet.predict, xpnet.predict_proba, xpnet.evaluate])
def test_forbidden_images(call, digits):
    arguments = digits if call is xpnet.evaluate else digits[:1]
    message = (
        r"`images` of shape \(20, 784\) would be copied from the host to .*device1.*: move them"
        r" once with xpnet\.Device\(\.\.\.\)\.asarray\(images\), or give transfers=.allow."
    )
    with count_transfers() as transfers, pytest.raises(ValueError, match=message):
        call(network_there(), *arguments, transfers="forbid")
    assert transfers.bytes_to_device < 200_000  # the network alone


def test_forbidden_images_of_a_stream(digits):
    with pytest.raises(ValueError, match=r"`images` of shape \(20, 784\) would be copied"):
        xpnet.predict(network_there(), iter([digits[0]]), transfers="forbid")


def test_forbidden_labels(digits):
    with pytest.raises(ValueError, match=r"`labels` of shape \(20,\) would be copied from the ho"):
        xpnet.evaluate(network_there(), there(digits[0]), digits[1], transfers="forbid")
    message = r"`labels` of shape \(20,\).* from .*device1.* to the host.*xpnet\.Device\('cpu'\)"
    with pytest.raises(ValueError, match=message):
        xpnet.evaluate(xpnet.load("sample"), digits[0], there(digits[1]), transfers="forbid")


def test_wrong_labels_on_the_device(digits):
    labels = there(np.asarray([0] * 7 + [10] + [0] * 12))
    with pytest.raises(ValueError, match="class ids from 0 to 9; got 10 at index 7"):
        xpnet.evaluate(network_there(), there(digits[0]), labels)
    network = network_there(classes=tuple(range(5, 15)))
    with pytest.raises(ValueError, match="entries of the network's classes; got 0 at index 0"):
        xpnet.evaluate(network, there(digits[0]), labels)


def test_images_on_the_device_and_labels_on_the_host(digits):
    result = xpnet.evaluate(network_there(), there(digits[0]), digits[1])
    assert result.transfers == Transfers(0, 0, 1, 20 * 8)
