"""Backends: the array libraries, devices and variants that array code is tested on."""

import importlib
import unittest
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.device_namespace import DeviceNamespace
from xpnet.arrays.libraries import libraries
from xpnet.arrays.library import NARROW, Library
from xpnet.arrays.namespace import array_namespace, device_of, dtype_name, is_array, library_of
from xpnet.testing.built_in import BUILT_IN, STRICTEST

__all__ = ["Backend", "open_backend"]


@dataclass(frozen=True, eq=False)
class Backend:
    """An array library on a device, or a variant of it; it is imported when first used."""

    name: str  # "library", "library:device" or "library:variant"
    array_library: Library
    part: str = ""  # as after the colon of a word for `Device`; "": the default device
    default: bool = True  # if false, only its name or "all" selects the backend
    in_host_memory: bool = True
    has_values: bool = True  # if false, arrays have a shape and a dtype only
    to_variant: Callable[[Any], Any] | None = None  # from a NumPy array to one of the variant
    settings: Callable[[], AbstractContextManager[Any]] = nullcontext  # of the whole process

    @property
    def library(self) -> str:
        """The library's name, for example ``"array-api-strict"``."""
        return self.array_library.name

    @property
    def is_lazy(self) -> bool:
        """Whether values may be unknown; if true, `eager_only` of marks excludes the backend."""
        return self.array_library.is_lazy or self.name == STRICTEST

    @cached_property
    def unavailable(self) -> str | None:
        """The reason why the backend is unavailable on this machine; None if it is available.

        A library on its default device is not imported for this, which would take seconds.
        """
        cause = self.array_library.cause(self.part)
        if cause is not None:
            return str(cause)
        if ":" in self.name or self.library == "cupy":  # which may have no GPU
            try:
                with self.settings():  # which refuse missing devices, for example
                    self.array_library.opened(self.part)
            except (DeviceError, ImportError, OSError, RuntimeError, ValueError) as error:
                return str(error) or type(error).__name__
        return None

    @cached_property
    def is_cpu(self) -> bool:
        """Whether arrays are in host memory; if false, `cpu_only` of marks excludes the backend."""
        if self.unavailable is not None or not self.in_host_memory:
            return self.in_host_memory
        return self.array_library.is_on_host(self.device)  # JAX's may be a GPU

    @cached_property
    def _example(self) -> Any:
        """An array, which has the namespace and the device of all others."""
        with self.settings():
            device = self.array_library.open(self.part)
            return self._array(np.zeros(1, "float32"), device)

    def _array(self, values: NDArray[Any], device: Any) -> Any:
        if self.to_variant is not None:
            return self.to_variant(values)
        return self.array_library.array(values, device)

    @cached_property
    def xp(self) -> Any:
        """The library's own namespace, as `array_namespace` returns it."""
        is_known = is_array(self._example)
        return array_namespace(self._example) if is_known else self.array_library.namespace

    @cached_property
    def device(self) -> Any:
        """The library's device object; None for a library without devices."""
        x = self._example
        return device_of(x) if is_array(x) else getattr(x, "device", None)

    @property
    @contextmanager
    def flags(self) -> Iterator[None]:
        """A context with the library's settings, to be entered while the backend is in use."""
        # CuPy computes on the current GPU alone.
        current = self.array_library.current if self.library == "cupy" else None
        device = current(self.device) if current else nullcontext()
        with self.settings(), device:
            yield

    @property
    def has_float64(self) -> bool:
        """True if the device supports float64."""
        return self.has(["float64"])

    def has(self, dtypes: Iterable[str], /) -> bool:
        """Return whether the device has these dtypes; JAX has ``"int64"`` within `flags` alone."""
        return all(hasattr(self.xp, dtype) and not self.lacks(dtype) for dtype in dtypes)

    def lacks(self, dtype: str, /) -> bool:
        """Return whether the device lacks a dtype with 64-bit numbers, unlike other devices."""
        if dtype not in NARROW or not hasattr(self.xp, "__array_namespace_info__"):
            return False
        return dtype not in self.xp.__array_namespace_info__().dtypes(device=self.device, kind=None)

    @cached_property
    def namespace(self) -> Any:
        """The namespace for tests; a `DeviceNamespace` on a device other than the default."""
        plain = self.xp
        if plain is np:  # array-api-compat returns another one for NumPy arrays
            plain = importlib.import_module("array_api_compat.numpy")
        if not self.part:
            return plain
        return DeviceNamespace(plain, self.device, self.name, check=self._check_dtype)

    def _check_dtype(self, name: str | None) -> None:
        if name is not None and not self.has([name]):
            msg = f"{self.name} has no {name}"
            raise unittest.SkipTest(msg)

    def make(self, values: NDArray[Any], /) -> Any:
        """Return a copy of a NumPy array, in 32-bit numbers if the device lacks 64-bit ones."""
        name = values.dtype.name
        copy = np.array(values, NARROW[name] if self.lacks(name) else name)
        return self._array(copy, self.device)

    def values(self, x: Any, /) -> NDArray[Any]:
        """Return an array of this backend as a NumPy array."""
        return self.array_library.numpy(x)

    def asarray(self, values: Any, dtype: Any = "float32") -> Any:
        """Return values (numbers, lists or a NumPy array) as an array of this backend.

        If the device lacks the dtype (its name, or any library's), raise unittest.SkipTest.
        """
        name = dtype_name(dtype)
        self._check_dtype(name)
        return self.make(np.asarray(values, name))

    def owns(self, x: Any, /) -> bool:
        """Return whether an object is an array of this library, on any device."""
        if not is_array(self._example):  # `array_namespace` does not find its library
            return isinstance(x, type(self._example))
        return is_array(x) and array_namespace(x) is self.xp

    def faults(
        self, result: Any, /, *, dtypes: Iterable[str], shape: tuple[int, ...]
    ) -> Iterator[str]:
        """Yield a message for a wrong library, device, dtype or shape of a result."""
        if not self.owns(result):
            got = f"one of {library_of(result)}" if is_array(result) else type(result).__name__
            yield f"must be an array of {self.library}; got {got}"
            return
        device = device_of(result) if is_array(result) else getattr(result, "device", None)
        if device != self.device:
            yield f"must be on device {self.device}; got {device}"
        if dtype_name(result.dtype) not in set(dtypes):
            yield f"must be of dtype {' or '.join(dtypes)}; got {dtype_name(result.dtype)}"
        if tuple(result.shape) != shape:
            yield f"must have shape {shape}; got {tuple(result.shape)}"

    def check(self, result: Any, *, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return a result as a NumPy array; raise AssertionError if a property is wrong.

        If arrays have no values, raise unittest.SkipTest.
        """
        __tracebackhide__ = True
        for fault in self.faults(result, dtypes=(dtype_name(dtype),), shape=shape):
            msg = f"on {self.name}, the result {fault}"
            raise AssertionError(msg)
        if not self.has_values:
            msg = f"{self.name} has no values"
            raise unittest.SkipTest(msg)
        return self.values(result)


def open_backend(name: str, /) -> Backend:
    """Return the backend of this name; raise KeyError if its library is unknown."""
    return _backend(name, libraries()[name.partition(":")[0]])


@cache
def _backend(name: str, library: Library) -> Backend:
    options = BUILT_IN.get(name)
    if options is None:  # any other device
        _, _, part = name.partition(":")
        options = {**BUILT_IN.get(library.name, {}), "part": part, "default": not part}
    return Backend(name, library, **options)
