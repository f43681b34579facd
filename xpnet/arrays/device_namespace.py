"""A library's namespace whose creation functions create on one device."""

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from xpnet.arrays.namespace import CREATORS, array_namespace, is_array

__all__ = ["DeviceNamespace"]


class DeviceNamespace:
    """A library's namespace with one device as the default of its creation functions.

    An explicit ``device=`` takes precedence, and ``asarray`` of the library's array stays on the
    array's device. The object equals the library's namespace: compare with ``array_namespace(x) ==
    xp``, not ``is``.
    """

    def __init__(self, xp: Any, device: Any, name: str) -> None:
        self._xp, self._device, self._name = xp, device, name

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "_xp":  # while a copy is made
            raise AttributeError(attribute)
        value = getattr(self._xp, attribute)
        if attribute == "fft":
            return type(self)(value, self._device, self._name)
        return self._on_device(value) if attribute in CREATORS else value

    def __array_namespace_info__(self) -> Any:
        """Return the library's inspection object, with this device as the default."""
        info = self._xp.__array_namespace_info__()
        return SimpleNamespace(
            capabilities=info.capabilities,
            default_device=lambda: self._device,
            default_dtypes=self._on_device(info.default_dtypes),
            devices=info.devices,
            dtypes=self._on_device(info.dtypes),
        )

    def __eq__(self, other: object) -> bool:
        return self._xp is (other._xp if isinstance(other, DeviceNamespace) else other)

    def __hash__(self) -> int:
        return hash(self._xp)

    def __repr__(self) -> str:
        return f"<namespace {self._xp.__name__} on {self._name}>"

    def _on_device(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def create(*args: Any, **options: Any) -> Any:
            is_kept = function.__name__ == "asarray" and args and is_array(args[0])
            if is_kept and array_namespace(args[0]) == self._xp:
                return function(*args, **options)
            if options.get("device") is None:
                options["device"] = self._device
            if type(self._device).__module__.partition(".")[0] != "cupy":
                return function(*args, **options)
            # CuPy ignores `device`: it creates on its current GPU, one for each thread.
            with options.pop("device"):
                return function(*args, **options)

        return create
