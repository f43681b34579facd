"""An array library: how it opens devices, moves arrays and waits for results."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.device_errors import DeviceError, one_line
from xpnet.arrays.namespace import device_of, namespace_of

__all__ = ["NARROW", "Library", "library_version", "no_devices", "no_wait", "unusable"]

# dtypes that some devices lack, and those that replace them.
NARROW: Final = {
    "float64": "float32",
    "complex128": "complex64",
    "int64": "int32",
    "uint64": "uint32",
}
_INSTALL = {"cupy": 'pip install "cupy-cuda13x[ctk]"; for a driver before 580, "cupy-cuda12x[ctk]"'}


def no_devices(part: str) -> None:
    """Return None, the device of a library without devices."""
    if part:
        msg = "it has no devices to choose from"
        raise ValueError(msg)


def no_wait(_: Any) -> None:
    """Return at once: the library has finished its work when a function returns."""


@dataclass(frozen=True)
class Library:
    """An array library; its callables import it themselves.

    The fields are the arguments of `register_library`.
    """

    name: str
    module: str
    open: Callable[[str], Any] = no_devices
    asarray: Callable[[NDArray[Any], Any], Any] | None = None
    to_numpy: Callable[[Any], Any] | None = None
    on_host: Callable[[Any], bool] | None = None
    synchronize: Callable[[Any], object] = no_wait

    @property
    def root(self) -> str:
        """The first part of the module's name."""
        return self.module.partition(".")[0]

    @property
    def namespace(self) -> Any:
        """The namespace of the array API; imports the library."""
        is_wrapped = self.module in {"cupy", "dask.array", "torch"}
        module = importlib.import_module("array_api_compat." * is_wrapped + self.module)
        return namespace_of(module)

    def missing(self) -> DeviceError | None:
        """Return the error if the library is not installed; import nothing."""
        if sys.modules.get(self.root) is not None or importlib.util.find_spec(self.root):
            return None
        fix = _INSTALL.get(self.name, f"pip install {self.root.replace('_', '-')}")
        return DeviceError("not-installed", f"{self.name} is not installed", fix)

    def opened(self, part: str = "") -> Any:
        """Return the device of an array that was moved there; raise DeviceError if none can be."""
        if (missing := self.missing()) is not None:
            raise missing
        try:
            return device_of(self.array(np.ones(1, np.float32), self.open(part)))
        except DeviceError:
            raise
        except Exception as error:
            raise unusable(self.name, part, error) from error

    def array(self, x: NDArray[Any], device: Any, /) -> Any:
        """Return a NumPy array as an array on a device."""
        x = x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))
        if self.asarray is not None:
            return self.asarray(x, device)
        xp = self.namespace
        return xp.asarray(x) if device is None else xp.asarray(x, device=device)

    def numpy(self, x: Any, /) -> NDArray[Any]:
        """Return an array as a NumPy array; raise TypeError if that is unknown to be possible."""
        if self.to_numpy is not None:
            return np.asarray(self.to_numpy(x))
        host, error = None, None
        try:
            host = np.asarray(x)
        except (BufferError, RuntimeError, TypeError, ValueError) as caught:
            error = caught
        if host is None or host.dtype == object:
            hint = f"xpnet.register_library({self.name!r}, {self.module!r}, to_numpy=...) tells how"
            msg = f"NumPy cannot read an array of {self.name}{f' ({error})' * bool(error)}; {hint}"
            raise TypeError(msg) from error
        return host

    def is_on_host(self, device: Any, /) -> bool:
        """Return whether arrays on a device are in host memory."""
        if self.on_host is not None:
            return self.on_host(device)
        info = getattr(self.namespace, "__array_namespace_info__", None)
        return device is None or info is None or bool(device == info().default_device())


def unusable(name: str, part: str, error: Exception) -> DeviceError:
    """Return the error of a device for one that opening it raised."""
    word = f"{name}:{part}" if part else name
    text = one_line(error) or type(error).__name__
    text = "there is no such device" if isinstance(error, IndexError) else text
    message = f"{word} is not usable ({text})"
    return DeviceError("unusable", message, "xpnet doctor lists the devices that are usable here")


def library_version(xp: Any) -> str:
    """Return the version of the library of a namespace."""
    name = str(xp.__name__).removeprefix("array_api_compat.")
    modules = (sys.modules.get(x) for x in (name.partition(".")[0], name))
    found = (getattr(module, "__version__", None) for module in modules)
    return str(next(filter(None, found), "unknown"))
