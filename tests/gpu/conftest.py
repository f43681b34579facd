"""Fixtures of the tests on a GPU (``pytest -m gpu``); without one, the reason is printed."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.cli.main import main


@pytest.fixture(autouse=True)
def _needs_gpu(gpu):
    """Skip each test where no GPU is usable."""


@pytest.fixture
def here(gpu):
    """Return a result's values, after validation of its device and dtype."""

    def check(result, dtype="float32"):
        assert array_namespace(result) == array_namespace(gpu.asarray([0.0]))
        assert device_of(result) == gpu.handle
        assert str(result.dtype) == dtype
        return gpu.to_numpy(result)

    return check


@pytest.fixture(scope="session")
def make_network():
    """Make a float32 network whose layers preserve the magnitude of their inputs, on the host."""

    def make(*widths, activation="relu", **more):
        rng = np.random.default_rng(0)
        layers = [
            xpnet.Dense(
                (rng.standard_normal((n_in, n_out)) * (2 / n_in) ** 0.5).astype(np.float32),
                rng.normal(0, 0.1, n_out).astype(np.float32),
                activation if i < len(widths) - 2 else "identity",
            )
            for i, (n_in, n_out) in enumerate(pairwise(widths))
        ]
        return xpnet.Network(layers, xpnet.Scale(1 / 255), **more)

    return make


@pytest.fixture(scope="session")
def pixels():
    """Return 100,000 rows of 64 bytes."""
    return np.random.default_rng(1).integers(0, 256, (100_000, 64), np.uint8)


class Result(NamedTuple):
    """The result of a command line."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys, monkeypatch):
    """Run a command line in this process, without colors."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PYTHON_COLORS", "0")
    monkeypatch.setitem(vars(xpnet), "__version__", "0")  # it may be run without being installed

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Result(code, *capsys.readouterr())

    return run
