"""Calls of one function on all backends, and the message if some of them fail."""

import re
import unittest
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.library import NARROW
from xpnet.testing.arguments import Arguments
from xpnet.testing.backends import Backend, open_backend
from xpnet.testing.built_in import STRICTEST
from xpnet.testing.check_backend import check_backend
from xpnet.testing.marks import Verdicts
from xpnet.testing.outcomes import BackendOutcome, Call, name_of
from xpnet.testing.reference import ROUNDED, Options, Reference, rounded
from xpnet.testing.registry import unavailable_reason
from xpnet.testing.run_settings import RUN

__all__ = ["Comparison"]

_DEVICES: Final = re.compile("device1|no_float64")  # of array-api-strict


@dataclass
class Comparison:
    """A function, what is expected of it, the backends, and its calls on them."""

    function: Callable[..., Any]
    options: Options
    lazy: frozenset[str]  # libraries on which the function must not depend on values
    names: tuple[str, ...]
    verdicts: Verdicts  # of the marks of the running test
    warnings: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)  # the first one has the arguments as given

    def call(self, variant: str, arguments: Arguments) -> None:
        """Call the function on all backends, and keep the outcomes.

        Raise AssertionError if the function fails on NumPy with the arguments as given; in a
        variant of a sweep, that is a fault of the backend numpy.
        """
        __tracebackhide__ = True
        reference, outcomes = None, dict[str, BackendOutcome]()
        with _no_warnings() if variant else nullcontext():
            try:
                reference = Reference(self.function, arguments, self.options)
            except AssertionError as error:
                if not variant:
                    raise
                outcomes["numpy"] = BackendOutcome("numpy", (str(error),), error=error)
            else:
                coarse = "the bound is coarse: {}. An explicit `bound` detects smaller faults"
                bounds = reference.coarse_bounds()  # raises ValueError if a bound does not fit
                self.warnings += [coarse.format(x) for x in bounds if not variant]
                for name in self.names:
                    outcomes[name] = self._outcome(name, reference, variant)
        if not variant:
            self._check_others(outcomes)
        for x in [x for x in outcomes.values() if x.faults and x.backend in self.verdicts.xfailed]:
            reason = f"expected failure: {self.verdicts.xfailed[x.backend]}"
            outcomes[x.backend] = replace(x, faults=(), skipped=reason, error=None)
        RUN.left_out.update({x.backend: x.skipped for x in outcomes.values() if x.skipped})
        self.calls.append(Call(variant, outcomes))

    def raise_faults(self) -> None:
        """Raise AssertionError if a call has a fault."""
        __tracebackhide__ = True
        faults = self._faults()
        if faults:
            outcomes = [x for call in self.calls for x in call.outcomes.values()]
            cause = next((x.error for x in outcomes if x.error), None)
            raise AssertionError("\n".join(self._lines(faults))) from cause

    def _faults(self) -> dict[str, dict[str, list[str]]]:
        """Return the backends of each fault, with variants; also unexpected successes."""
        faults: dict[str, dict[str, list[str]]] = {}
        seen: dict[str, str] = {}  # the first fault of those that differ by the device's name
        outcomes = [(call.variant, x) for call in self.calls for x in call.outcomes.values()]
        for variant, outcome in outcomes:
            for words in outcome.faults:
                fault = f"{words} ({outcome.escaped})" if outcome.escaped else words
                fault = seen.setdefault(_DEVICES.sub("", fault), fault)
                faults.setdefault(fault, {}).setdefault(outcome.backend, []).append(variant)
        for name, reason in self.verdicts.xfailed.items():
            # Expected failures are skipped.
            if all(x.skipped is None for _, x in outcomes if x.backend == name):
                fault = f"it passes, but is marked as an expected failure ({reason})"
                faults.setdefault(fault, {})[name] = [""]
        return faults

    def _lines(self, faults: Mapping[str, Mapping[str, list[str]]]) -> Iterator[str]:
        """Yield a line for each fault, with all its backends; then those without a fault."""
        call = self.calls[0]
        tested = [name for name, x in call.outcomes.items() if x.skipped is None]
        failed = {name for where in faults.values() for name in where}
        counts = f"{len(failed)} of {len(failed.union(tested))} backends"
        yield f"{name_of(self.function)} fails on {counts}:"
        for fault, where in faults.items():
            names = [name + self._variants(variants) for name, variants in where.items()]
            yield f"  {', '.join(names)}: {fault}"
        # Where the function fails on NumPy, no other backend was tried.
        ran = [name for name in tested if all(name in x.outcomes for x in self.calls)]
        agreeing = [name for name in ran if not any(x.outcomes[name].faults for x in self.calls)]
        if agreeing:
            yield f"It is right on {', '.join(agreeing)}."

    def _variants(self, variants: list[str]) -> str:
        labels = [x or "as given" for x in dict.fromkeys(variants)]
        if labels == ["as given"]:
            return ""
        is_all = len(labels) == len(self.calls)
        return " (all variants)" if is_all else f" ({', '.join(labels)})"

    def _outcome(self, name: str, reference: Reference, variant: str) -> BackendOutcome:
        reason = self._reason_left_out(name)
        if reason is not None:
            return BackendOutcome(name, skipped=reason)
        backend = open_backend(name)
        with backend.flags:
            if not backend.has_float64 and not reference.dtypes.isdisjoint(ROUNDED):
                arguments = reference.arguments.map(rounded)
                reference = Reference(self.function, arguments, self.options, is_rounded=True)
            needed = {NARROW.get(dtype, dtype) for dtype in reference.dtypes}
            needed |= {"float64"} if self.options.dtype == "float64" else set()
            if not backend.has(needed):
                return BackendOutcome(name, skipped=f"it has no {', '.join(sorted(needed))}")
            if any(_is_beyond(x, backend) for x in reference.arguments.arrays):
                lacking = "it has no 64-bit integers, which the arguments need"
                return BackendOutcome(name, skipped=lacking)
            return check_backend(backend, reference, self.lazy, is_variant=bool(variant))

    def _reason_left_out(self, name: str) -> str | None:
        if name == STRICTEST and "array-api-strict" not in self.lazy:
            return "the function need not be lazy"
        return self.verdicts.skipped.get(name) or unavailable_reason(name)

    def _check_others(self, outcomes: dict[str, BackendOutcome]) -> None:
        """Raise SkipTest or RuntimeError if nothing besides NumPy can be compared."""
        __tracebackhide__ = True
        if any(x.skipped is None and name != "numpy" for name, x in outcomes.items()):
            return
        found = "; ".join(f"{x.backend}: {x.skipped}" for x in outcomes.values() if x.skipped)
        others = set(self.names) - {"numpy", *self.verdicts.skipped}
        if self.verdicts.skipped and not others:
            msg = f"marks leave nothing to compare ({found})"
            raise unittest.SkipTest(msg)
        if others:
            rule = "a library besides NumPy to compare with"
            msg = f"assert_parity must have {rule}; got none ({found})"
            raise RuntimeError(msg)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Ignore warnings about NaN, infinities and empty arrays, which sweeps provoke."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _is_beyond(x: NDArray[Any], backend: Backend) -> bool:
    """Return whether integers do not fit into the widest integers that a device has."""
    if x.dtype.kind not in "iu" or not backend.lacks(x.dtype.name):
        return False
    return bool(np.any(x != x.astype(NARROW[x.dtype.name])))
