"""An array library: how it opens devices, moves arrays and waits for results."""

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.device_errors import DeviceError, one_line
from xpnet.arrays.namespace import array_namespace, device_of, namespace_of

__all__ = ["NARROW", "Library", "library_version", "no_devices"]

# dtypes that some devices lack, and those that replace them.
NARROW: Final = {
    "float64": "float32",
    "complex128": "complex64",
    "int64": "int32",
    "uint64": "uint32",
}
# array-api-compat fails for new classes of arrays while another thread imports a library.
_ONE_AT_A_TIME = threading.RLock()
# With the libraries of CUDA, such as cuBLAS.
_CUPY = 'pip install "cupy-cuda13x[ctk]"; with a driver before 580, "cupy-cuda12x[ctk]"'


def no_devices(part: str) -> None:
    """Return None, the device of a library without devices."""
    if part:
        msg = "it has no devices to choose from"
        raise ValueError(msg)


@dataclass(frozen=True)
class Library:
    """An array library: the arguments of `register_library`. Its callables import it."""

    name: str
    module: str
    open: Callable[[str], Any] = no_devices
    asarray: Callable[[NDArray[Any], Any], Any] | None = None
    to_numpy: Callable[[Any], Any] | None = None
    on_host: Callable[[Any], bool] | None = None
    synchronize: Callable[[Any], object] = lambda _: None

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
        fix = _CUPY if self.root == "cupy" else f"pip install {self.root.replace('_', '-')}"
        return DeviceError("not-installed", f"{self.name} is not installed", fix)

    def opened(self, part: str = "") -> Any:
        """Return the device of an array that was moved there; raise DeviceError if none can be."""
        if (missing := self.missing()) is not None:
            raise missing
        try:
            with _ONE_AT_A_TIME:
                x = self.array(np.ones(1, np.float32), self.open(part))
                self.numpy(x)  # numbers come back: torch's meta has none
                with suppress(TypeError):  # in the test kit, classes may be unknown
                    array_namespace(x)
                return device_of(x)
        except DeviceError:
            raise
        except Exception as error:
            word = one_line(f"{self.name}:{part}" if part else self.name, 50)
            message = f"{word} is not usable ({one_line(error) or type(error).__name__})"
            fix = "xpnet doctor lists the devices that are usable here"
            unusable = DeviceError("unusable", message, fix)
            raise unusable from error

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
        hint = f"xpnet.register_library({self.name!r}, {self.module!r}, to_numpy=...) tells how"
        msg = f"NumPy cannot read an array of {self.name}; {hint}"
        try:
            host = np.asarray(x)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise TypeError(msg.replace(";", f" ({error});", 1)) from error
        if host.dtype == object:
            raise TypeError(msg)
        return host

    def is_on_host(self, device: Any, /) -> bool:
        """Return whether arrays on a device are in host memory."""
        if self.on_host is not None:
            return self.on_host(device)
        info = getattr(self.namespace, "__array_namespace_info__", None)
        return device is None or info is None or bool(device == info().default_device())


def library_version(xp: Any) -> str:
    """Return the version of the library of a namespace."""
    root = sys.modules[str(xp.__name__).removeprefix("array_api_compat.").partition(".")[0]]
    return str(getattr(root, "__version__", None) or getattr(xp, "__version__", "unknown"))
