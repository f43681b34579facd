"""Calls of one function on all backends."""

import unittest
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.testing.arguments import Arguments
from xpnet.testing.backends import NARROW, Backend, open_backend
from xpnet.testing.check_backend import check_backend
from xpnet.testing.laziness import LAZY_HINT, Laziness
from xpnet.testing.marks import Verdicts
from xpnet.testing.messages import name_of
from xpnet.testing.outcomes import Call, Outcome, notify
from xpnet.testing.reference import ROUNDED, Options, Reference, rounded
from xpnet.testing.registry import STRICTEST, unavailable_reason

__all__ = ["Comparison"]


@dataclass
class Comparison:
    """A function, what is expected of it, and the backends that it is called on."""

    function: Callable[..., Any]
    options: Options
    laziness: Laziness
    names: tuple[str, ...]
    verdicts: Verdicts  # of the marks of the running test, and of the function's capabilities
    warnings: list[str] = field(default_factory=list)

    def call(self, variant: str, arguments: Arguments) -> Call:
        """Return the outcomes of one call on all backends.

        Raise AssertionError if the function fails on NumPy with the arguments as given; in a
        variant of a sweep, that is a fault of the backend numpy.
        """
        __tracebackhide__ = True
        reference, outcomes = None, dict[str, Outcome]()
        with _no_warnings(is_active=bool(variant)):
            try:
                reference = Reference(self.function, arguments, self.options)
            except AssertionError as error:
                if not variant:
                    raise
                outcomes["numpy"] = Outcome("numpy", (str(error),), error=error)
            else:
                coarse = "the bound is coarse: {}. An explicit `bound` detects smaller faults"
                bounds = reference.coarse_bounds()  # raises ValueError if a bound does not fit
                self.warnings += [coarse.format(x) for x in bounds if not variant]
                for name in self.names:
                    outcomes[name] = self._outcome(name, reference, variant)
        if not variant:
            self._check_others(outcomes)
        self._forgive_strictest(outcomes)
        for x in [x for x in outcomes.values() if x.faults and x.backend in self.verdicts.xfailed]:
            reason = f"expected failure: {self.verdicts.xfailed[x.backend]}"
            outcomes[x.backend] = replace(x, faults=(), skipped=reason, error=None)
        arrays = arguments.arrays
        constants = [leaf for leaf in arguments.leaves if not any(leaf[1] is x for x in arrays)]
        name = name_of(self.function)
        call = Call(self.function, name, variant, arrays, outcomes, reference, constants)
        found = notify(call)
        if found:
            outcomes["the record"] = Outcome("the record", tuple(found))
        return call

    def _outcome(self, name: str, reference: Reference, variant: str) -> Outcome:
        reason = self._reason_left_out(name)
        if reason is not None:
            return Outcome(name, skipped=reason)
        backend = open_backend(name)
        with backend.flags:
            if not backend.has_float64 and not reference.dtypes.isdisjoint(ROUNDED):
                arguments = reference.arguments.map(rounded)
                reference = Reference(self.function, arguments, self.options, is_rounded=True)
            needed = {NARROW.get(dtype, dtype) for dtype in reference.dtypes}
            needed |= {"float64"} if self.options.dtype == "float64" else set()
            if not backend.has(needed):
                return Outcome(name, skipped=f"it has no {', '.join(sorted(needed))}")
            if any(_is_beyond(x, backend) for x in reference.arguments.arrays):
                return Outcome(name, skipped="it has no 64-bit integers, which the arguments need")
            outcome = check_backend(backend, reference, self.laziness, is_variant=bool(variant))
            flushes = backend.library == "jax" or not backend.is_cpu
            if not (variant == "subnormal" and outcome.faults and flushes):
                return outcome
            # GPUs and JAX may treat subnormal arguments as zero.
            flushed = Reference(self.function, reference.arguments.map(_flushed), self.options)
            other = check_backend(backend, flushed, self.laziness, is_variant=True)
            return outcome if other.faults else other

    def _reason_left_out(self, name: str) -> str | None:
        """Return the reason why the function is not called on a backend; None if it is."""
        is_unread = name == STRICTEST and "array-api-strict" not in self.laziness.libraries
        if is_unread or (name == "torch:meta" and self.laziness.allows_values):
            return "the function need not be lazy"
        if name == "torch:grad" and self.options.mutates:
            return "torch cannot change arrays that require gradients"
        return self.verdicts.skipped.get(name) or unavailable_reason(name)

    def _check_others(self, outcomes: dict[str, Outcome]) -> None:
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

    def _forgive_strictest(self, outcomes: dict[str, Outcome]) -> None:
        """Turn faults of the strictest backend alone into a warning, if lazy libraries agree."""
        strictest = outcomes.get(STRICTEST)
        others = [x for name, x in outcomes.items() if name != STRICTEST]
        is_lazy = {"jit", "lazy"} <= {check for x in others for check in x.checks}
        if strictest is None or not is_lazy or any(x.faults for x in others):
            return
        if strictest.faults and all(LAZY_HINT in fault for fault in strictest.faults):
            self.warnings.append(
                f"{name_of(self.function)} fails on {STRICTEST} alone ({strictest.faults[0]}), but"
                " runs under jax.jit and computes nothing on Dask"
            )
            outcomes[STRICTEST] = replace(strictest, faults=(), skipped=strictest.faults[0])


@contextmanager
def _no_warnings(*, is_active: bool) -> Iterator[None]:
    """Ignore warnings about NaN, infinities and empty arrays, which sweeps provoke."""
    if not is_active:
        yield
        return
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _flushed(x: NDArray[Any]) -> NDArray[Any]:
    """Return a real floating-point array with subnormal numbers replaced by zeros."""
    if x.dtype.kind != "f":
        return x
    return np.where(np.abs(x) < np.finfo(x.dtype).smallest_normal, x * 0, x)


def _is_beyond(x: NDArray[Any], backend: Backend) -> bool:
    """Return whether integers do not fit into the widest integers that a device has."""
    if x.dtype.kind not in "iu" or not backend.lacks(x.dtype.name):
        return False
    return bool(np.any(x != x.astype(NARROW[x.dtype.name])))
