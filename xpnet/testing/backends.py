"""Backends: the array libraries and devices that array code is tested on.

pytest is not required. The plugin builds its fixtures on this module, `assert_parity` its
comparison.
"""

import importlib
import unittest
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, device_of, is_array, library_of
from xpnet.arrays.transfer import move, to_numpy
from xpnet.testing.backend_choice import STRICTEST, module_of
from xpnet.testing.device_namespace import DeviceNamespace

__all__ = ["Backend", "dtype_name", "open_backend"]


@dataclass(frozen=True)
class Backend:
    """An array library and a device: creation of arrays, and validation of results."""

    name: str  # one of `backend_choice.NAMES`, for example "array-api-strict:device1"
    xp: Any  # the library's own namespace, as `array_namespace` returns it
    device: Any  # the library's device object
    # Applies the library's settings; to be entered while the backend and its attributes are in
    # use. For JAX they enable 64-bit numbers: otherwise its float64 arrays are float32, and its
    # integers int32.
    flags: AbstractContextManager[Any] = field(default_factory=nullcontext)

    @property
    def library(self) -> str:
        """The library's name, for example ``"array-api-strict"``."""
        return self.name.partition(":")[0]

    @property
    def has_float64(self) -> bool:
        """True if the device supports float64."""
        return "float64" in self.xp.__array_namespace_info__().dtypes(device=self.device)

    def has(self, dtypes: Iterable[str], /) -> bool:
        """Return whether the library has all these dtypes, for example ``"float16"``."""
        return all(hasattr(self.xp, dtype) for dtype in dtypes)

    @property
    def namespace(self) -> Any:
        """The namespace for tests: array-api-compat's, with creation functions on the device.

        That is the plain namespace if the device is the library's default. Otherwise it is a
        `DeviceNamespace`, which is equal to the plain one (``==``) but not the same object.
        """
        if self.library == "numpy":
            # array-api-compat returns this one for NumPy arrays.
            return importlib.import_module("array_api_compat.numpy")
        if self.name in {"array-api-strict:device1", "array-api-strict:no_float64", "torch:cuda"}:
            lacking = () if self.has_float64 else ("float64",)
            return DeviceNamespace(self.xp, self.device, name=self.name, lacking=lacking)
        return self.xp

    def asarray(self, values: Any, dtype: Any = "float32") -> Any:
        """Return values (numbers, lists or a NumPy array) as an array of this backend.

        `dtype` is the name of a dtype, or any library's dtype. If the device lacks it, raise
        unittest.SkipTest, so that pytest skips the test.
        """
        name = dtype_name(dtype)
        if not self.has([name]) or (name == "float64" and not self.has_float64):
            msg = f"{self.name} has no {name}"
            raise unittest.SkipTest(msg)
        return move(np.asarray(values, name), self.xp, self.device)

    def faults(
        self, result: Any, /, *, dtypes: Iterable[str], shape: tuple[int, ...]
    ) -> Iterator[str]:
        """Yield a message for a wrong library, device, dtype or shape of a result."""
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

    def check(self, result: Any, *, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return a result as a NumPy array, after validation of its dtype, shape and backend.

        `dtype` is the name of a dtype, or any library's dtype. If the library, device, dtype or
        shape is wrong, raise AssertionError.
        """
        __tracebackhide__ = True
        for fault in self.faults(result, dtypes=(dtype_name(dtype),), shape=shape):
            msg = f"on {self.name}, the result {fault}"
            raise AssertionError(msg)
        return to_numpy(result)


def dtype_name(dtype: Any, /) -> str:
    """Return the name of any library's dtype in the array-API standard, such as ``"float32"``."""
    if isinstance(dtype, type):  # as in NumPy and JAX
        return dtype.__name__
    return dtype.name if isinstance(dtype, np.dtype) else str(dtype).rpartition(".")[2]


def open_backend(name: str, /) -> Backend:
    """Return the backend of this name; ModuleNotFoundError if its library is not installed.

    The library's settings do not change until `Backend.flags` is entered.
    """
    library, _, variant = name.partition(":")
    if library == "numpy":
        return Backend(name, np, "cpu")
    module = importlib.import_module(module_of(library))
    if name == STRICTEST:
        # Without features that lazy libraries lack. The extensions (linalg, fft) stay enabled:
        # every library here has them.
        flags = module.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False)
        return Backend(name, module, module.Device("CPU_DEVICE"), flags)
    if library == "array-api-strict":
        return Backend(name, module, module.Device(variant or "CPU_DEVICE"))
    example = module.zeros(1, device=variant) if variant else module.zeros(1)
    settings = _Jax64Bit() if library == "jax" else nullcontext()
    return Backend(name, array_namespace(example), device_of(example), settings)


class _Jax64Bit(AbstractContextManager[None]):
    """A context with JAX's 64-bit numbers enabled, which may be nested."""

    def __init__(self) -> None:
        self._config = importlib.import_module("jax").config
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(self._config.jax_enable_x64)
        self._config.update("jax_enable_x64", val=True)

    def __exit__(self, *_: object) -> None:
        self._config.update("jax_enable_x64", self._before.pop())
