"""Backends: the array libraries, devices and variants that array code is tested on."""

import functools
import importlib
import unittest
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.namespace import array_namespace, device_of, dtype_name, is_array, library_of
from xpnet.arrays.transfer import move, to_numpy
from xpnet.testing.built_in import BackendSpec
from xpnet.testing.registry import spec_of

__all__ = ["NARROW", "Backend", "DeviceNamespace", "open_backend"]

# dtypes that some devices lack, and those that replace them in the arrays of `Backend.make`.
NARROW = {"float64": "float32", "complex128": "complex64", "int64": "int32", "uint64": "uint32"}
# Functions of the standard and its fft extension that create on a default device.
_CREATORS: Final = {
    *("arange", "asarray", "empty", "eye", "from_dlpack", "full", "linspace", "ones", "zeros"),
    *("fftfreq", "rfftfreq"),
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
        self.is_lazy = self.spec.is_lazy
        # JAX's default device is a GPU if it finds one.
        self.is_cpu = self.spec.is_cpu and (self.library != "jax" or self.device.platform == "cpu")
        self.has_values = self.name != "torch:meta"  # whose arrays have a shape and a dtype only
        self.checks_gradients = self.name == "torch:grad"

    @property
    def flags(self) -> AbstractContextManager[Any]:
        """A context with the library's settings, to be entered while the backend is in use."""
        return self.spec.settings()

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
        return plain if self.spec.device is None else DeviceNamespace(plain, self)

    def make(self, values: NDArray[Any], /) -> Any:
        """Return a copy of a NumPy array, in 32-bit numbers if the device lacks 64-bit ones."""
        name = values.dtype.name
        copy = np.array(values, NARROW[name] if self.lacks(name) else name)
        if self.spec.asarray is not None or self.array_class is not None:
            return (self.spec.asarray or self.xp.asarray)(copy)
        return move(copy, self.xp, self.device)

    def values(self, x: Any, /) -> NDArray[Any]:
        """Return an array of this backend as a NumPy array, without gradients."""
        if self.spec.to_numpy is not None or self.array_class is not None:
            return np.asarray(x if self.spec.to_numpy is None else self.spec.to_numpy(x))
        # NumPy cannot read torch's views of conjugate and negative numbers.
        return to_numpy(x.resolve_conj().resolve_neg() if hasattr(x, "resolve_conj") else x)

    def asarray(self, values: Any, dtype: Any = "float32") -> Any:
        """Return values (numbers, lists or a NumPy array) as an array of this backend.

        If the device lacks the dtype (its name, or any library's), raise unittest.SkipTest.
        """
        name = dtype_name(dtype)
        if not self.has([name]):
            msg = f"{self.name} has no {name}"
            raise unittest.SkipTest(msg)
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


class DeviceNamespace:
    """A library's namespace with a backend's device as the default of its creation functions.

    An explicit ``device=`` takes precedence, and ``asarray`` of the library's array stays on the
    array's device. A dtype that the device lacks raises ``unittest.SkipTest``. The object equals
    the library's namespace: compare with ``array_namespace(x) == xp``, not ``is``.
    """

    def __init__(self, xp: Any, backend: Backend, /) -> None:
        self._xp, self._backend = xp, backend

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "_xp":  # while a copy is made
            raise AttributeError(attribute)
        value = getattr(self._xp, attribute)
        if attribute == "fft":
            return DeviceNamespace(value, self._backend)
        return self._on_device(value) if attribute in _CREATORS else value

    def __array_namespace_info__(self) -> Any:
        """Return the library's inspection object, with this device as the default."""
        info = self._xp.__array_namespace_info__()
        return SimpleNamespace(
            capabilities=info.capabilities,
            default_device=lambda: self._backend.device,
            default_dtypes=self._on_device(info.default_dtypes),
            devices=info.devices,
            dtypes=self._on_device(info.dtypes),
        )

    def __eq__(self, other: object) -> bool:
        return self._xp is (other._xp if isinstance(other, DeviceNamespace) else other)

    def __hash__(self) -> int:
        return hash(self._xp)

    def __repr__(self) -> str:
        return f"<namespace {self._xp.__name__} on {self._backend.name}>"

    def _on_device(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def create(*args: Any, **options: Any) -> Any:
            x, backend = args[0] if args else None, self._backend
            is_kept = function.__name__ == "asarray" and backend.owns(x)
            if options.get("device") is None and not is_kept:
                name = dtype_name(options.get("dtype") or getattr(x, "dtype", None))
                if backend.lacks(name):
                    msg = f"{backend.name} has no {name}"
                    raise unittest.SkipTest(msg)
                options["device"] = backend.device
            return function(*args, **options)

        return create


def open_backend(name: str, /, namespace_of: Callable[[Any], Any] | None = None) -> Backend:
    """Return the backend of this name; raise ModuleNotFoundError if its library is not installed.

    `namespace_of` is the function ``array_namespace`` of a vendored array-api-compat.
    """
    return _open(spec_of(name), namespace_of)


@functools.cache
def _open(spec: BackendSpec, namespace_of: Callable[[Any], Any] | None) -> Backend:
    with spec.settings():
        find, device = spec.namespace, spec.device
        xp: Any = importlib.import_module(find) if isinstance(find, str) else find()
        if spec.library == "array-api-strict" and device is not None:
            device = xp.Device(device)
        options = {} if device is None else {"device": device}
        zeros = np.zeros(1, "float32")
        example = xp.zeros(1, **options) if spec.asarray is None else spec.asarray(zeros)
        for_tests = None if namespace_of is None else namespace_of(example)
        if is_array(example):
            return Backend(spec.name, array_namespace(example), device_of(example), for_tests)
        return Backend(spec.name, xp, getattr(example, "device", None), for_tests, type(example))
