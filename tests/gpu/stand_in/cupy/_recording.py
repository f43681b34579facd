"""Record of the calls into the stand-in, in the file XPNET_STAND_IN_CALLS.

Each line has a dotted name, the number of positional arguments ("-" for an attribute or operator)
and the names of the keyword arguments.
"""

import functools
import inspect
import os
from pathlib import Path

_seen: set[str] = set()


def note(name, args=None, options=()):
    """Write a call, unless this process has written the same before."""
    line = " ".join([name, "-" if args is None else str(len(args)), *sorted(options)])
    if line not in _seen and "XPNET_STAND_IN_CALLS" in os.environ:
        _seen.add(line)
        with Path(os.environ["XPNET_STAND_IN_CALLS"]).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def recorded(function, name=None, *, n_hidden=0):
    """Return a function that records its calls."""
    name = name or f"{function.__module__}.{function.__qualname__}"

    @functools.wraps(function)
    def call(*args, **options):
        note(name, args[n_hidden:], options)
        return function(*args, **options)

    return call


def recorded_class(kind):
    """Record the calls of a class and of its methods."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    for key, value in list(vars(kind).items()):
        is_method = inspect.isfunction(value) and key[0] != "_"
        if is_method or key in {"__enter__", "__exit__", "__init__"}:
            full = name if key == "__init__" else f"{name}.{key}"
            setattr(kind, key, recorded(value, full, n_hidden=1))
    return kind
