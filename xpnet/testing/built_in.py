"""Backends that xpnet knows: libraries, devices and variants, with their settings."""

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

__all__ = ["BUILT_IN", "STRICTEST", "BackendSpec"]

# The backend that rejects all operations that lazy libraries do not support.
STRICTEST: Final = "array-api-strict:strictest"
_OF_JAX: Final = ("jax_enable_x64", "jax_default_device", "jax_default_matmul_precision")
_lock: Final = threading.Lock()
_Context = AbstractContextManager[None]
# Of each library: the settings from before the first open context, then those of all open ones.
_stacks: Final[dict[str, list[dict[str, Any]]]] = {"array-api-strict": [], "jax": [], "torch": []}


@dataclass(frozen=True)
class BackendSpec:
    """An array library on a device, or a variant: its settings, or how it holds arrays."""

    name: str  # "library" or "library:variant", of a library that `Device` knows
    device: str = ""  # as after the colon of a word for `Device`; "": the default one
    asarray: Callable[[Any], Any] | None = None  # from a NumPy array to one of the variant
    settings: Callable[[], AbstractContextManager[Any]] = nullcontext  # entered while tests run
    is_cpu: bool = True  # in host memory; if false, `cpu_only` of marks excludes the backend
    is_lazy: bool = False  # without values; if true, `eager_only` of marks excludes the backend
    thread_safe: bool = True  # if false, tests have the mark `thread_unsafe`
    default: bool = True  # if false, only its name, a pattern or "all" selects the backend

    @property
    def library(self) -> str:
        """The library's name, for example ``"array-api-strict"``."""
        return self.name.partition(":")[0]


def strict_flags(**flags: Any) -> _Context:
    """Return a context with flags of array-api-strict, such as ``boolean_indexing=False``."""
    strict = importlib.import_module("array_api_strict")
    read, write = strict.get_array_api_strict_flags, strict.set_array_api_strict_flags
    return _applied("array-api-strict", flags, read, write)


def jax_settings(*, has_64_bits: bool = True, platform: str | None = None) -> _Context:
    """Return a context with or without JAX's 64-bit numbers, on a platform such as "cuda"."""
    jax = importlib.import_module("jax")
    values: dict[str, Any] = {"jax_enable_x64": has_64_bits}
    if platform is not None:
        values["jax_default_device"] = jax.devices(platform)[0]
        values["jax_default_matmul_precision"] = "highest"  # a GPU's default drops digits

    def write(**wanted: Any) -> None:
        for name, value in wanted.items():
            jax.config.update(name, value)

    return _applied("jax", values, lambda: {x: getattr(jax.config, x) for x in _OF_JAX}, write)


def torch_settings(dtype: str) -> _Context:
    """Return a context with a default dtype of torch, such as "float64"."""
    torch = importlib.import_module("torch")
    values = {"dtype": getattr(torch, dtype)}

    def write(*, dtype: Any) -> None:
        torch.set_default_dtype(dtype)

    return _applied("torch", values, lambda: {"dtype": torch.get_default_dtype()}, write)


def cupy_device(number: int) -> Any:
    """Return a context with a GPU as CuPy's current device."""
    return importlib.import_module("cupy").cuda.Device(number)


@contextmanager
def _applied(library: str, values: Any, read: Any, write: Any) -> Iterator[None]:
    """Apply settings that all threads share; threads may enter and leave in any order.

    The last to enter decides; the last to leave restores the settings from before the first.
    """
    stack = _stacks[library]

    def update() -> None:
        wanted = stack[0] | stack[-1]
        if wanted != read():
            write(**wanted)

    try:
        with _lock:
            if len(stack) <= 1:  # no context is open
                stack[:] = [read()]
            stack.append(values)
            update()
        yield
    finally:
        with _lock:
            stack[:] = [x for x in stack if x is not values]
            update()


def _read_only(x: Any) -> Any:
    x.flags.writeable = False
    return x


def _strided(x: Any) -> Any:
    """Return every second number of a larger buffer, in Fortran's order; 0-d is unchanged."""
    return np.repeat(x.T, 2, axis=-1)[..., ::2].T if x.ndim else x


def _in_chunks(x: Any) -> Any:
    """Return a Dask array in two chunks along each axis of two or more numbers."""
    chunks = tuple((n - n // 2, n // 2) if n > 1 else (n,) for n in x.shape)
    return importlib.import_module("dask.array").from_array(x, chunks)


def _requiring_gradients(x: Any) -> Any:
    return importlib.import_module("torch").asarray(x).requires_grad_(x.dtype.kind in "fc")


_flags = partial(BackendSpec, thread_safe=False, default=False)  # which all threads share
_lazy = partial(BackendSpec, is_lazy=True, thread_safe=False)
_variant = partial(BackendSpec, default=False)
_device = partial(BackendSpec, is_cpu=False)
_STRICTEST_FLAGS = partial(strict_flags, boolean_indexing=False, data_dependent_shapes=False)
_ON_CUDA = partial(jax_settings, platform="cuda")

# In the order in which tests run. Arrays of array-api-strict on other devices than its default one
# count as arrays on a GPU: NumPy cannot read them.
BUILT_IN: Final = (
    BackendSpec("numpy"),
    _variant("numpy:readonly", asarray=_read_only),
    _variant("numpy:strided", asarray=_strided),
    BackendSpec("array-api-strict"),
    _device("array-api-strict:device1", "device1"),
    _device("array-api-strict:no_float64", "no_float64"),
    # The extensions (linalg, fft) stay enabled: every library here has them.
    BackendSpec(STRICTEST, settings=_STRICTEST_FLAGS, is_lazy=True, thread_safe=False),
    _flags("array-api-strict:no_extensions", settings=partial(strict_flags, enabled_extensions=())),
    # The standard has inspection, which tests depend on, since 2023.12.
    _flags("array-api-strict:2023.12", settings=partial(strict_flags, api_version="2023.12")),
    _flags("array-api-strict:2024.12", settings=partial(strict_flags, api_version="2024.12")),
    _lazy("dask"),
    _lazy("dask:chunks", asarray=_in_chunks, default=False),
    BackendSpec("torch"),
    _device("torch:cuda", "cuda"),
    _device("torch:mps", "mps", default=False),
    _device("torch:meta", "meta", default=False),
    _variant("torch:grad", asarray=_requiring_gradients),
    _lazy("jax", settings=jax_settings),
    _lazy("jax:32", settings=partial(jax_settings, has_64_bits=False), default=False),
    _lazy("jax:cpu", settings=partial(jax_settings, platform="cpu"), default=False),
    _lazy("jax:cuda", "cuda", settings=_ON_CUDA, is_cpu=False, default=False),
    _device("cupy"),
    _device("cupy:0", "0", settings=partial(cupy_device, 0), default=False),
    _device("cupy:1", "1", settings=partial(cupy_device, 1), default=False),
    _device("dpnp"),
    _device("dpnp:cpu.0", "cpu.0", default=False),
    _device("dpnp:cpu.1", "cpu.1", default=False),
    _variant("mlx"),
)
