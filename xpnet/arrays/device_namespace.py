"""A library's namespace whose creation functions create on one device."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

from xpnet.arrays.namespace import CREATORS, array_namespace, dtype_name, is_array

__all__ = ["DeviceNamespace"]


class DeviceNamespace:
    """A library's namespace with one device as the default of its creation functions.

    An explicit ``device=`` takes precedence, and ``asarray`` of the library's array stays on the
    array's device. ``current()`` returns a context in which the library creates on the device.
    `check` is called with the name of the dtype of each new array, None for the default dtype. The
    object equals the library's namespace: compare with ``array_namespace(x) == xp``, not ``is``.
    """

    def __init__(
        self,
        xp: Any,
        device: Any,
        name: str,
        *,
        current: Callable[[], AbstractContextManager[Any]] = nullcontext,
        check: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        self._xp, self._device, self._name = xp, device, name
        self._current, self._check = current, check

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "_xp":  # while a copy is made
            raise AttributeError(attribute)
        value = getattr(self._xp, attribute)
        if attribute == "fft":
            current, check = self._current, self._check
            return DeviceNamespace(value, self._device, self._name, current=current, check=check)
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
            x = args[0] if args else None
            is_kept = function.__name__ == "asarray" and is_array(x)
            if is_kept and array_namespace(x) == self._xp:
                return function(*args, **options)
            if options.get("device") is None:
                dtype = options.get("dtype") or getattr(x, "dtype", None)
                self._check(None if dtype is None else dtype_name(dtype))
                options["device"] = self._device
            with self._current():
                return function(*args, **options)

        return create
