"""The table of array libraries: those that xpnet knows, and those of users."""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.library import Library, no_devices

__all__ = ["KNOWN", "libraries", "library_with", "register_library"]


def _open_cupy(part: str) -> Any:
    return import_module("xpnet.arrays.gpu").open_gpu(int(part or 0))


def _to_cupy(x: NDArray[Any], device: Any) -> Any:
    with device:
        return import_module("cupy").asarray(x)


def _open_torch(part: str) -> Any:
    torch = import_module("torch")
    device = torch.device(part) if part else torch.get_default_device()
    if device.type == "cpu" and device.index:  # torch would use the CPU
        msg = "there is one cpu"
        raise ValueError(msg)
    return device


def _to_torch(x: NDArray[Any], device: Any) -> Any:
    # torch warns about read-only memory, and has no negative strides.
    x = x if x.flags.writeable and all(step >= 0 for step in x.strides) else x.copy()
    return import_module("torch").asarray(x, device=device)


def _from_torch(x: Any) -> NDArray[Any]:
    x = x.detach().resolve_conj().resolve_neg().cpu()
    return np.asarray(x.float() if str(x.dtype) == "torch.bfloat16" else x)


def _wait_for_torch(device: Any) -> None:
    if device.type != "cpu":
        import_module("torch").accelerator.synchronize(device)


def _open_jax(part: str) -> Any:
    jax = import_module("jax")
    name, _, index = part.partition(":")
    return jax.devices(name)[int(index or 0)] if part else jax.numpy.zeros(1).device


def _wait_for_jax(_: Any) -> None:
    import_module("jax").block_until_ready(import_module("jax").live_arrays())


def _to_mlx(x: NDArray[Any], _: Any) -> Any:
    mx = import_module("mlx.core")
    dtype = getattr(mx, "bool_" if x.dtype == bool else x.dtype.name, None)
    # MLX has no negative strides; without a dtype, float64 would become float32.
    return mx.array(np.array(x, order="C", copy=None), dtype)


def _from_mlx(x: Any) -> NDArray[Any]:
    mx, is_short = import_module("mlx.core"), str(x.dtype).endswith("bfloat16")
    return np.asarray(mx.astype(x, mx.float32) if is_short else x)


_LIST = (
    Library("numpy", "numpy", no_devices, lambda x, _: x, np.asarray, lambda _: True),
    Library(
        "array-api-strict",
        "array_api_strict",
        open=lambda part: import_module("array_api_strict").Device(part or "CPU_DEVICE"),
        to_numpy=lambda x: x.to_device(import_module("array_api_strict").Device("CPU_DEVICE")),
    ),
    Library("dask", "dask.array", on_host=lambda _: True),
    Library(
        "torch",
        "torch",
        open=_open_torch,
        asarray=_to_torch,
        to_numpy=_from_torch,
        on_host=lambda device: device.type == "cpu",
        synchronize=_wait_for_torch,
    ),
    Library(
        "jax",
        "jax.numpy",
        open=_open_jax,
        on_host=lambda device: getattr(device, "platform", "cpu") == "cpu",
        synchronize=_wait_for_jax,
    ),
    Library(
        "cupy",
        "cupy",
        open=_open_cupy,
        asarray=_to_cupy,
        to_numpy=lambda x: x.get(),
        on_host=lambda _: False,
        synchronize=lambda device: device.synchronize(),
    ),
    Library(
        "dpnp",
        "dpnp",
        # By a filter of SYCL, such as "gpu" or "0".
        open=lambda part: import_module("dpnp").zeros(1, device=part or None).device,
        to_numpy=lambda x: import_module("dpnp").asnumpy(x),
        on_host=lambda _: False,
        synchronize=lambda device: device.sycl_queue.wait(),
    ),
    Library(
        "mlx",
        "mlx.core",
        asarray=_to_mlx,
        to_numpy=_from_mlx,
        synchronize=lambda _: import_module("mlx.core").synchronize(),
    ),
)
KNOWN: Final = {library.name: library for library in _LIST}
_NAME = re.compile(r"[a-z]\w*([.-]\w+)*")
_RESERVED = {"all", "auto", "cpu", "cuda", "default", "gpu", "host"}
_registered: Final[dict[str, Library]] = {}


def register_library(
    name: str,
    module: str,
    /,
    *,
    open: Callable[[str], Any] = no_devices,  # noqa: A002
    asarray: Callable[[NDArray[Any], Any], Any] | None = None,
    to_numpy: Callable[[Any], Any] | None = None,
    on_host: Callable[[Any], bool] | None = None,
    synchronize: Callable[[Any], object] = lambda _: None,
) -> None:
    """Add an array library: to the words for devices, to transfers and to the test kit.

    Parameters
    ----------
    name : str
        In words for devices and backends. A second call replaces the first.
    module : str
        Name of the module with the functions of the array API; imported at first use.
    open : callable, optional
        ``open(part)`` returns the library's object for the device ``name:part`` (None or the
        default device for ``""``), or raises an exception. Without it, there are no such words.
    asarray : callable, optional
        ``asarray(x, device)`` copies a NumPy array to a device. Default: the module's ``asarray``.
    to_numpy : callable, optional
        Returns an array as a NumPy array. Default: `numpy.asarray`.
    on_host : callable, optional
        Whether arrays on a device are in host memory. Default: if it is unknown or the default one.
    synchronize : callable, optional
        Waits until a device has finished its work. Default: no wait.

    Raises
    ------
    ValueError
        If `name` is not like a library's, or one of xpnet's own, or `module` is no module's name.

    Examples
    --------
    >>> xpnet.register_library(  # doctest: +SKIP
    ...     "sparse", "sparse", asarray=lambda x, _: sparse.COO(x), to_numpy=lambda x: x.todense()
    ... )
    """
    if not all(map(str.isidentifier, module.split("."))):
        msg = f"`module` must be the name of a module; got {module!r}"
        raise ValueError(msg)
    if name in _RESERVED | KNOWN.keys() or _NAME.fullmatch(name) is None:
        msg = f"`name` must be like 'library', and not xpnet's; got {name!r}"
        raise ValueError(msg)
    _registered[name] = Library(name, module, open, asarray, to_numpy, on_host, synchronize)


def libraries() -> Mapping[str, Library]:
    """Return all libraries by name."""
    return {**KNOWN, **_registered}


def library_with(xp: Any, /) -> Library:
    """Return the library of a namespace of arrays; for an unknown one, what may be assumed."""
    module = str(xp.__name__).removeprefix("array_api_compat.")
    root = module.partition(".")[0]
    found = [x for x in libraries().values() if x.root == root] or [Library(root, module)]
    return next((x for x in found if x.module == module), found[0])
