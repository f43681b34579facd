"""Who is measured: xpnet's functions on the arrays of each library, and the libraries' own."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from truth.table import FUNCTIONS, ROWS, xpnet_name

import xpnet
from sweep.selection import Selection

# An optional library is measured under these names; `jit` is xpnet's function inside jax.jit.
LIBRARIES = {"numpy": "numpy", "torch": "torch", "jax": "jax", "jit": "jax"}
COLUMNS = {
    "xpnet numpy": "xpnet, NumPy",
    "xpnet torch": "xpnet, torch",
    "xpnet jax": "xpnet, JAX",
    "xpnet jit": "xpnet, jax.jit",
    "numpy": "NumPy's own",
    "scipy": "SciPy's own",
    "torch": "torch's own",
    "jax": "JAX's own",
}


@dataclass(frozen=True)
class Candidate:
    """A function of one array of a library, and the column that its errors are told in."""

    column: str
    library: str
    function: Callable[[Any], Any]


def find_candidates(name: str, selection: Selection) -> list[Candidate]:
    """Return all who compute the function of a row."""
    found = []
    if name in FUNCTIONS:
        ours = partial(getattr(xpnet, xpnet_name(name)), **ROWS[name].options)
        for library in selection.libraries:
            function = import_module("jax").jit(ours) if library == "jit" else ours
            found.append(Candidate(f"xpnet {library}", LIBRARIES[library], function))
    for call in ROWS[name].calls:
        library = "numpy" if call.library == "scipy" else call.library
        if library in selection.libraries:
            found.append(Candidate(call.library, library, call.resolve()))
    return found


def to_library(x: NDArray[np.float32], library: str) -> Any:
    """Return an array of one of the libraries."""
    if library == "torch":
        return import_module("torch").from_numpy(x)
    if library == "jax":
        return import_module("jax.numpy").asarray(x)
    return x


def origin(name: str, column: str) -> str:
    """Name the function behind a cell."""
    if column.startswith("xpnet"):
        return f"xpnet.{xpnet_name(name)}"
    return next(call.path for call in ROWS[name].calls if call.library == column)


def label(name: str) -> str:
    """Name a row as it would be called."""
    options = ", ".join(f"{key}={value!r}" for key, value in ROWS[name].options.items())
    return f"{xpnet_name(name)}({options})" if options else name
