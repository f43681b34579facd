"""Copies between host and device: none is hidden. array-api-strict's device1 stands for a GPU."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.library import Library
from xpnet.arrays.transfer import move, to_numpy

strict = pytest.importorskip("array_api_strict")
DEVICE = strict.Device("device1")
IMAGES, LABELS = (part[::25] for part in xpnet.sample())
ID = 8  # bytes


def there(x):
    return move(x, strict, DEVICE)


def untrained():
    return xpnet.init_network(
        [784, 5, 10], activation="sigmoid", preprocessing=xpnet.Scale(1 / 255)
    )


@pytest.fixture
def copies(monkeypatch):
    """Return a list of the bytes of each copy between host and device."""
    found, array, numpy = [], Library.array, Library.numpy

    def array_counted(library, x, device, /):
        found.append(x.nbytes)
        return array(library, x, device)

    def numpy_counted(library, x, /):
        host = numpy(library, x)
        found.append(host.nbytes)
        return host

    monkeypatch.setattr(Library, "array", array_counted)
    monkeypatch.setattr(Library, "numpy", numpy_counted)
    return found


@pytest.fixture
def no_copies(monkeypatch):
    """Let every copy between libraries or devices fail."""

    def fail(*_, **__):
        msg = "a hidden copy"
        raise AssertionError(msg)

    for owner, name in (
        (Library, "array"),
        (Library, "numpy"),
        (type(strict.ones(1)), "to_device"),
    ):
        monkeypatch.setattr(owner, name, fail)


@pytest.fixture
def placed():
    """Return a network, images and labels on the device."""
    network = xpnet.load("sample").map_arrays(there)
    return network, there(IMAGES.reshape(40, 784)), there(LABELS)


def test_images_on_the_device_stay_there(placed, request):
    network, images, _ = placed
    exact = xpnet.reproducible(network)
    request.getfixturevalue("no_copies")
    for call in (xpnet.predict, xpnet.predict_proba, lambda net, x: net(x)):
        for net in (network, exact):
            assert call(net, images).device == DEVICE


@pytest.mark.usefixtures("no_copies")
def test_a_hidden_copy_is_seen():
    for copy in (to_numpy, lambda x: move(x, strict, strict.Device("CPU_DEVICE"))):
        with pytest.raises(AssertionError, match="hidden"):
            copy(strict.zeros(2, device=DEVICE))
    with pytest.raises(AssertionError, match="hidden"):
        there(np.zeros(2))


def test_host_images_cross_once_and_labels_come_back(placed, copies):
    network = placed[0]
    found = xpnet.predict(network, IMAGES)
    assert copies == [40 * 784, 40 * ID]
    np.testing.assert_array_equal(found, xpnet.predict(xpnet.load("sample"), IMAGES))


@pytest.mark.parametrize("on_host", [False, True])
def test_only_counts_come_back_for_labels_on_the_device(placed, copies, on_host):
    network, images, labels = placed
    result = xpnet.evaluate(network, images, LABELS if on_host else labels)
    assert max(copies) < 8 * 102
    expected = xpnet.evaluate(xpnet.load("sample"), IMAGES, LABELS)
    np.testing.assert_array_equal(result.confusion, expected.confusion)


def test_images_on_the_host_do_not_move(copies):
    network = xpnet.load("sample")
    xpnet.predict_proba(network, IMAGES)
    xpnet.evaluate(network, IMAGES, LABELS)
    xpnet.train(untrained(), IMAGES, LABELS, epochs=1, validation=0.25)
    arrays = [x for layer in network.layers for x in (layer.weight, layer.bias)]
    assert not set(copies) & {IMAGES.nbytes, *(x.nbytes for x in arrays)}


@pytest.mark.parametrize(("on_host", "options"), [(False, {}), (True, {}), (True, {"augment": 1})])
def test_training_copies_images_of_the_host_alone(copies, on_host, options):
    given = (IMAGES, LABELS) if on_host else tuple(map(there, (IMAGES, LABELS)))
    network = untrained().map_arrays(there)
    copies.clear()
    options = {"epochs": 2, "batch_size": 10, "validation": 0.25, **options}
    run = xpnet.train(network, *given, **options)
    assert any(n_bytes >= 10 * 784 for n_bytes in copies) == on_host
    expected = xpnet.train(untrained(), IMAGES, LABELS, **options)
    for ours, layer in zip(run.network.layers, expected.network.layers, strict=True):
        assert ours.weight.device == DEVICE
        # Six steps of 0.005 at most; rounding moves a weight by a small part of one.
        np.testing.assert_allclose(to_numpy(ours.weight), layer.weight, atol=1e-4)
    assert run.best.validation_accuracy == expected.best.validation_accuracy
