"""The backends: a test that asks for `xp_backend` runs on each library and device that is here."""

import importlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer import move, to_numpy

BACKENDS = (
    "numpy",
    "array-api-strict",
    "array-api-strict:device1",
    "array-api-strict:no_float64",
    "array-api-strict:strictest",
    "dask",
    "torch",
    "jax",
    "cupy",
)
MISSING = pytest.StashKey[dict[str, str]]()


@dataclass(frozen=True)
class Backend:
    """A library and a device: how a test makes its arrays there, and judges what comes back."""

    name: str
    xp: Any
    device: Any
    flags: AbstractContextManager[Any] = field(default_factory=nullcontext)

    def asarray(self, values: Any, dtype: str = "float32") -> Any:
        """Return values (numbers, lists or a NumPy array) as an array of this backend."""
        if dtype == "float64" and self.name.endswith("no_float64"):
            pytest.skip(f"{self.name} has no float64")
        return move(np.asarray(values, dtype), self.xp, self.device)

    def check(self, result: Any, *, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Assert that a result belongs here, dtype and shape included; return its values."""
        assert array_namespace(result) is self.xp
        assert device_of(result) == self.device
        assert result.dtype == getattr(self.xp, dtype)
        assert tuple(result.shape) == shape
        return to_numpy(result)


def _open(name: str) -> Backend:
    """Return the backend of this name; ImportError where it is not installed."""
    library, _, variant = name.partition(":")
    if library == "numpy":
        return Backend(name, np, "cpu")
    if library == "array-api-strict":
        return _open_strict(name, variant)
    compat = importlib.import_module("array_api_compat")
    if library == "jax":
        jax = importlib.import_module("jax")
        jax.config.update("jax_enable_x64", True)  # noqa: FBT003 (JAX's own signature)
        example = importlib.import_module("jax.numpy").zeros(1)
    elif library == "dask":
        example = importlib.import_module("dask.array").zeros(1)
    else:
        example = importlib.import_module(library).zeros(1)
    return Backend(name, compat.array_namespace(example), compat.device(example))


def _open_strict(name: str, variant: str) -> Backend:
    strict = importlib.import_module("array_api_strict")
    if variant == "strictest":
        flags = strict.ArrayAPIStrictFlags(
            boolean_indexing=False, data_dependent_shapes=False, enabled_extensions=()
        )
        return Backend(name, strict, strict.Device("CPU_DEVICE"), flags)
    return Backend(name, strict, strict.Device(variant or "CPU_DEVICE"))


def _why_not(name: str) -> str | None:
    """Return why a backend cannot be tested here; None if it can."""
    if name == "cupy":
        diagnosis = importlib.import_module("xpnet.arrays.diagnosis").diagnose()
        return None if diagnosis.usable else str(diagnosis)
    library = name.partition(":")[0].replace("-", "_")
    if importlib.util.find_spec(library) is None:
        return f"{library} is not installed"
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that turns a missing backend from a skip into a failure."""
    parser.addoption(
        "--xp-require",
        default="",
        metavar="NAMES",
        help="backends that must be here, such as torch,jax: without them no test is run",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find the backends that are here; stop if one is missing that must not be."""
    reasons = {name: _why_not(name) for name in BACKENDS}
    config.stash[MISSING] = {name: reason for name, reason in reasons.items() if reason}
    for name in filter(None, config.getoption("--xp-require").split(",")):
        if reasons.get(name, "no such backend") is not None:
            msg = f"--xp-require={name}: {reasons.get(name, 'no such backend')}"
            raise pytest.UsageError(msg)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for `xp_backend` on every one that is here."""
    chosen = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "xp_backend" in metafunc.fixturenames and not any("xp_backend" in names for names in chosen):
        here = [name for name in BACKENDS if name not in metafunc.config.stash[MISSING]]
        marked = [
            pytest.param(name, marks=pytest.mark.gpu) if name == "cupy" else name for name in here
        ]
        metafunc.parametrize("xp_backend", marked, indirect=True)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which backends were not tested, and why."""
    for name, reason in config.stash[MISSING].items():
        terminalreporter.write_line(f"NOT TESTED backend {name}: {reason}")


@pytest.fixture
def xp_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each library and device that is installed here."""
    if request.param in request.config.stash[MISSING]:
        pytest.skip(f"{request.param}: {request.config.stash[MISSING][request.param]}")
    opened = _open(request.param)
    with opened.flags:
        yield opened


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of larger data sets that the variable XPNET_TEST_DATA names."""
    if "XPNET_TEST_DATA" not in os.environ:
        pytest.skip("XPNET_TEST_DATA is not set")
    return Path(os.environ["XPNET_TEST_DATA"])
