"""Batch options, and images as rows."""

import numpy as np
import pytest

import xpnet
from xpnet.inference.batches import BatchOptions, as_rows, check_batch_size, default_batch_size


@pytest.mark.parametrize("shape", [(3, 784), (3, 28, 28), (3, 1, 28, 28), (0, 28, 28)])
def test_images_become_rows(xp_backend, shape):
    rows = as_rows(xp_backend.asarray(np.ones(shape), "uint8"), 784)
    xp_backend.check(rows, dtype="uint8", shape=(shape[0], 784))


def test_rows_are_not_copied():
    rows = np.zeros((3, 784))
    assert as_rows(rows, 784) is rows


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((3, 64), "64\\)$"), ((784,), r"single image, give images\[None\]"), ((28, 28), "single")],
)
def test_other_shapes_are_rejected(shape, hint):
    with pytest.raises(ValueError, match=f"rows of 784 values.*{hint}"):
        as_rows(np.zeros(shape), 784)


def test_no_array_is_rejected():
    with pytest.raises(TypeError, match="`images` must be an array"):
        as_rows("digits", 784)


@pytest.mark.parametrize("name", ["batch_size", "threads"])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "at least 1; got 0"),
        (-2, ValueError, "at least 1; got -2"),
        ("abc", TypeError, "an integer or None; got 'abc'"),
        (1.5, TypeError, "an integer or None; got 1.5"),
        (True, TypeError, "an integer or None; got True"),
    ],
)
def test_options_that_are_rejected(name, value, error, message):
    with pytest.raises(error, match=f"^`{name}` must be {message}$"):
        BatchOptions(**{name: value}).checked()


@pytest.mark.parametrize("call", [xpnet.predict, xpnet.predict_proba, xpnet.evaluate])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"threads": 0}, "`threads` must be at least 1"),
    ],
)
def test_every_call_validates_its_options(call, options, message):
    arguments = xpnet.sample() if call is xpnet.evaluate else xpnet.sample()[:1]
    with pytest.raises(ValueError, match=message):
        call(xpnet.load("sample"), *arguments, **options)


def test_batch_sizes_of_numpy_are_integers():
    assert check_batch_size(xpnet.init_network([2, 2]), np.int64(7)) == 7


@pytest.mark.parametrize(
    ("width", "expected"),
    [(16, 4096), (128, 4096), (784, 704), (1024, 512), (4096, 512), (2**21, 8), (2**25, 1)],
)
def test_the_default_suits_the_widest_layer(width, expected):
    layer = xpnet.Dense(np.zeros((1, width), np.float16), np.zeros(width, np.float16))
    assert default_batch_size(xpnet.Network([layer])) == expected


@pytest.mark.parametrize(
    ("width", "dtype", "expected"),
    [(784, "float32", 21_399), (1, "float32", 2**24), (2**14, "float64", 512), (2**25, "f4", 1)],
)
def test_the_default_on_a_device_is_a_number_of_bytes(width, dtype, expected):
    device = xpnet.Device("array-api-strict:device1")
    layer = xpnet.Dense(np.zeros((1, width), dtype), np.zeros(width, dtype))
    network = xpnet.Network([layer]).map_arrays(device.asarray)
    assert default_batch_size(network) == expected
