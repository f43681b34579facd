"""A namespace whose creation functions default to one device.

A library's own namespace creates on the library's default device, so a test that writes
``xp.zeros(3)`` would leave the device that it means to test.
"""

import functools
import unittest
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from xpnet.arrays.namespace import array_namespace, is_array

__all__ = ["PlacedNamespace"]

# The functions of the standard that create on a default device, those of its fft extension
# included. The others follow their arguments.
_CREATORS: Final = frozenset(
    (
        *("arange", "asarray", "empty", "eye", "from_dlpack", "full", "linspace", "ones", "zeros"),
        *("fftfreq", "rfftfreq"),
    )
)


class PlacedNamespace:
    """A library's namespace, with one device as the default of its creation functions.

    An explicit ``device=`` wins, and ``asarray`` of the library's own array stays where that
    is, as the standard says. Everything else is the library's own.

    The object compares equal (``==``) to the library's namespace and has its ``__name__``, so
    that array-api-compat and array-api-extra take it for that; but ``array_namespace(x) is xp``
    does not hold for it: compare with ``==``.

    Parameters
    ----------
    xp : namespace
    device : object
        In the library's own terms.
    name : str
        What the representation and the reasons of skips call it.
    lacking : sequence of str, default ()
        The dtypes that the device lacks. To create an array of one raises ``unittest.SkipTest``:
        a test that needs it is skipped there, with this reason.
    """

    def __init__(self, xp: Any, device: Any, /, *, name: str, lacking: Sequence[str] = ()) -> None:
        self._xp, self._device, self._name, self._lacking = xp, device, name, tuple(lacking)

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "_xp":  # of a copy that is being made
            raise AttributeError(attribute)
        value = getattr(self._xp, attribute)
        if attribute in _CREATORS:
            return self._place(value)
        if attribute == "fft":
            return PlacedNamespace(value, self._device, name=self._name, lacking=self._lacking)
        return value

    def __array_namespace_info__(self) -> Any:
        """Return what the library says about itself, with this device as the default one."""
        return _PlacedInfo(self._xp.__array_namespace_info__(), self._device)

    def __dir__(self) -> list[str]:
        return dir(self._xp)

    def __eq__(self, other: object) -> bool:
        return self._xp is (other._xp if isinstance(other, PlacedNamespace) else other)

    def __hash__(self) -> int:
        return hash(self._xp)

    def __repr__(self) -> str:
        return f"<namespace {self._xp.__name__} on {self._name}>"

    def _place(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a creation function with the device as its default."""

        @functools.wraps(function)
        def create(*args: Any, **options: Any) -> Any:
            follows = function.__name__ == "asarray" and self._is_own(args[0])
            if options.get("device") is None and not follows:
                self._skip_if_lacking(options.get("dtype") or _dtype_of_host(args))
                options["device"] = self._device
            return function(*args, **options)

        return create

    def _is_own(self, x: Any) -> bool:
        return is_array(x) and array_namespace(x) is self._xp

    def _skip_if_lacking(self, dtype: Any) -> None:
        name = str(dtype).rpartition(".")[2]
        if name in self._lacking:
            msg = f"{self._name} has no {name}"
            raise unittest.SkipTest(msg)


class _PlacedInfo:
    """A library's ``__array_namespace_info__()`` that speaks of one device, unless told."""

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


def _dtype_of_host(args: tuple[Any, ...]) -> Any:
    """Return the dtype that NumPy values bring along; None for numbers and lists."""
    return args[0].dtype if args and isinstance(args[0], np.ndarray | np.generic) else None
