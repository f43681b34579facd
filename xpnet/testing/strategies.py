"""Hypothesis strategies for backends, their dtypes and their arrays."""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from hypothesis import strategies as st
from hypothesis.control import cleanup
from hypothesis.extra import numpy as of_numpy

from xpnet.arrays.namespace import dtype_name
from xpnet.testing.backends import Backend, open_backend
from xpnet.testing.registry import select_backends, selected_backends, unavailable_reason

__all__ = ["arrays", "backends", "dtypes"]


@st.composite
def backends(draw: st.DrawFn, names: str | Iterable[str] | None = None) -> Backend:
    """Draw an available backend among `names`, as for ``--xp-backends``.

    Its settings, such as JAX's 64-bit numbers, apply until the end of the example.

    Examples
    --------
    >>> from hypothesis import given, strategies as st
    >>> @given(backend=backends("numpy,array-api-strict"), data=st.data())
    ... def test_abs(backend, data):
    ...     x = data.draw(arrays(backend, data.draw(dtypes(backend)), 3, {"allow_nan": False}))
    ...     assert backend.xp.all(backend.xp.abs(x) >= 0)
    >>> test_abs()
    """
    selected = selected_backends()
    chosen = selected if names is None else select_backends(names, start=selected)
    reasons = {name: unavailable_reason(name) for name in chosen}
    available = [name for name, reason in reasons.items() if reason is None]
    if not available:
        msg = f"`names` must name a backend that is available; got {names!r} ({reasons})"
        raise ValueError(msg)
    backend = open_backend(draw(st.sampled_from(available)))
    settings = ExitStack()
    settings.enter_context(backend.flags)
    cleanup(settings.close)
    return backend


def dtypes(backend: Backend, kind: str | tuple[str, ...] = "real floating") -> Any:
    """Return a strategy for names of the device's dtypes, of a kind as the standard calls it."""
    info = backend.xp.__array_namespace_info__()
    return st.sampled_from(list(info.dtypes(device=backend.device, kind=kind)))


def arrays(backend: Backend, dtype: Any, shape: Any, elements: Any = None) -> Any:
    """Return a strategy for arrays of a backend, as of ``hypothesis.extra.numpy.arrays``.

    `dtype` is a name or any library's dtype. If the device lacks it, the test is skipped.
    """
    made = of_numpy.arrays(dtype_name(dtype), shape, elements=elements)
    return made.map(lambda x: backend.asarray(x, x.dtype))
