"""Registration, availability and selection of the backends that tests run on."""

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, Final

from xpnet.testing.built_in import BUILT_IN, STRICTEST, BackendSpec, library_reason

__all__ = [
    "STRICTEST",
    "backend_names",
    "backends_matching",
    "canonical_name",
    "default_names",
    "register_backend",
    "select_backends",
    "selected_backends",
    "spec_of",
    "unavailable_reason",
    "use_backends",
]

# Libraries by the names of their modules, which SciPy's marks use.
_LIBRARIES: Final = {str(spec.namespace): spec.library for spec in BUILT_IN}
_specs: Final = {spec.name: spec for spec in BUILT_IN}
_TAKEN: Final = {"all", "default", *_specs}
_selections: Final[list[tuple[str, ...]]] = []  # a stack, for a pytest session within another


def register_backend(name: str, namespace: str | Callable[[], Any], **options: Any) -> None:
    """Add an array library, or a device or variant of one, to the backends that tests run on.

    Parameters
    ----------
    name : str
        A library's name, or ``"library:variant"``. A second call replaces the first.
    namespace : str or callable
        Name of the module with the library's functions, or a function that returns it.
    **options
        The other fields of `BackendSpec`.

    Examples
    --------
    >>> register_backend(  # doctest: +SKIP
    ...     "sparse", "sparse", asarray=sparse.COO.from_numpy, to_numpy=lambda x: x.todense()
    ... )
    """
    if name in _TAKEN or re.fullmatch(r"\w[\w.-]*(:[\w.-]+)?", name) is None:
        msg = f"`name` must be like 'library' or 'library:variant', and not xpnet's; got {name!r}"
        raise ValueError(msg)
    _specs[name] = BackendSpec(name, namespace, **options)
    unavailable_reason.cache_clear()


def spec_of(name: str, /) -> BackendSpec:
    """Return the specification of a backend; raise KeyError if the name is unknown."""
    return _specs[name]


def backend_names() -> tuple[str, ...]:
    """Return the names of all backends."""
    return tuple(_specs)


def default_names() -> tuple[str, ...]:
    """Return the names of the backends that tests run on by default."""
    return tuple(name for name, spec in _specs.items() if spec.default)


def canonical_name(word: str, /) -> str:
    """Return the name of a backend or library; ``"jax.numpy"``, for example, is ``"jax"``."""
    library, colon, variant = word.partition(":")
    return _LIBRARIES.get(library, library) + colon + variant


def backends_matching(word: str, /, argument: str = "`backends`") -> tuple[str, ...]:
    """Return the backends that a word stands for; if none, raise ValueError about `argument`.

    The word is a backend, a library (its default backends), ``"default"``, ``"all"``, or a pattern.
    """
    if word == "default":
        return default_names()
    if word == "all":  # older versions of the standard lack functions that right code may use
        return tuple(x for x in backend_names() if not x.startswith("array-api-strict:20"))
    name = canonical_name(word)
    found = tuple(x for x in default_names() if spec_of(x).library == name)
    found = found or tuple(x for x in backend_names() if fnmatchcase(x, name))
    if not found:
        known = f"known are all, default, {', '.join(backend_names())}, and patterns like torch:*"
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
    return tuple(x for x in backend_names() if x in names)


def selected_backends() -> tuple[str, ...]:
    """Return the names of the backends that tests run on."""
    return _selections[-1] if _selections else default_names()


@contextmanager
def use_backends(names: tuple[str, ...], /) -> Iterator[None]:
    """Select the backends that tests run on, within a context."""
    _selections.append(names)
    try:
        yield
    finally:
        _selections.pop()


@functools.cache
def unavailable_reason(name: str, /) -> str | None:
    """Return the reason why a backend is unavailable on this machine; None if it is available."""
    spec, reason = spec_of(name), None
    try:
        if isinstance(spec.namespace, str):
            reason = library_reason(spec.library, spec.namespace)
        else:
            spec.namespace()
        if reason is None and spec.unavailable is not None:
            reason = spec.unavailable()
        if reason is None and ":" in name:
            with spec.settings():  # which refuse missing devices, for example
                pass
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        return str(error) or type(error).__name__
    return reason
