"""Copies of arrays between libraries, and between host and device."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.libraries import library_with
from xpnet.arrays.namespace import array_namespace, cast, device_of, without_warnings

__all__ = ["beside", "is_in_host_memory", "is_numpy", "is_traced", "is_usual", "move"]
__all__ += ["read_only", "to_numpy", "without_graph"]


def is_numpy(x: object, /) -> bool:
    """Return whether `x` is a NumPy array."""
    return isinstance(x, np.ndarray)


def is_usual(x: object, /) -> bool:
    """Return whether an array is NumPy's own, of float32 or float64."""
    return type(x) is np.ndarray and x.dtype.char in "fd" and x.dtype.isnative


def read_only(x: Any, /) -> Any:
    """Return a read-only copy of a NumPy array, in memory; others unchanged."""
    if is_numpy(x):
        x = np.array(x, order="C", subok=not isinstance(x, np.memmap))
        x.flags.writeable = False
    return x


def is_in_host_memory(x: Any, /) -> bool:
    """Return whether an array of any library is in host memory.

    Lazy Dask arrays, and arrays on the default device of an unknown library, count as host memory.
    """
    if isinstance(x, np.ndarray | np.generic):
        return True
    return library_with(array_namespace(x)).is_on_host(device_of(x))


def is_traced(x: Any, /) -> bool:
    """Return whether JAX or torch record computations of `x` for a compiler: it has no values."""
    library = type(x).__module__.partition(".")[0]
    if library == "jax":
        import jax

        return isinstance(x, jax.core.Tracer)
    if library == "torch":
        import torch  # torch.compile does not follow import_module

        return torch.compiler.is_compiling() or torch.jit.is_tracing()
    return False


def to_numpy(x: Any, /) -> NDArray[Any]:
    """Return an array of any library as a NumPy array; NumPy arrays are returned unchanged.

    Lazy arrays are computed, and bfloat16 of other libraries becomes float32.
    """
    if isinstance(x, np.ndarray | np.generic):
        return np.asarray(x)
    host = library_with(array_namespace(x)).numpy(x)
    return host.astype(np.float32) if host.dtype.name == "bfloat16" else host


def without_graph(x: Any, /) -> Any:
    """Return a torch array detached from its autograd graph; other arrays unchanged."""
    return x.detach() if hasattr(x, "detach") else x


def move(x: Any, xp: Any, device: Any, /) -> Any:
    """Return the values of `x` as an array of the namespace `xp` on `device`.

    If `x` is there already, or a device is unknown, `x` itself is returned. Between two libraries,
    the copy passes through the host. `xp` comes from `array_namespace`; `device` is a device object
    of its library.
    """
    if xp is np:
        return to_numpy(x)
    if array_namespace(x) is xp:
        if device is None or device_of(x) in {None, device}:
            return x
        import array_api_compat

        return array_api_compat.to_device(x, device)
    return library_with(xp).array(to_numpy(x), device)


def beside(x: Any, like: Any, /) -> Any:
    """Return the values of `x` in the library, device and floating-point dtype of another array."""
    xp = array_namespace(like)
    with without_warnings():  # a number may overflow
        if is_numpy(x) and like.dtype != xp.float64:
            x = cast(x, np.float32, np)  # the device may have no float64
        return cast(move(x, xp, device_of(like)), like.dtype, xp)
