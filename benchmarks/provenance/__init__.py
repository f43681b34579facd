"""What ran where and when: said of every result."""

import datetime as dt
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import introspect

import xpnet

__all__ = ["about", "headline", "today", "versions"]


def about(*packages: str) -> dict[str, Any]:
    """Return the facts of this run."""
    return {
        "date": today(),
        "commit": commit(),
        "system": platform.system(),
        "machine": platform.machine(),
        "hardware": xpnet.Device("cpu").hardware,
        "cpu features": cpu_features(),
        "versions": versions(*packages),
    }


def headline(facts: dict[str, Any]) -> str:
    """Return the facts in one line."""
    features = " ".join(facts["cpu features"]["numpy"])
    names = ", ".join(f"{name} {value}" for name, value in facts["versions"].items())
    return f"{facts['date']}, {facts['hardware']} ({features}), commit {facts['commit']}; {names}."


def today() -> str:
    """Return the date, in UTC."""
    return dt.datetime.now(tz=dt.UTC).date().isoformat()


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of packages; a missing one is named as missing."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def cpu_features() -> dict[str, Any]:
    """Return which features of the CPU NumPy uses, and which loops it took for the primitives."""
    config: Any = np.show_config(mode="dicts")
    extensions = config["SIMD Extensions"]
    names = "^(exp|expm1|log|log1p|tanh)$"
    functions = introspect.opt_func_info(func_name=names, signature="float32")
    return {
        "numpy": [*extensions["baseline"], *extensions.get("found", [])],
        "loops": {
            name: loop["current"] for name, found in functions.items() for loop in found.values()
        },
    }


def commit() -> str:
    """Return the commit of the sources, with a mark where files differ from it."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    words = ["describe", "--always", "--exclude=*", "--abbrev=40", "--dirty= with changes"]
    done = subprocess.run(  # noqa: S603 (a fixed command)
        [git, *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
