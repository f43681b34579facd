"""Copies between host and device: none is hidden. array-api-strict's device1 stands for a GPU."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.library import Library
from xpnet.arrays.transfer import move, to_numpy

strict = pytest.importorskip("array_api_strict")
DEVICE = strict.Device("device1")
DEVICE_ARRAY = strict.zeros(2, device=DEVICE)
IMAGES, LABELS = (part[::25] for part in xpnet.sample())


def there(x):
    return move(x, strict, DEVICE)


def untrained():
    return xpnet.init_network(
        [784, 5, 10], activation="sigmoid", preprocessing=xpnet.Scale(1 / 255)
    )


@pytest.fixture
def copies(monkeypatch):
    """Return a list of the sizes of arrays that are copied to a device or from one."""
    found, array, to_device = [], Library.array, type(DEVICE_ARRAY).to_device

    def array_counted(library, x, device, /):
        found.append(x.size)
        return array(library, x, device)

    def to_device_counted(x, device, /, **options):
        found.append(x.size)
        return to_device(x, device, **options)

    monkeypatch.setattr(Library, "array", array_counted)
    monkeypatch.setattr(type(DEVICE_ARRAY), "to_device", to_device_counted)
    return found


@pytest.fixture
def placed():
    """Return a network, images and labels on the device."""
    network = xpnet.load("sample").map_arrays(there)
    return network, there(IMAGES.reshape(40, 784)), there(LABELS)


def test_images_on_the_device_stay_there(placed, copies):
    network, images, _ = placed
    exact = xpnet.reproducible(network)
    copies.clear()
    for call in (xpnet.predict, xpnet.predict_proba, xpnet.forward):
        for net in (network, exact):
            assert call(net, images).device == DEVICE
    assert copies == []


def test_host_images_cross_once_and_labels_come_back(placed, copies):
    found = xpnet.predict(placed[0], IMAGES)
    assert copies == [40 * 784, 40]
    np.testing.assert_array_equal(found, xpnet.predict(xpnet.load("sample"), IMAGES))


@pytest.mark.parametrize("on_host", [False, True])
def test_class_ids_and_labels_alone_come_to_the_host(placed, copies, on_host):
    network, images, labels = placed
    result = xpnet.evaluate(network, images, LABELS if on_host else labels)
    assert copies == [40] * len(copies)
    expected = xpnet.evaluate(xpnet.load("sample"), IMAGES, LABELS)
    np.testing.assert_array_equal(result.confusion, expected.confusion)


@pytest.mark.parametrize(("on_host", "options"), [(False, {}), (True, {}), (True, {"augment": 1})])
def test_training_copies_images_of_the_host_alone(copies, on_host, options):
    given = (IMAGES, LABELS) if on_host else tuple(map(there, (IMAGES, LABELS)))
    network = untrained().map_arrays(there)
    copies.clear()
    options = {"epochs": 2, "batch_size": 10, "validation": 0.25, **options}
    run = xpnet.train(network, *given, **options)
    assert any(size >= 10 * 784 for size in copies) == on_host
    expected = xpnet.train(untrained(), IMAGES, LABELS, **options)
    for ours, layer in zip(run.network.layers, expected.network.layers, strict=True):
        assert ours.weight.device == DEVICE
        # Six steps of 0.005 at most; rounding moves a weight by a small part of one.
        np.testing.assert_allclose(to_numpy(ours.weight), layer.weight, atol=1e-4)
    assert run.best.validation_accuracy == expected.best.validation_accuracy
