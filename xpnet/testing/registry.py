"""Registration, availability and selection of the backends that tests run on."""

import functools
import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Final
from unittest.mock import patch

from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.known_libraries import KNOWN
from xpnet.arrays.libraries import libraries
from xpnet.arrays.library import Library
from xpnet.testing.built_in import BUILT_IN, STRICTEST, BackendSpec, cupy_device

__all__ = [
    "STRICTEST",
    "backend_names",
    "backends_matching",
    "canonical_name",
    "default_names",
    "select_backends",
    "selected_backends",
    "spec_of",
    "unavailable_reason",
    "use_backends",
]

# Libraries by the names of their modules, which SciPy's marks use.
_LIBRARIES: Final = {x.module: x.name for x in KNOWN.values()}
_BUILT_IN: Final = {spec.name: spec for spec in BUILT_IN}
_selected: tuple[str, ...] | None = None  # None: the default backends


def spec_of(name: str, /) -> BackendSpec:
    """Return the specification of a backend; raise KeyError if its library is unknown."""
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    library, _, device = name.partition(":")
    found = libraries()[library]
    if library in _BUILT_IN:
        base = replace(_BUILT_IN[library], name=name, device=device)
        is_card = library == "cupy" and device.isdecimal()
        return replace(base, settings=partial(cupy_device, int(device))) if is_card else base
    lazy, safe = found.is_lazy, found.thread_safe
    return BackendSpec(name, device, is_lazy=lazy, thread_safe=safe, default=not device)


def backend_names() -> tuple[str, ...]:
    """Return the names of all backends; every other device of their libraries is one, too."""
    return (*_BUILT_IN, *(name for name in libraries() if name not in _BUILT_IN))


def default_names() -> tuple[str, ...]:
    """Return the names of the backends that tests run on by default."""
    return tuple(name for name in backend_names() if spec_of(name).default)


def canonical_name(word: str, /) -> str:
    """Return the name of a backend or library; ``"jax.numpy"``, for example, is ``"jax"``."""
    library, colon, variant = word.partition(":")
    return _LIBRARIES.get(library, library) + colon + variant


def backends_matching(word: str, /, argument: str = "`backends`") -> tuple[str, ...]:
    """Return the backends that a word stands for; if none, raise ValueError about `argument`.

    The word is a backend, a library (its default backends), ``"default"``, ``"host"`` (those of
    them whose arrays NumPy can read), ``"all"``, or a pattern.
    """
    if word in {"default", "host"}:
        return tuple(x for x in default_names() if word == "default" or spec_of(x).is_cpu)
    if word == "all":  # older versions of the standard lack functions that right code may use
        return tuple(x for x in backend_names() if not x.startswith("array-api-strict:20"))
    name = canonical_name(word)
    found = tuple(x for x in default_names() if spec_of(x).library == name)
    found = found or tuple(x for x in backend_names() if fnmatchcase(x, name))
    if (
        not found
        and re.fullmatch(r"[^:*?]+:[^*?]+", name)
        and name.partition(":")[0] in libraries()
    ):
        return (name,)
    if not found:
        known = (
            f"known are all, default, host, {', '.join(backend_names())}, and patterns like torch:*"
        )
        msg = f"{argument} must name backends; got {word!r}, {known}"
        raise ValueError(msg)
    return found


def select_backends(
    words: str | Iterable[str], argument: str = "`backends`", *, start: Iterable[str] | None = None
) -> tuple[str, ...]:
    """Return the backends that match some words, in the order in which tests run.

    Words (see `backends_matching`) are a list, or a string with commas. A leading ``-`` removes:
    from the other words' backends or, if all words begin with it, from `start` (the default ones).
    """
    split = words.split(",") if isinstance(words, str) else words
    stripped = [word.strip() for word in split if word.strip()]
    kept = [word for word in stripped if not word.startswith("-")]
    left_out = [word[1:] for word in stripped if word.startswith("-")]
    names = {name for word in kept for name in backends_matching(word, argument)}
    if left_out and not kept:
        names = set(default_names() if start is None else start)
    for word in left_out:
        names.difference_update(backends_matching(word, argument))
        names = {x for x in names if spec_of(x).library != canonical_name(word)}
    known = backend_names()
    return (*(x for x in known if x in names), *sorted(names.difference(known)))


def selected_backends() -> tuple[str, ...]:
    """Return the names of the backends that tests run on."""
    return default_names() if _selected is None else _selected


def use_backends(names: tuple[str, ...], /) -> AbstractContextManager[object]:
    """Select the backends that tests run on, within a context."""
    return patch(f"{__name__}._selected", names)


def unavailable_reason(name: str, /) -> str | None:
    """Return the reason why a backend is unavailable on this machine; None if it is available.

    A library on its default device is not imported for this, which would take seconds.
    """
    spec = spec_of(name)
    return _reason(spec, libraries()[spec.library])


@functools.cache
def _reason(spec: BackendSpec, library: Library) -> str | None:
    # Why CuPy is missing would be found by a diagnosis of GPUs, which tests do not need.
    cause = library.missing() or library.cause(spec.device)
    if cause is not None:
        return str(cause)
    if ":" in spec.name:
        try:
            with spec.settings():  # which refuse missing devices, for example
                library.opened(spec.device)
        except (DeviceError, ImportError, OSError, RuntimeError, ValueError) as error:
            return str(error) or type(error).__name__
    return None
