"""Messages of `assert_parity`: errors in one line, and the faults of all backends."""

import re
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from xpnet.arrays.libraries import libraries

__all__ = ["Runs", "error_line", "failure", "line_of"]

# Of each backend: the variants that ran (the arguments as given are ""), with their faults.
Runs: TypeAlias = Mapping[str, list[tuple[str, list[str]]]]

_MAX_CHARACTERS: Final = 240
_DEVICES: Final = re.compile("device1|no_float64")  # of array-api-strict
_KIT: Final = str(Path(__file__).parent)


def failure(function: Callable[..., Any], runs: Runs, n_calls: int) -> str | None:
    """Return a line for each fault, with all its backends, and one for the others.

    None if there is no fault. A backend is right if all calls ran on it.
    """
    faults: dict[str, dict[str, list[str]]] = {}
    first: dict[str, str] = {}  # of the faults that differ by the name of a device
    for backend, calls in runs.items():
        for variant, found in calls:
            for words in found:
                fault = first.setdefault(_DEVICES.sub("", words), words)
                faults.setdefault(fault, {}).setdefault(backend, []).append(variant or "as given")
    if not faults:
        return None
    name = getattr(function, "__name__", type(function).__name__)
    failed = {x for where in faults.values() for x in where}
    lines = [f"{name} fails on {len(failed)} of {len(runs)} backends:"]
    for fault, where in faults.items():
        names = [x + _in_variants(labels, n_calls) for x, labels in where.items()]
        lines.append(f"  {', '.join(names)}: {fault}")
    right = [x for x in runs if x not in failed and len(runs[x]) == n_calls]
    lines += [f"It is right on {', '.join(right)}."] if right else []
    return "\n".join(lines)


def _in_variants(labels: list[str], n_calls: int) -> str:
    if labels == ["as given"]:
        return ""
    return f" ({'all variants' if len(labels) == n_calls else ', '.join(labels)})"


def error_line(error: BaseException, /) -> str:
    """Return an error's type and its message, without the middle if it is long."""
    words = " ".join(str(error).split())
    if len(words) > _MAX_CHARACTERS:
        words = f"{words[: _MAX_CHARACTERS // 2]} ... {words[-_MAX_CHARACTERS // 2 :]}"
    return f"{type(error).__name__}: {words}".removesuffix(": ").removesuffix(".")


def line_of(error: Exception, /) -> str:
    """Return the last line of the user's code where an error arose, such as `` (stats.py:12)``."""
    foreign = {"array_api_compat", *(x.root for x in libraries().values())}
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        is_foreign = package in foreign or package in sys.stdlib_module_names
        if not is_foreign and not frame.f_code.co_filename.startswith(_KIT):
            return f" ({Path(frame.f_code.co_filename).name}:{line})"
    return ""
