"""Backends: the array libraries, devices and variants that array code is tested on."""

import functools
import importlib
import unittest
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.device_errors import device_text
from xpnet.arrays.device_namespace import DeviceNamespace
from xpnet.arrays.libraries import libraries
from xpnet.arrays.library import NARROW, Library
from xpnet.arrays.namespace import (
    array_namespace,
    device_of,
    dtype_name,
    is_array,
    library_of,
)
from xpnet.testing.built_in import BackendSpec
from xpnet.testing.escapes import watch
from xpnet.testing.registry import spec_of, unavailable_reason

__all__ = ["Backend", "open_backend"]

# Devices of libraries that have several on every machine.
_SEVERAL = {
    "array-api-strict": ("CPU_DEVICE", "device1"),
    "torch": ("cpu", "meta"),
    "dpnp": ("cpu.0", "cpu.1"),
}


@dataclass(eq=False)
class Backend:
    """An array library and a device: creation of arrays, and validation of results."""

    name: str  # for example "array-api-strict:device1"
    xp: Any  # the library's own namespace, as `array_namespace` returns it
    device: Any  # the library's device object; None for a library without devices
    test_namespace: Any = None  # that of a vendored array-api-compat, for tests
    array_class: type | None = None  # of arrays whose library `array_namespace` cannot find

    def __post_init__(self) -> None:
        self.spec = spec_of(self.name)
        self.library = self.spec.library  # for example "array-api-strict"
        self._library = libraries()[self.library]
        self.is_lazy = self.spec.is_lazy
        # JAX's default device is a GPU if it finds one.
        self.is_cpu = self.spec.is_cpu and self._library.is_on_host(self.device)
        self.has_values = self.name != "torch:meta"  # whose arrays have a shape and a dtype only
        self.checks_gradients = self.name == "torch:grad"

    @property
    @contextmanager
    def flags(self) -> Iterator[None]:
        """A context with the library's settings, to be entered while the backend is in use."""
        with self.spec.settings(), watch(self._library):
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

    @property
    def namespace(self) -> Any:
        """The namespace for tests; a `DeviceNamespace` on a device other than the default."""
        plain = self.test_namespace or self.xp
        if plain is np:  # array-api-compat returns another one for NumPy arrays
            plain = importlib.import_module("array_api_compat.numpy")
        if not self.spec.device:
            return plain
        return DeviceNamespace(plain, self.device, self.name, check=self._check_dtype)

    @property
    def other_device(self) -> Any:
        """A device that is not the default of `namespace`, if an eager library has several."""
        words = () if self.is_lazy else _SEVERAL.get(self.library, ())
        names = [f"{self.library}:{word}" for word in words]
        opened = (open_backend(name).device for name in names if not unavailable_reason(name))
        return next((device for device in opened if device != self.device), self.device)

    def _check_dtype(self, name: str | None) -> None:
        if name is not None and not self.has([name]):
            msg = f"{self.name} has no {name}"
            raise unittest.SkipTest(msg)

    def make(self, values: NDArray[Any], /) -> Any:
        """Return a copy of a NumPy array, in 32-bit numbers if the device lacks 64-bit ones."""
        name = values.dtype.name
        copy = np.array(values, NARROW[name] if self.lacks(name) else name)
        if self.spec.asarray is not None:
            return self.spec.asarray(copy)
        return self._library.array(copy, self.device)

    def values(self, x: Any, /) -> NDArray[Any]:
        """Return an array of this backend as a NumPy array, without gradients."""
        return self._library.numpy(x)

    def asarray(self, values: Any, dtype: Any = "float32") -> Any:
        """Return values (numbers, lists or a NumPy array) as an array of this backend.

        If the device lacks the dtype (its name, or any library's), raise unittest.SkipTest.
        """
        name = dtype_name(dtype)
        self._check_dtype(name)
        return self.make(np.asarray(values, name))

    def owns(self, x: Any, /) -> bool:
        """Return whether an object is an array of this library, on any device."""
        if self.array_class is not None:
            return isinstance(x, self.array_class)
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
            yield f"must be on device {device_text(self.device)}; got {device_text(device)}"
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


def open_backend(name: str, /, namespace_of: Callable[[Any], Any] | None = None) -> Backend:
    """Return the backend of this name; raise ModuleNotFoundError if its library is not installed.

    `namespace_of` is the function ``array_namespace`` of a vendored array-api-compat.
    """
    spec = spec_of(name)
    return _open(spec, libraries()[spec.library], namespace_of)


@functools.cache
def _open(
    spec: BackendSpec, library: Library, namespace_of: Callable[[Any], Any] | None
) -> Backend:
    with spec.settings():
        xp, zeros = library.namespace, np.zeros(1, "float32")
        device = library.open(spec.device)
        example = spec.asarray(zeros) if spec.asarray else library.array(zeros, device)
        for_tests = None if namespace_of is None else namespace_of(example)
        if is_array(example):
            return Backend(spec.name, array_namespace(example), device_of(example), for_tests)
        return Backend(spec.name, xp, getattr(example, "device", None), for_tests, type(example))
