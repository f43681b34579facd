"""Names of the backends, words that select them, and those that tests run on."""

from collections.abc import Iterable
from typing import Final

from xpnet.arrays.known_libraries import KNOWN
from xpnet.arrays.libraries import libraries
from xpnet.testing.backends import open_backend
from xpnet.testing.built_in import BUILT_IN
from xpnet.testing.run_settings import RUN

__all__ = [
    "backends_matching",
    "canonical_name",
    "default_names",
    "select_backends",
    "selected_backends",
    "unavailable_reason",
]

# Libraries by the names of their modules, which SciPy's marks use.
_LIBRARIES: Final = {x.module: x.name for x in KNOWN.values()}


def backend_names() -> tuple[str, ...]:
    """Return the names of all backends; every other device of their libraries is one, too."""
    return (*BUILT_IN, *(name for name in libraries() if name not in BUILT_IN))


def default_names() -> tuple[str, ...]:
    """Return the names of the backends that tests run on by default."""
    return tuple(name for name in backend_names() if open_backend(name).default)


def canonical_name(word: str, /) -> str:
    """Return the name of a backend or library; ``"jax.numpy"``, for example, is ``"jax"``."""
    library, colon, variant = word.partition(":")
    return _LIBRARIES.get(library, library) + colon + variant


def backends_matching(word: str, /, argument: str = "`backends`") -> tuple[str, ...]:
    """Return the backends that a word stands for; if none, raise ValueError about `argument`.

    The word is a backend, a library (its default backends) or ``"all"``.
    """
    if word == "all":
        return backend_names()
    name = canonical_name(word)
    library, colon, device = name.partition(":")
    if found := tuple(x for x in default_names() if open_backend(x).library == name):
        return found
    if library in libraries() and bool(colon) == bool(device):
        return (name,)
    known = f"all, {', '.join(backend_names())}"
    msg = f"{argument} must name backends; got {word!r}, known are {known}"
    raise ValueError(msg)


def select_backends(words: str | Iterable[str], argument: str = "`backends`") -> tuple[str, ...]:
    """Return the backends that match some words, in the order in which tests run.

    Words (see `backends_matching`) are a list, or a string with commas. A leading ``-`` removes:
    from the other words' backends or, if all words begin with it, from the selected ones.
    """
    split = words.split(",") if isinstance(words, str) else words
    stripped = [word.strip() for word in split if word.strip()]
    kept = [word for word in stripped if not word.startswith("-")]
    left_out = [word[1:] for word in stripped if word.startswith("-")]
    names = {name for word in kept for name in backends_matching(word, argument)}
    if left_out and not kept:
        names = set(selected_backends())
    for word in left_out:
        names.difference_update(backends_matching(word, argument))
        names = {x for x in names if open_backend(x).library != canonical_name(word)}
    known = backend_names()
    return (*(x for x in known if x in names), *sorted(names.difference(known)))


def selected_backends() -> tuple[str, ...]:
    """Return the names of the backends that tests run on."""
    return default_names() if RUN.backends is None else RUN.backends


def unavailable_reason(name: str, /) -> str | None:
    """Return the reason why a backend is unavailable on this machine; None if it is available."""
    return open_backend(name).unavailable
