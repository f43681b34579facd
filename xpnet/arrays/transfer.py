"""The one place where bytes cross between host and device, and are counted."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.gpu.cuda_streams import Bus
from xpnet.arrays.namespace import array_namespace, device_of, library_of
from xpnet.arrays.transfer_counts import record

__all__ = ["is_in_host_memory", "move", "to_numpy", "without_graph"]


def is_in_host_memory(x: Any, /) -> bool:
    """Tell whether an array is where NumPy's are: no copy from there crosses to a device.

    Parameters
    ----------
    x : array
        Of any library. Lazy Dask arrays, whose blocks come when they are computed, count as host
        memory; of an unknown library the default device does.
    """
    if isinstance(x, np.ndarray | np.generic):
        return True
    library, device = library_of(x), device_of(x)
    if library in {"cupy", "dask"}:
        return library == "dask"
    if library == "torch":
        return bool(device.type == "cpu")
    if library == "jax":
        return device is None or getattr(device, "platform", "cpu") == "cpu"
    return bool(device == array_namespace(x).__array_namespace_info__().default_device())


def to_numpy(x: Any, /) -> NDArray[Any]:
    """Return any library's array as a NumPy array; a NumPy array is returned as it is.

    Waits for the device, and computes a lazy array. bfloat16, which NumPy has not, becomes
    float32.
    """
    if isinstance(x, np.ndarray | np.generic):
        return np.asarray(x)
    host = _copied_to_host(x)
    if not is_in_host_memory(x):
        record("host", int(getattr(x, "nbytes", host.nbytes)))
    return host.astype(np.float32) if host.dtype.name == "bfloat16" else host


def _copied_to_host(x: Any) -> NDArray[Any]:
    import array_api_compat as compat

    if compat.is_cupy_array(x):
        return np.asarray(x.get())
    if compat.is_torch_array(x):
        x = x.detach().cpu()
        return np.asarray(x.float() if str(x.dtype) == "torch.bfloat16" else x)
    if not (compat.is_jax_array(x) or compat.is_dask_array(x)):
        # An unknown library: its default device is the one that NumPy can read.
        host = compat.array_namespace(x).__array_namespace_info__().default_device()
        x = compat.to_device(x, host)
    return np.asarray(x)


def without_graph(x: Any, /) -> Any:
    """Return a torch array apart from the graph that its gradients would need; others as is."""
    return x.detach() if hasattr(x, "detach") else x


def move(x: Any, xp: Any, device: Any, /) -> Any:
    """Return the values of `x` as an array of the namespace `xp` on `device`.

    `x` is returned as it is where it is there already. From one library to another, bytes pass
    through the host.

    Parameters
    ----------
    x : array
    xp : namespace
        As given by `xpnet.arrays.namespace.array_namespace`.
    device : object
        A device in that library's own terms.
    """
    is_at_home = array_namespace(x) is xp
    if is_at_home and device_of(x) == device:
        return x
    if xp is np:
        return to_numpy(x)
    if not is_at_home:
        host = to_numpy(x)
        return _recorded(host, _created(host, xp, device))
    import array_api_compat as compat

    return _recorded(x, compat.to_device(x, device))


def _created(host: NDArray[Any], xp: Any, device: Any) -> Any:
    import array_api_compat as compat

    if compat.is_cupy_namespace(xp):
        # CuPy's creation functions ignore `device=` (array-api-compat#337).
        with device:
            moved = xp.asarray(host)
            if Bus().is_pinned(host):  # which is read later, when it may hold something else
                device.synchronize()
            return moved
    if compat.is_torch_namespace(xp) and not host.flags.writeable:
        host = host.copy()  # torch warns about memory that it may not write to
    return xp.asarray(host, device=device)


def _recorded(x: Any, moved: Any) -> Any:
    """Return `moved`, counted if `x` was on the other side."""
    was_on_host, is_on_host = is_in_host_memory(x), is_in_host_memory(moved)
    if was_on_host != is_on_host:
        host = moved if is_on_host else x
        # What does not tell its bytes, NumPy can read without a copy: it is in host memory.
        n_bytes = host.nbytes if hasattr(host, "nbytes") else np.asarray(host).nbytes
        record("host" if is_on_host else "device", int(n_bytes))
    return moved
