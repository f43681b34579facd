"""Names, availability and selection of the backends that tests run on."""

import functools
import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from xpnet.arrays.gpu.diagnosis import diagnose

__all__ = [
    "NAMES",
    "STRICTEST",
    "backends_matching",
    "module_of",
    "no_cuda_reason",
    "select_backends",
    "selected_backends",
    "unavailable_reason",
    "use_backends",
]

# Every backend, in the order in which tests run: a library and, unless it is the library's default
# backend, its device or settings after a colon.
NAMES: Final = (
    "numpy",
    "array-api-strict",
    "array-api-strict:device1",
    "array-api-strict:no_float64",
    "array-api-strict:strictest",
    "dask",
    "torch",
    "torch:cuda",
    "jax",
    "cupy",
)
# The backend that rejects all operations that lazy libraries do not support.
STRICTEST: Final = "array-api-strict:strictest"
# The module of a library, if its name differs from the library's.
_MODULES: Final = {"array-api-strict": "array_api_strict", "dask": "dask.array", "jax": "jax.numpy"}
# Older versions lack a device without float64, or promote float32 arguments to float64.
_OLDEST_STRICT: Final = "2.6.1"
# A stack: a pytest session within a pytest session has its own selection.
_selections: Final[list[tuple[str, ...]]] = [NAMES]


def backends_matching(word: str, /, argument: str = "`backends`") -> tuple[str, ...]:
    """Return the backend of this name, all backends of a library, or all for ``"all"``.

    Raise ValueError if nothing matches; the message calls the word `argument`.
    """
    found = [name for name in NAMES if word in {name, name.partition(":")[0], "all"}]
    if not found:
        msg = f"{argument} must name backends; got {word!r}, known are all, {', '.join(NAMES)}"
        raise ValueError(msg)
    return tuple(found)


def select_backends(
    words: str | Iterable[str], /, argument: str = "`backends`", *, start: tuple[str, ...] = NAMES
) -> tuple[str, ...]:
    """Return the backends that match some words, in the order of `NAMES`.

    A word is as for `backends_matching`, or has a leading ``-``, which removes its backends; a
    single string holds words separated by commas. If all words begin with ``-``, they are removed
    from `start`.
    """
    split = words.split(",") if isinstance(words, str) else words
    stripped = [word.strip() for word in split if word.strip()]
    added, removed = set[str](), set[str]()
    for word in stripped:
        names = backends_matching(word.removeprefix("-"), argument)
        (removed if word.startswith("-") else added).update(names)
    if stripped and all(word.startswith("-") for word in stripped):
        added = set(start)
    return tuple(name for name in NAMES if name in added - removed)


def selected_backends() -> tuple[str, ...]:
    """Return the names of the backends that tests run on: all, or those of `use_backends`."""
    return _selections[-1]


@contextmanager
def use_backends(names: tuple[str, ...], /) -> Iterator[None]:
    """Select the backends that tests run on, within a context."""
    _selections.append(names)
    try:
        yield
    finally:
        _selections.pop()


def module_of(library: str, /) -> str:
    """Return the name of a library's module."""
    return _MODULES.get(library, library)


@functools.cache
def unavailable_reason(name: str, /) -> str | None:
    """Return the reason why a backend is unavailable on this machine; None if it is available."""
    library, _, variant = name.partition(":")
    if library == "cupy":
        diagnosis = diagnose()
        return None if diagnosis.usable else str(diagnosis)
    spec = importlib.util.find_spec(module_of(library).partition(".")[0])
    if spec is None:
        return f"{library} is not installed"
    if library == "array-api-strict":
        version, oldest = importlib.metadata.version(library), _OLDEST_STRICT
        numbers, least = (list(map(int, re.findall(r"\d+", x))) for x in (version, oldest))
        if numbers < least:
            return f"array-api-strict {version} is too old: {oldest} or newer is needed"
    return no_cuda_reason(spec.origin) if variant == "cuda" else None


def no_cuda_reason(origin: str | None, /) -> str | None:
    """Return the reason why an installation of torch cannot use a GPU; None if it can."""
    # Importing torch takes seconds, but a small file identifies builds for CPUs only.
    version = Path(origin or "").with_name("version.py")
    if version.exists() and re.search(r"^cuda\b.*= None", version.read_text("utf-8"), re.MULTILINE):
        return "this build of torch has no CUDA"
    try:
        torch = importlib.import_module("torch")
    except Exception as error:  # noqa: BLE001 (a broken installation raises any error)
        return f"torch cannot be imported: {type(error).__name__}: {error}"
    return None if torch.cuda.is_available() else "torch finds no usable GPU"
