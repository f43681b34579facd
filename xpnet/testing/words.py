"""Words for backends, and the backends that tests run on."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from xpnet.arrays.libraries import KNOWN, libraries
from xpnet.testing.backends import DEFAULT, EXTRA, open_backend

__all__ = [
    "RUN",
    "backends_named",
    "canonical_name",
    "default_names",
    "select_backends",
    "selected_backends",
    "unavailable_reason",
]


@dataclass
class _RunSettings:
    """Settings in all threads, which the pytest plugin writes and `assert_parity` reads."""

    backends: tuple[str, ...] | None = None  # None: the default ones
    marks: tuple[Any, ...] = ()  # of the running test, see `xpnet.testing.marks`
    # Backends that its calls of `assert_parity` left out, with reasons.
    left_out: dict[str, str] = field(default_factory=dict)


RUN: Final = _RunSettings()
# Libraries by the names of their modules, which SciPy's marks use.
_LIBRARIES: Final = {x.module: x.name for x in KNOWN.values()}


def default_names() -> tuple[str, ...]:
    """Return the names of the backends that tests run on by default."""
    return (*DEFAULT, *(name for name in libraries() if name not in KNOWN))


def canonical_name(word: str, /) -> str:
    """Return the name of a backend or library; ``"jax.numpy"``, for example, is ``"jax"``."""
    library, colon, device = word.partition(":")
    return _LIBRARIES.get(library, library) + colon + device


def backends_named(word: str, /, argument: str = "`backends`") -> tuple[str, ...]:
    """Return the backends that a word stands for: a library's default ones, or a device.

    Raise ValueError about `argument` if the library is unknown.
    """
    if word == "all":
        return (*default_names(), *EXTRA)
    name = canonical_name(word)
    library, colon, device = name.partition(":")
    if found := tuple(x for x in default_names() if x.partition(":")[0] == name):
        return found
    if library in libraries() and bool(colon) == bool(device):
        return (name,)
    known = ", ".join(("all", *default_names(), *EXTRA))
    msg = f"{argument} must name backends; got {word!r}, known are {known}"
    raise ValueError(msg)


def select_backends(words: str | Iterable[str], argument: str = "`backends`") -> tuple[str, ...]:
    """Return the backends that words name, in the order in which tests run.

    Words (see `backends_named`) are a list, or a string with commas. A leading ``-`` removes:
    from the other words' backends or, if all words begin with it, from the selected ones.
    """
    split = words.split(",") if isinstance(words, str) else words
    stripped = [word.strip() for word in split if word.strip()]
    kept = [word for word in stripped if not word.startswith("-")]
    left_out = [word[1:] for word in stripped if word.startswith("-")]
    names = {name for word in kept for name in backends_named(word, argument)}
    if left_out and not kept:
        names = set(selected_backends())
    for word in left_out:
        names.difference_update(backends_named(word, argument))
        names = {x for x in names if x.partition(":")[0] != canonical_name(word)}
    known = backends_named("all")
    return (*(x for x in known if x in names), *sorted(names.difference(known)))


def selected_backends() -> tuple[str, ...]:
    """Return the names of the backends that tests run on."""
    return default_names() if RUN.backends is None else RUN.backends


def unavailable_reason(name: str, /) -> str | None:
    """Return the reason why a backend is unavailable on this machine; None if it is available."""
    return open_backend(name).unavailable
