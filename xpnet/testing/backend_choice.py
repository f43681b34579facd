"""Which backends there are, which are here, and which are to be tried."""

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

__all__ = ["NAMES", "STRICTEST", "choosing", "chosen", "expand", "matching", "module_of", "why_not"]

# Every backend, in the order in which tests run. A name is a library, and after a colon what
# makes this backend another than the library's default.
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
# The one that refuses what lazy libraries cannot do.
STRICTEST: Final = "array-api-strict:strictest"
# The module of a library, where it is not called as the library.
_MODULES: Final = {"array-api-strict": "array_api_strict", "dask": "dask.array", "jax": "jax.numpy"}
# Older ones have no device without float64, or turn float32 arguments into float64.
_OLDEST_STRICT: Final = "2.6.1"
# The last one counts: a test session within a test session has a choice of its own.
_choices: Final[list[tuple[str, ...]]] = [NAMES]


def matching(word: str, /, argument: str = "`backends`") -> tuple[str, ...]:
    """Return the backends that a word means: a backend, all devices of a library, or ``"all"``.

    Raises
    ------
    ValueError
        If it is none of these; the message, which calls it `argument`, lists them.
    """
    found = [name for name in NAMES if word in {name, name.partition(":")[0], "all"}]
    if not found:
        msg = f"{argument} must name backends; got {word!r}, known are all, {', '.join(NAMES)}"
        raise ValueError(msg)
    return tuple(found)


def expand(
    words: str | Iterable[str], /, argument: str = "`backends`", *, start: tuple[str, ...] = NAMES
) -> tuple[str, ...]:
    """Return the backends that these words mean, in the order of `NAMES`.

    Parameters
    ----------
    words : str or iterable of str
        Each as `matching` takes it, or with a ``-`` before it: that takes its backends out. A
        single string holds words with commas between them.
    argument : str
        What the error message calls them.
    start : tuple of str, default NAMES
        What words that only take out begin with.

    Raises
    ------
    ValueError
        If a word is none of these; the message lists them.

    Examples
    --------
    >>> expand(["torch", "numpy", "array-api-strict:device1"])
    ('numpy', 'array-api-strict:device1', 'torch', 'torch:cuda')
    >>> expand("jax, torch, -torch:cuda")
    ('torch', 'jax')
    """
    split = words.split(",") if isinstance(words, str) else words
    stripped = [word.strip() for word in split if word.strip()]
    meant, out = set[str](), set[str]()
    for word in stripped:
        (out if word.startswith("-") else meant).update(matching(word.removeprefix("-"), argument))
    if stripped and all(word.startswith("-") for word in stripped):
        meant = set(start)
    return tuple(name for name in NAMES if name in meant - out)


def chosen() -> tuple[str, ...]:
    """Return the names of the backends to be tried: all, unless `choosing` names some."""
    return _choices[-1]


@contextmanager
def choosing(names: tuple[str, ...], /) -> Iterator[None]:
    """Let `chosen` give these names within this context."""
    _choices.append(names)
    try:
        yield
    finally:
        _choices.pop()


def module_of(library: str, /) -> str:
    """Return the name of a library's module."""
    return _MODULES.get(library, library)


@functools.cache
def why_not(name: str, /) -> str | None:
    """Return why a backend cannot be tried here; None if it can."""
    library, _, variant = name.partition(":")
    if library == "cupy":
        diagnosis = diagnose()
        return None if diagnosis.usable else str(diagnosis)
    spec = importlib.util.find_spec(module_of(library).partition(".")[0])
    if spec is None:
        return f"{library} is not installed"
    if library == "array-api-strict":
        return _why_too_old()
    return _why_no_cuda(spec.origin) if variant == "cuda" else None


def _why_too_old() -> str | None:
    version = importlib.metadata.version("array-api-strict")
    if _numbers(version) >= _numbers(_OLDEST_STRICT):
        return None
    return f"array-api-strict {version} is too old: {_OLDEST_STRICT} or newer is needed"


def _numbers(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version)]


def _why_no_cuda(origin: str | None) -> str | None:
    # Importing torch takes seconds: a build for CPUs alone says so in a file of two lines.
    version = Path(origin or "").with_name("version.py")
    if version.exists() and re.search(r"^cuda\b.*= None", version.read_text("utf-8"), re.MULTILINE):
        return "this build of torch has no CUDA"
    try:
        torch = importlib.import_module("torch")
    except Exception as error:  # noqa: BLE001 (a broken one raises what it likes)
        return f"torch cannot be imported: {type(error).__name__}: {error}"
    return None if torch.cuda.is_available() else "torch finds no usable GPU"
