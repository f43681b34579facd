"""The backends: each array library and device that code can be tried on.

pytest is not needed: the plugin builds its fixtures from this, and `assert_parity` its comparison.
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
from xpnet.testing.device_namespace import PlacedNamespace

__all__ = ["Backend", "dtype_name", "open_backend"]


@dataclass(frozen=True)
class Backend:
    """A library and a device: how a test makes its arrays there, and judges what comes back.

    Attributes
    ----------
    name : str
        One of `choice.NAMES`, such as ``"array-api-strict:device1"``.
    xp : namespace
        The library's own namespace, as ``xpnet.arrays.namespace.array_namespace`` gives it.
    device : object
        The device in the library's own terms.
    flags : context manager
        Holds the library's settings while the backend is in use, and for what is asked of it. In
        JAX they switch 64-bit numbers on: without them its float64 arrays are float32, and its
        integers int32.
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

    def asarray(self, values: Any, dtype: Any = "float32") -> Any:
        """Return values (numbers, lists or a NumPy array) as an array of this backend.

        The dtype is the name of one, or any library's.

        Raises
        ------
        unittest.SkipTest
            If the device has no such dtype: pytest counts the test as skipped.
        """
        name = dtype_name(dtype)
        if not self.has([name]) or (name == "float64" and not self.has_float64):
            msg = f"{self.name} has no {name}"
            raise unittest.SkipTest(msg)
        return move(np.asarray(values, name), self.xp, self.device)

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

    def check(self, result: Any, *, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return a result's values in NumPy; fail unless it belongs here, dtype and shape included.

        The dtype is the name of one, or any library's.

        Raises
        ------
        AssertionError
            If the result's library, device, dtype or shape is another.
        """
        __tracebackhide__ = True
        for fault in self.faults(result, dtypes=(dtype_name(dtype),), shape=shape):
            msg = f"on {self.name}, the result {fault}"
            raise AssertionError(msg)
        return to_numpy(result)


def dtype_name(dtype: Any, /) -> str:
    """Return a dtype's name in the standard, such as ``"float32"``, for any library's dtype.

    Examples
    --------
    >>> dtype_name(np.float32), dtype_name(np.dtype("int8")), dtype_name("bool")
    ('float32', 'int8', 'bool')
    """
    if isinstance(dtype, type):  # as NumPy's and JAX's may be
        return dtype.__name__
    return dtype.name if isinstance(dtype, np.dtype) else str(dtype).rpartition(".")[2]


def open_backend(name: str, /) -> Backend:
    """Return the backend of this name.

    It changes no setting of the library: `Backend.flags` does, as long as it is entered.

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
    module = importlib.import_module(module_of(library))
    if library == "array-api-strict":
        return _open_strict(name, variant, module)
    example = module.zeros(1, device=variant) if variant else module.zeros(1)
    flags = _WideJax() if library == "jax" else nullcontext()
    return Backend(name, array_namespace(example), device_of(example), flags)


def _open_strict(name: str, variant: str, strict: Any) -> Backend:
    if name == STRICTEST:
        # What code for lazy libraries must do without. Extensions (linalg, fft) stay on: every
        # library here has them.
        flags = strict.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False)
        return Backend(name, strict, strict.Device("CPU_DEVICE"), flags)
    return Backend(name, strict, strict.Device(variant or "CPU_DEVICE"))


class _WideJax(AbstractContextManager[None]):
    """JAX's 64-bit numbers, on while this context lasts; contexts may be nested."""

    def __init__(self) -> None:
        self._config = importlib.import_module("jax").config
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(self._config.jax_enable_x64)
        self._config.update("jax_enable_x64", True)  # noqa: FBT003 (JAX's own signature)

    def __exit__(self, *_: object) -> None:
        self._config.update("jax_enable_x64", self._before.pop())
