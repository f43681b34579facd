"""Messages of failed comparisons, and names of functions and errors in them."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from xpnet.testing.outcomes import Call
from xpnet.testing.tolerance import OUT_OF_BOUND

__all__ = ["Faults", "collect_faults", "lines_of", "name_of", "one_line"]

# Maximum length of the message of an error.
_MAX_CHARACTERS = 240
# For each text of a fault, the backends that have it, with the variants of sweeps.
Faults: TypeAlias = dict[str, dict[str, list[str]]]


def collect_faults(calls: Sequence[Call], xfailed: Mapping[str, str]) -> Faults:
    """Return the faults of all calls; on backends that are expected to fail, their absence."""
    faults: Faults = {}
    outcomes = [(call.variant, x) for call in calls for x in call.outcomes.values()]
    for variant, outcome in outcomes:
        for words in outcome.faults:
            fault = f"{words} ({outcome.escaped})" if outcome.escaped else words
            faults.setdefault(fault, {}).setdefault(outcome.backend, []).append(variant)
    for name, reason in xfailed.items():
        # Expected failures are skipped.
        if all(x.skipped is None for _, x in outcomes if x.backend == name):
            fault = f"it passes, but is marked as an expected failure ({reason})"
            faults.setdefault(fault, {})[name] = [""]
    return faults


def lines_of(
    faults: Faults, calls: Sequence[Call], *, is_default: bool, has_expected: bool
) -> Iterator[str]:
    """Yield a line for each fault, with all its backends; then advice if values are wrong.

    The first call is the one with the arguments as given. `is_default` means the default bound.
    """
    call = calls[0]
    tested = [name for name, x in call.outcomes.items() if x.skipped is None]
    failed = {name for where in faults.values() for name in where}
    yield f"{call.name} fails on {len(failed)} of {len(failed.union(tested))} backends:"
    for fault, where in faults.items():
        names = [name + _variants(variants, len(calls)) for name, variants in where.items()]
        yield f"  {', '.join(names)}: {fault}"
    # Where the function fails on NumPy, no other backend was tried.
    ran = [name for name in tested if all(name in x.outcomes for x in calls)]
    agreeing = [name for name in ran if not any(x.outcomes[name].faults for x in calls)]
    if agreeing:
        yield f"It is right on {', '.join(agreeing)}."
    if not all(OUT_OF_BOUND in fault for fault in faults):
        return
    cancellation = None if call.reference is None else _cancellation(call)
    if cancellation is not None:
        yield cancellation
    elif not agreeing and not has_expected:
        yield (
            "No backend agrees with float64: does the function depend on the dtype, as by"
            " finfo(x.dtype), or lose digits?"
        )
    if is_default:
        yield "If intermediate numbers are larger than arguments and result, give `bound`."
    if not has_expected:
        yield "The reference is the function itself on numpy; `expected` gives another one."


def _cancellation(call: Call) -> str | None:
    """Return a message if the largest deviation is where one ULP of arguments moves results far."""
    expected = [np.asarray(x.exact) for x in call.reference.all_expected]
    # The precision of each failing backend, with tested and expected results.
    pairs = [
        (float(np.finfo(x.dtype).eps), x, y, i)
        for outcome in call.outcomes.values()
        for i, (x, y) in enumerate(zip(outcome.results, expected, strict=False))
        if outcome.faults and x.shape == y.shape and x.dtype.kind in "fc" and x.size
    ]
    if not pairs:
        return None
    eps, x, y, i = min(pairs, key=lambda pair: pair[0])
    deviation = np.nan_to_num(np.abs(x - y))
    worst = np.unravel_index(int(np.argmax(deviation)), y.shape)
    uncertainties = call.reference.uncertainties()
    if i >= len(uncertainties):
        return None  # a changed argument
    moved = uncertainties[i][worst]
    if not moved > 2.0**-48 * abs(y[worst]):
        return None  # a few ULP of the result
    for dtype, side, size in (
        ("float64", "expected side is as uncertain as the tested one", moved),
        ("the tested dtype", "tested side is the uncertain one", moved * eps * 2.0**52),
    ):
        if deviation[worst] < 10.0 * size:
            return (
                f"One ULP of {dtype} in the arguments moves the result by {size:.2g} there, as far"
                f" as the deviation: digits cancel, and the {side}."
            )
    return None


def _variants(variants: list[str], n_calls: int) -> str:
    labels = [x or "as given" for x in dict.fromkeys(variants)]
    if labels == ["as given"]:
        return ""
    return " (all variants)" if len(labels) == n_calls else f" ({', '.join(labels)})"


def name_of(function: Callable[..., Any]) -> str:
    """Return a function's name; for a lambda, also its file and line."""
    if isinstance(function, functools.partial):
        return f"partial of {name_of(function.func)}"
    name = getattr(function, "__name__", type(function).__name__)
    code = getattr(function, "__code__", None)
    if name != "<lambda>" or code is None:
        return str(name)
    return f"{name} ({Path(code.co_filename).name}:{code.co_firstlineno})"


def one_line(error: BaseException, /) -> str:
    """Return an error's type and its message, without the middle if it is long."""
    words = " ".join(str(error).split())
    if len(words) > _MAX_CHARACTERS:
        words = f"{words[: _MAX_CHARACTERS // 2]} ... {words[-_MAX_CHARACTERS // 2 :]}"
    return f"{type(error).__name__}: {words}".removesuffix(": ").removesuffix(".")
