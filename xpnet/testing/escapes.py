"""Places of the tested code that may convert arrays to NumPy: a list that only shrinks."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatch
from pathlib import Path
from pkgutil import resolve_name
from types import FrameType
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from xpnet.arrays.library import Library
from xpnet.testing.run_settings import RUN

__all__ = ["WATCHED", "Escapes", "is_foreign", "places_passed_by", "watch"]

_ROOT: Final = str(Path(__file__).parent)
_LIBRARIES = {"array_api_compat", "array_api_strict", "cupy", "dask", "jax", "numpy", "torch"}
_FOREIGN: Final = _LIBRARIES | sys.stdlib_module_names
# Python code converts arrays of these classes; compiled code reads those of JAX.
WATCHED: Final = {
    "array-api-strict": "array_api_strict._array_object:Array",
    "dask": "dask.array:Array",
    "torch": "torch:Tensor",
}


def is_foreign(frame: FrameType) -> bool:
    """Return whether a frame belongs to an array library, Python's own library or this test kit."""
    package = str(frame.f_globals.get("__name__")).partition(".")[0]
    return package in _FOREIGN or frame.f_code.co_filename.startswith(_ROOT)


class Escapes:
    """The list of a project: a file with a place such as ``package/module.py::function`` a line.

    `config` is pytest's. Raise ValueError if the file is missing, or exists but shall be created.
    """

    def __init__(self, config: Any) -> None:
        root, self.is_new = config.rootpath, config.option.xp_escapes_write
        self.path = root / config.getini("xp_escapes")
        if self.path.exists() == self.is_new:
            how = "exists: remove" if self.is_new else "is missing: create it by"
            msg = f"xp_escapes: {self.path} {how} --xp-escapes-write"
            raise ValueError(msg)
        self.places = set() if self.is_new else set(self.path.read_text("utf-8").split())
        self.noted = set[str]()  # places that converted in the running test
        self.call: tuple[Any, set[str]] = None, set()  # a function, and places that it has passed
        self._folders = root, root / "src"
        self._tests = (*config.getini("python_files"), "conftest.py")

    def place_of(self, callee: FrameType | None) -> str | None:
        """Return the innermost caller in the tested code; None if a test or the kit calls."""
        frame = callee and callee.f_back
        while frame is not None:
            module, path = str(frame.f_globals.get("__name__")), Path(frame.f_code.co_filename)
            parts = module.split(".")
            if parts[0] == "xpnet":
                return None
            is_installed = "site-packages" in path.parts
            is_own = not is_installed or any((x / parts[0]).is_dir() for x in self._folders)
            if is_own and not is_foreign(frame):
                if "tests" in parts or any(fnmatch(path.name, x) for x in self._tests):
                    return None
                n = len(parts) + (path.name == "__init__.py")
                # Without inner functions: a comprehension is one, up to Python 3.11.
                name = frame.f_code.co_qualname.partition(".<locals>")[0]
                return f"{'/'.join(path.parts[-n:])}::{name}"
            frame = frame.f_back
        return None

    def note(self, place: str, library: str) -> None:
        """Note a conversion; raise RuntimeError if the place is not listed."""
        if not self.is_new and place not in self.places:
            msg = f"{place} converts an array of {library} to NumPy; {self.path.name} lacks it"
            raise RuntimeError(msg)
        self.noted.add(place)
        self.call[1].add(place)


def places_passed_by(function: Any) -> set[str]:
    """Return the places that a function has passed, a set to which its next conversions add."""
    if RUN.escapes is None:
        return set()
    if RUN.escapes.call[0] is not function:
        RUN.escapes.call = function, set()
    return RUN.escapes.call[1]


@contextmanager
def watch(library: Library) -> Iterator[None]:
    """Allow conversions of a library's arrays to NumPy in listed places only, within a context."""
    escapes = RUN.escapes
    if escapes is None or library.name not in WATCHED:
        yield
        return
    array_class = resolve_name(WATCHED[library.name])
    convert: Any = array_class.__array__
    buffer: Any = getattr(array_class, "__buffer__", None)

    def to_numpy(x: Any, dtype: Any = None, **options: Any) -> Any:
        place = escapes.place_of(inspect.currentframe())
        if place is None:
            return convert(x, dtype, **options)
        escapes.note(place, library.name)
        # An explicit scheduler: the checks of laziness do not count this computation.
        x = x.compute(scheduler="synchronous") if library.name == "dask" else x
        return np.array(library.numpy(x), dtype, copy=options.get("copy"))

    def to_buffer(x: Any, flags: int) -> Any:
        if escapes.place_of(inspect.currentframe()) is not None:
            raise BufferError  # NumPy then calls `__array__`
        return buffer(x, flags)

    with ExitStack() as patches:
        patches.enter_context(patch.object(array_class, "__array__", to_numpy))
        if buffer is not None:
            patches.enter_context(patch.object(array_class, "__buffer__", to_buffer))
        yield
