"""Backends: the array libraries, devices and variants that array code is tested on."""

import functools
import importlib
import unittest
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.device_namespace import DeviceNamespace
from xpnet.arrays.libraries import libraries
from xpnet.arrays.library import NARROW, Library
from xpnet.arrays.namespace import array_namespace, device_of, dtype_name, is_array, library_of

__all__ = ["DEFAULT", "EXTRA", "STRICTEST", "Backend", "jax_settings", "open_backend"]

# The backend that rejects all operations that lazy libraries do not support.
STRICTEST: Final = "array-api-strict:strictest"
# In the order in which tests run.
DEFAULT: Final = (
    *("numpy", "array-api-strict", "array-api-strict:device1", "array-api-strict:no_float64"),
    *(STRICTEST, "dask", "torch", "torch:cuda", "jax", "cupy", "dpnp"),
)
EXTRA: Final = ("numpy:readonly", "dask:chunks", "torch:mps", "mlx")


def _strictest_flags() -> Any:
    # The extensions (linalg, fft) stay enabled: every library here has them.
    flags = {"boolean_indexing": False, "data_dependent_shapes": False}
    return importlib.import_module("array_api_strict").ArrayAPIStrictFlags(**flags)


@contextmanager
def jax_settings() -> Iterator[None]:
    """Give JAX 64-bit numbers, and matrix products with all digits, which GPUs drop by default."""
    config = importlib.import_module("jax").config
    values = {"jax_enable_x64": True, "jax_default_matmul_precision": "highest"}
    before = {name: getattr(config, name) for name in values}
    try:
        for name, value in values.items():
            config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            config.update(name, value)


def _read_only(x: NDArray[Any]) -> NDArray[Any]:
    x.flags.writeable = False
    return x


def _in_chunks(x: NDArray[Any]) -> Any:
    """Return a Dask array in two chunks along each axis of two or more numbers."""
    chunks = tuple((n - n // 2, n // 2) if n > 1 else (n,) for n in x.shape)
    return importlib.import_module("dask.array").from_array(x, chunks)


# Settings of the process while a backend, or a library, is in use.
_SETTINGS: Final = {STRICTEST: _strictest_flags, "jax": jax_settings}
# Names that are no devices, with functions from a NumPy array to the backend's, if not the usual.
_VARIANTS: Final[dict[str, Callable[[Any], Any] | None]] = {
    "numpy:readonly": _read_only,
    "dask:chunks": _in_chunks,
    STRICTEST: None,
}


@dataclass(frozen=True, eq=False)
class Backend:
    """An array library on a device, or a variant of it; it is imported when first used."""

    name: str  # "library", "library:device" or "library:variant"
    array_library: Library

    @property
    def library(self) -> str:
        """The library's name, for example ``"array-api-strict"``."""
        return self.array_library.name

    @property
    def part(self) -> str:
        """The device, as after the colon of a word for `Device`; "" for the default device."""
        return "" if self.name in _VARIANTS else self.name.partition(":")[2]

    @cached_property
    def unavailable(self) -> str | None:
        """The reason why the backend is unavailable on this machine; None if it is available."""
        try:
            self.array_library.opened(self.part)
        except DeviceError as error:
            return str(error)
        return None

    @property
    def is_lazy(self) -> bool:
        """Whether values may be unknown; if true, `eager_only` of marks excludes the backend."""
        compat = importlib.import_module("array_api_compat")
        return self.name == STRICTEST or bool(compat.is_lazy_array(self._example))

    @property
    def is_cpu(self) -> bool:
        """Whether arrays are in host memory; if false, `cpu_only` of marks excludes the backend."""
        return self.array_library.is_on_host(self.device)

    @cached_property
    def _example(self) -> Any:
        """An array, which has the namespace and the device of all others."""
        return self._array(np.zeros(1, "float32"), self.array_library.open(self.part))

    def _array(self, values: NDArray[Any], device: Any) -> Any:
        to_variant = _VARIANTS.get(self.name)
        return to_variant(values) if to_variant else self.array_library.array(values, device)

    @cached_property
    def xp(self) -> Any:
        """The library's own namespace, as `array_namespace` returns it."""
        is_known = is_array(self._example)
        return array_namespace(self._example) if is_known else self.array_library.namespace

    @cached_property
    def device(self) -> Any:
        """The library's device object; None for a library without devices."""
        return device_of(self._example)

    @property
    @contextmanager
    def flags(self) -> Iterator[None]:
        """A context with the library's settings, to be entered while the backend is in use."""
        settings = _SETTINGS.get(self.name) or _SETTINGS.get(self.library, nullcontext)
        # CuPy computes on the current GPU alone.
        with settings(), self.device if self.library == "cupy" else nullcontext():
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

    def holds(self, x: NDArray[Any], /) -> bool:
        """Return whether the device has the integers of an array, if need be in 32 bits."""
        is_narrowed = x.dtype.kind in "iu" and self.lacks(x.dtype.name)
        return not is_narrowed or bool(np.all(x == x.astype(NARROW[x.dtype.name])))

    @cached_property
    def namespace(self) -> Any:
        """The namespace for tests; on a named device, its creation functions create there."""
        if self.xp is np:  # array-api-compat returns another one for NumPy arrays
            return importlib.import_module("array_api_compat.numpy")
        return _Namespace(self.xp, self.device, self.name) if self.part else self.xp

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
        return self.make(np.asarray(values, self.dtype_or_skip(dtype)))

    def dtype_or_skip(self, dtype: Any, /) -> str:
        """Return the name of a dtype; raise unittest.SkipTest if the device lacks it."""
        if not self.has([name := dtype_name(dtype)]):
            msg = f"{self.name} has no {name}"
            raise unittest.SkipTest(msg)
        return name

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
        if device_of(result) != self.device:
            yield f"must be on device {self.device}; got {device_of(result)}"
        if dtype_name(result.dtype) not in set(dtypes):
            yield f"must be of dtype {' or '.join(dtypes)}; got {dtype_name(result.dtype)}"
        if tuple(result.shape) != shape:
            yield f"must have shape {shape}; got {tuple(result.shape)}"

    def check(self, result: Any, *, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return a result as a NumPy array; raise AssertionError if a property is wrong."""
        __tracebackhide__ = True
        for fault in self.faults(result, dtypes=(dtype_name(dtype),), shape=shape):
            msg = f"on {self.name}, the result {fault}"
            raise AssertionError(msg)
        return self.values(result)


class _Namespace(DeviceNamespace):
    """The namespace of a backend; a dtype that the device lacks skips the test."""

    def _on_device(self, function: Callable[..., Any]) -> Callable[..., Any]:
        create = super()._on_device(function)

        @functools.wraps(function)
        def create_or_skip(*args: Any, **options: Any) -> Any:
            values = args[0] if args and isinstance(args[0], np.ndarray) else None
            dtype = options.get("dtype") or getattr(values, "dtype", None)
            if dtype is not None and options.get("device") is None:
                open_backend(self._name).dtype_or_skip(dtype)
            return create(*args, **options)

        return create_or_skip


def open_backend(name: str, /) -> Backend:
    """Return the backend of this name; raise KeyError if its library is unknown."""
    return _backend(name, libraries()[name.partition(":")[0]])


# A second registration of a library makes other backends.
_backend = cache(Backend)
