"""Backends that xpnet knows: libraries, devices and variants, with their settings."""

import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final

__all__ = ["BUILT_IN", "STRICTEST"]

# The backend that rejects all operations that lazy libraries do not support.
STRICTEST: Final = "array-api-strict:strictest"
_OF_JAX: Final = ("jax_enable_x64", "jax_default_device", "jax_default_matmul_precision")
_Context = AbstractContextManager[None]


def strict_flags(**flags: Any) -> _Context:
    """Return a context with flags of array-api-strict, such as ``boolean_indexing=False``."""
    strict = importlib.import_module("array_api_strict")
    read, write = strict.get_array_api_strict_flags, strict.set_array_api_strict_flags
    return _applied(flags, read, lambda values: write(**values))


def jax_settings(*, has_64_bits: bool = True, platform: str | None = None) -> _Context:
    """Return a context with or without JAX's 64-bit numbers, on a platform such as "cuda"."""
    jax = importlib.import_module("jax")
    values: dict[str, Any] = {"jax_enable_x64": has_64_bits}
    if platform is not None:
        values["jax_default_device"] = jax.devices(platform)[0]
        values["jax_default_matmul_precision"] = "highest"  # a GPU's default drops digits

    def write(values: dict[str, Any]) -> None:
        for name, value in values.items():
            jax.config.update(name, value)

    return _applied(values, lambda: {x: getattr(jax.config, x) for x in _OF_JAX}, write)


@contextmanager
def _applied(values: dict[str, Any], read: Any, write: Any) -> Iterator[None]:
    """Apply settings, which hold for the whole process."""
    before = read()
    try:
        write(values)
        yield
    finally:
        write(before)


def _read_only(x: Any) -> Any:
    x.flags.writeable = False
    return x


def _in_chunks(x: Any) -> Any:
    """Return a Dask array in two chunks along each axis of two or more numbers."""
    chunks = tuple((n - n // 2, n // 2) if n > 1 else (n,) for n in x.shape)
    return importlib.import_module("dask.array").from_array(x, chunks)


def _hidden(**options: Any) -> dict[str, Any]:
    """Return the options of a backend that only its name, a pattern or "all" selects."""
    return {"default": False, **options}


def _device(part: str, *, default: bool = False, **options: Any) -> dict[str, Any]:
    """Return the options of a device whose arrays NumPy cannot read."""
    return {"part": part, "default": default, "in_host_memory": False, **options}


# Options of `Backend`, in the order in which tests run.
BUILT_IN: Final[dict[str, dict[str, Any]]] = {
    "numpy": {},
    "numpy:readonly": _hidden(to_variant=_read_only),
    "array-api-strict": {},
    "array-api-strict:device1": _device("device1", default=True),
    "array-api-strict:no_float64": _device("no_float64", default=True),
    # The extensions (linalg, fft) stay enabled: every library here has them.
    STRICTEST: {
        "settings": partial(strict_flags, boolean_indexing=False, data_dependent_shapes=False)
    },
    "dask": {},
    "dask:chunks": _hidden(to_variant=_in_chunks),
    "torch": {},
    "torch:cuda": _device("cuda", default=True),
    "torch:mps": _device("mps"),
    "jax": {"settings": jax_settings},
    "jax:cpu": _hidden(settings=partial(jax_settings, platform="cpu")),
    "jax:cuda": _device("cuda", settings=partial(jax_settings, platform="cuda")),
    "cupy": _device("", default=True),
    "cupy:0": _device("0"),
    "cupy:1": _device("1"),
    "dpnp": _device("", default=True),
    "mlx": _hidden(),
}
