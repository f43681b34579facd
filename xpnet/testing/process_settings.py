"""Settings of array libraries that hold for the whole process, which functions must not change."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

__all__ = ["restored_settings"]


@contextmanager
def restored_settings() -> Iterator[list[str]]:
    """Restore, after a context, the settings that it has changed; yield the list of their faults.

    Only imported libraries are looked at.
    """
    faults: list[str] = []
    before = _settings()
    try:
        yield faults
    finally:
        after = _settings()
        for name, (value, restore) in before.items():
            if after[name][0] != value:
                restore(value)
                words = f"{value} before, {after[name][0]} after"
                faults.append(f"the function must not change {name}: {words}")


def _settings() -> dict[str, tuple[Any, Callable[[Any], Any]]]:
    """Return the value of each setting, and a function that restores it."""
    found: dict[str, Any] = {"numpy.geterr()": (np.geterr(), lambda x: np.seterr(**x))}
    if torch := sys.modules.get("torch"):
        found["torch.get_default_dtype()"] = torch.get_default_dtype(), torch.set_default_dtype
        found["torch.get_default_device()"] = torch.get_default_device(), torch.set_default_device
        found["torch.is_grad_enabled()"] = torch.is_grad_enabled(), torch.set_grad_enabled
    if jax := sys.modules.get("jax"):
        name, update = "jax_enable_x64", jax.config.update
        found[f"jax.config.{name}"] = jax.config.jax_enable_x64, partial(update, name)
    return found
