"""Random numbers on a device, drawn by NumPy."""

from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.arrays.namespace import dtype_name

if TYPE_CHECKING:
    from xpnet.arrays.device import Device

__all__ = ["DeviceRandom", "numpy_name"]


class DeviceRandom:
    """NumPy's random generator with results on a device."""

    def __init__(self, generator: np.random.Generator, device: "Device") -> None:
        self._generator, self._device = generator, device

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # while a copy is made
            raise AttributeError(name)
        value, device = getattr(self._generator, name), self._device
        if name == "shuffle":
            msg = "`shuffle` works in place, on NumPy's arrays alone: use `permutation`"
            raise AttributeError(msg)
        if not callable(value):
            return value

        def draw(*args: Any, **options: Any) -> Any:
            if options.get("dtype") is not None:
                options["dtype"] = numpy_name(options["dtype"])
            drawn = value(*device.to_numpy(args), **device.to_numpy(options))
            is_array = isinstance(drawn, np.ndarray | np.generic | int | float)
            return device.asarray(np.asarray(drawn)) if is_array else drawn

        return draw


def numpy_name(dtype: Any) -> str:
    """Return the name of a dtype of any library, of Python's `float` and `int`, or of C."""
    is_for_numpy = isinstance(dtype, str | type) and dtype != "bfloat16"
    return np.dtype(dtype).name if is_for_numpy else dtype_name(dtype)
