"""Array namespace with creation functions that default to one device.

A library's own namespace creates arrays on the library's default device, so a test that calls
``xp.zeros(3)`` would leave the device under test.
"""

import functools
import unittest
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from xpnet.arrays.namespace import array_namespace, is_array

__all__ = ["DeviceNamespace"]

# Functions of the standard and its fft extension that create on a default device. All others
# follow their arguments.
_CREATORS: Final = {
    *("arange", "asarray", "empty", "eye", "from_dlpack", "full", "linspace", "ones", "zeros"),
    *("fftfreq", "rfftfreq"),
}


class DeviceNamespace:
    """A library's namespace with one device as the default of its creation functions.

    An explicit ``device=`` takes precedence, and ``asarray`` of the library's own array stays on
    the array's device, as in the standard. Everything else is the library's own.

    The object compares equal (``==``) to the library's namespace and has its ``__name__``, so
    that array-api-compat and array-api-extra accept it. ``array_namespace(x) is xp`` is false:
    compare with ``==``.

    `name` is used in the representation and in the reasons of skipped tests. The device lacks the
    dtypes `lacking`: creating an array of one of them raises ``unittest.SkipTest``, so that pytest
    skips a test that requires it.
    """

    def __init__(self, xp: Any, device: Any, /, *, name: str, lacking: Sequence[str] = ()) -> None:
        self._xp, self._device, self._name, self._lacking = xp, device, name, tuple(lacking)

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "_xp":  # while a copy is made
            raise AttributeError(attribute)
        value = getattr(self._xp, attribute)
        if attribute in _CREATORS:
            return self._on_device(value)
        if attribute == "fft":
            return DeviceNamespace(value, self._device, name=self._name, lacking=self._lacking)
        return value

    def __array_namespace_info__(self) -> Any:
        """Return the library's inspection object, with this device as the default."""
        return _DeviceInfo(self._xp.__array_namespace_info__(), self._device)

    def __dir__(self) -> list[str]:
        return dir(self._xp)

    def __eq__(self, other: object) -> bool:
        return self._xp is (other._xp if isinstance(other, DeviceNamespace) else other)

    def __hash__(self) -> int:
        return hash(self._xp)

    def __repr__(self) -> str:
        return f"<namespace {self._xp.__name__} on {self._name}>"

    def _on_device(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a creation function with the device as its default."""

        @functools.wraps(function)
        def create(*args: Any, **options: Any) -> Any:
            x = args[0] if args else None
            is_own = is_array(x) and array_namespace(x) is self._xp
            if options.get("device") is None and not (function.__name__ == "asarray" and is_own):
                # NumPy values have a dtype; numbers and lists do not.
                dtype = x.dtype if isinstance(x, np.ndarray | np.generic) else None
                name = str(options.get("dtype") or dtype).rpartition(".")[2]
                if name in self._lacking:
                    msg = f"{self._name} has no {name}"
                    raise unittest.SkipTest(msg)
                options["device"] = self._device
            return function(*args, **options)

        return create


class _DeviceInfo:
    """A library's ``__array_namespace_info__()`` with one device as the default."""

    def __init__(self, info: Any, device: Any, /) -> None:
        self._info, self._device = info, device

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._info, attribute)

    def default_device(self) -> Any:
        return self._device

    def default_dtypes(self, *, device: Any = None) -> Any:
        return self._info.default_dtypes(device=self._device if device is None else device)

    def dtypes(self, *, device: Any = None, kind: Any = None) -> Any:
        return self._info.dtypes(device=self._device if device is None else device, kind=kind)
