"""Fixtures of all tests: backends of the pytest plugin, larger data sets, and interrupts."""

import importlib
import inspect
import itertools
import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest_plugins = ["xpnet.testing.plugin", "pytester"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of larger data sets, given by the variable XPNET_TEST_DATA."""
    if "XPNET_TEST_DATA" not in os.environ:
        pytest.skip("XPNET_TEST_DATA is not set")
    return Path(os.environ["XPNET_TEST_DATA"])


def signature_of(function):
    """Return a signature; for Cython functions, from the first line of their docstring."""
    try:
        return inspect.signature(function)
    except ValueError:
        words = re.search(r"\((.*)\)", function.__doc__.splitlines()[0])[1].split(", ")
        # Without C types, and the values of defaults.
        names = [re.sub("=.*", "=None", word.split()[-1]) for word in words if word]
        scope = {}
        exec(f"def made({', '.join(names)}): pass", scope)  # from CuPy's docstring
        return inspect.signature(scope["made"])


@pytest.fixture(scope="module")
def import_benchmark():
    """Return a function that imports scripts and parts of the benchmarks by their names."""
    folder, before = Path(__file__).parents[1] / "benchmarks", set(sys.modules)
    if not folder.exists():
        pytest.skip("the benchmarks are not here")
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if (folder / name.partition(".")[0]).is_dir() or (folder / f"{name}.py").exists():
                del sys.modules[name]


@pytest.fixture
def cupy_takes():
    """Return a function: whether the real CuPy has a name, and takes the call `args`, `options`.

    CuPy can be imported without a GPU. Without `args`, only the name must exist.
    """
    names = ("cupy", "cupyx", "array_api_compat.cupy")
    for name in names:
        pytest.importorskip(name, reason="needs the real CuPy, on any machine")
    roots = {name.partition(".")[0]: sys.modules[name.partition(".")[0]] for name in names}

    def takes(name, args=None, options=()):
        first, *parts = name.split(".")
        try:
            *_, owner, function = itertools.accumulate(parts, getattr, initial=roots[first])
        except AttributeError:
            return False
        if args is None:
            return True
        if hasattr(function, "nin"):  # a ufunc
            return len(args) == function.nin and not options
        try:
            signature_of(function).bind(*[None] * inspect.isclass(owner), *args, **dict(options))
        except TypeError:
            return False
        return True

    return takes


@pytest.fixture
def interrupted_at():
    """Return a context: KeyboardInterrupt before line n of those that run in some modules.

    It gives the list of these lines; the last one is where the interrupt came.
    """

    @contextmanager
    def interrupt(n, *modules):
        files, lines = {module.__file__ for module in modules}, []

        def trace(frame, event, _):
            if frame.f_code.co_filename not in files:
                return None
            if event == "line":
                lines.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
                if len(lines) == n:
                    raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            yield lines
        finally:
            sys.settrace(before)

    return interrupt
