"""A device of each library, by its word."""

import pytest

import xpnet

WORDS = ("cpu", "array-api-strict", "array-api-strict:device1", "array-api-strict:no_float64")
WORDS += ("dask", "torch", "torch:cpu", "jax", "jax:cpu:0", "dpnp", "mlx")


@pytest.fixture(scope="session")
def opened():
    """Return a function: a device; the test is skipped where its library is not installed."""

    def opened(word):
        try:
            return xpnet.Device(word)
        except xpnet.DeviceError as error:
            if error.code != "not-installed":
                raise
            pytest.skip(str(error))

    return opened


@pytest.fixture(params=WORDS)
def device(request, opened):
    return opened(request.param)
