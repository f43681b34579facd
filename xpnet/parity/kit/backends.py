"""The backends: each array library and device that code can be tried on, and which are here.

pytest is not needed: the plugin builds its fixtures from this, and `assert_parity` its comparison.
"""

import functools
import importlib
import importlib.util
import re
import unittest
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.diagnosis import diagnose
from xpnet.arrays.namespace import array_namespace, device_of, is_array, library_of
from xpnet.arrays.transfer import move, to_numpy
from xpnet.parity.kit.placing import PlacedNamespace

__all__ = [
    "NAMES",
    "Backend",
    "choosing",
    "chosen",
    "dtype_name",
    "expand",
    "open_backend",
    "why_not",
]

# Every backend, in the order in which tests run. A name is a library, and after a colon what
# makes this backend another than the library's default.
NAMES: Final = (
    "numpy",
    "array-api-strict",
    "array-api-strict:device1",
    "array-api-strict:no_float64",
    "array-api-strict:strictest",
    "dask",
    "torch",
    "torch:cuda",
    "jax",
    "cupy",
)
# The module of a library, where it is not called as the library.
_MODULES: Final = {"array-api-strict": "array_api_strict", "dask": "dask.array", "jax": "jax.numpy"}
# The last one counts: a test session within a test session has a choice of its own.
_choices: Final[list[tuple[str, ...]]] = [NAMES]


@dataclass(frozen=True)
class Backend:
    """A library and a device: how a test makes its arrays there, and judges what comes back.

    Attributes
    ----------
    name : str
        One of `NAMES`, such as ``"array-api-strict:device1"``.
    xp : namespace
        The library's own namespace, as ``xpnet.arrays.namespace.array_namespace`` gives it.
    device : object
        The device in the library's own terms.
    flags : context manager
        Holds the library's settings while the backend is in use.
    """

    name: str
    xp: Any
    device: Any
    flags: AbstractContextManager[Any] = field(default_factory=nullcontext)

    @property
    def library(self) -> str:
        """The library's name, such as ``"array-api-strict"``."""
        return self.name.partition(":")[0]

    @property
    def has_float64(self) -> bool:
        """Whether the device has float64 at all."""
        return "float64" in self.xp.__array_namespace_info__().dtypes(device=self.device)

    def has(self, dtypes: Iterable[str], /) -> bool:
        """Tell whether the library has all these dtypes, such as ``"float16"``."""
        return all(hasattr(self.xp, dtype) for dtype in dtypes)

    @property
    def namespace(self) -> Any:
        """The namespace for tests: array-api-compat's, its creation functions on the device.

        That is the plain namespace where the device is the library's default, and else a
        `PlacedNamespace`, which is equal to the plain one (``==``) but not the same object.
        """
        if self.library == "numpy":
            # The one that array-api-compat gives for NumPy arrays.
            return importlib.import_module("array_api_compat.numpy")
        if self.name in {"array-api-strict:device1", "array-api-strict:no_float64", "torch:cuda"}:
            lacking = () if self.has_float64 else ("float64",)
            return PlacedNamespace(self.xp, self.device, name=self.name, lacking=lacking)
        return self.xp

    def asarray(self, values: Any, dtype: str = "float32") -> Any:
        """Return values (numbers, lists or a NumPy array) as an array of this backend.

        Raises
        ------
        unittest.SkipTest
            If `dtype` is float64 and the device has none: pytest counts the test as skipped.
        """
        if dtype == "float64" and not self.has_float64:
            msg = f"{self.name} has no float64"
            raise unittest.SkipTest(msg)
        return move(np.asarray(values, dtype), self.xp, self.device)

    def faults(
        self, result: Any, /, *, dtypes: Iterable[str], shape: tuple[int, ...]
    ) -> Iterator[str]:
        """Say what is wrong with a result's library, device, dtype and shape."""
        if not is_array(result):
            yield f"must be an array of {self.library}; got {type(result).__name__}"
            return
        if array_namespace(result) is not self.xp:
            yield f"must be an array of {self.library}; got one of {library_of(result)}"
            return
        if device_of(result) != self.device:
            yield f"must be on device {self.device}; got {device_of(result)}"
        if dtype_name(result.dtype) not in set(dtypes):
            yield f"must be of dtype {' or '.join(dtypes)}; got {dtype_name(result.dtype)}"
        if tuple(result.shape) != shape:
            yield f"must have shape {shape}; got {tuple(result.shape)}"

    def check(self, result: Any, *, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return a result's values; fail unless it belongs here, dtype and shape included.

        Raises
        ------
        AssertionError
            If the result's library, device, dtype or shape is another.
        """
        __tracebackhide__ = True
        for fault in self.faults(result, dtypes=(dtype,), shape=shape):
            msg = f"on {self.name}, the result {fault}"
            raise AssertionError(msg)
        return to_numpy(result)


def dtype_name(dtype: Any, /) -> str:
    """Return a dtype's name in the standard, such as ``"float32"``, for any library's dtype."""
    return str(dtype).rpartition(".")[2]


def expand(words: Iterable[str], /, argument: str = "`backends`") -> tuple[str, ...]:
    """Return the backends that these words mean, in the order of `NAMES`.

    Parameters
    ----------
    words : iterable of str
        Each the name of a backend, the name of a library, which stands for all its devices, or
        ``"all"``.
    argument : str
        What the error message calls them.

    Raises
    ------
    ValueError
        If a word is none of these; the message lists them.

    Examples
    --------
    >>> expand(["torch", "numpy", "array-api-strict:device1"])
    ('numpy', 'array-api-strict:device1', 'torch', 'torch:cuda')
    """
    meant: set[str] = set()
    for word in words:
        found = [name for name in NAMES if word in {name, name.partition(":")[0], "all"}]
        if not found:
            msg = f"{argument} must name backends; got {word!r}, known are all, {', '.join(NAMES)}"
            raise ValueError(msg)
        meant.update(found)
    return tuple(name for name in NAMES if name in meant)


def chosen() -> tuple[str, ...]:
    """Return the names of the backends to be tried: all, unless `choosing` names some."""
    return _choices[-1]


@contextmanager
def choosing(names: tuple[str, ...], /) -> Iterator[None]:
    """Let `chosen` give these names within this context."""
    _choices.append(names)
    try:
        yield
    finally:
        _choices.pop()


@functools.cache
def why_not(name: str, /) -> str | None:
    """Return why a backend cannot be tried here; None if it can."""
    library, _, variant = name.partition(":")
    if library == "cupy":
        diagnosis = diagnose()
        return None if diagnosis.usable else str(diagnosis)
    spec = importlib.util.find_spec(_MODULES.get(library, library).partition(".")[0])
    if spec is None:
        return f"{library} is not installed"
    return _why_no_cuda(spec.origin) if variant == "cuda" else None


def _why_no_cuda(origin: str | None) -> str | None:
    # Importing torch takes seconds: a build for CPUs alone says so in a file of two lines.
    version = Path(origin or "").with_name("version.py")
    if version.exists() and re.search(r"^cuda\b.*= None", version.read_text("utf-8"), re.MULTILINE):
        return "this build of torch has no CUDA"
    if not importlib.import_module("torch").cuda.is_available():
        return "torch finds no usable GPU"
    return None


def open_backend(name: str, /) -> Backend:
    """Return the backend of this name.

    For JAX this switches 64-bit numbers on (``jax_enable_x64``), for the rest of the process:
    without them its float64 arrays are float32, and its integers int32.

    Raises
    ------
    ModuleNotFoundError
        If its library is not installed.

    Examples
    --------
    >>> open_backend("numpy").asarray([1, 2]).dtype
    dtype('float32')
    """
    library, _, variant = name.partition(":")
    if library == "numpy":
        return Backend(name, np, "cpu")
    module = importlib.import_module(_MODULES.get(library, library))
    if library == "array-api-strict":
        return _open_strict(name, variant, module)
    if library == "jax":
        config = importlib.import_module("jax").config
        config.update("jax_enable_x64", True)  # noqa: FBT003 (JAX's own signature)
    example = module.zeros(1, device=variant) if variant else module.zeros(1)
    return Backend(name, array_namespace(example), device_of(example))


def _open_strict(name: str, variant: str, strict: Any) -> Backend:
    if variant == "strictest":
        # What code for lazy libraries must do without. Extensions (linalg, fft) stay on: every
        # library here has them.
        flags = strict.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False)
        return Backend(name, strict, strict.Device("CPU_DEVICE"), flags)
    return Backend(name, strict, strict.Device(variant or "CPU_DEVICE"))
