"""The contests: who computes a function, how exactly, and who of them counts."""

import importlib
import math
import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from truth.formulas import special

from speed import rivals
from speed.cases import CASES, Case
from speed.points import checked_input, timed_input
from xpnet.functions.bounds import ULP_BOUNDS, ulp_bound

NAMES = {**vars(np), **vars(rivals), "math": math, "special": special}
# What is asked of functions along rows, which have no bound in ULP.
BOUND_ALONG_ROWS = 4.0


@dataclass(eq=False)
class Contender:
    """Who computes a function: the call that is timed, and what was found about it.

    Attributes
    ----------
    error : float
        The largest, in the unit of the case; infinite for a missing or false NaN or infinity,
        or for another dtype.
    verdict : str
        "inexact"; "silenced" for what is exact enough, but warns if NumPy is not told not to; or
        "counts".
    seconds : list of float
        Per call, one for each round.
    """

    label: str
    call: Callable[[Any], Any]
    x: Any
    error: float = math.nan
    worst_at: float | None = None
    verdict: str = ""
    seconds: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The seconds of the best round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The seconds of the median round."""
        return statistics.median(self.seconds)


@dataclass(eq=False)
class Contest:
    """One function's contenders, and the largest error that counts."""

    case: Case
    bound: float
    ours: Contender
    rivals: list[Contender]
    theirs: Contender | None = None
    ours_on_torch: Contender | None = None

    @property
    def everybody(self) -> list[Contender]:
        """All who are timed."""
        torch = [c for c in (self.theirs, self.ours_on_torch) if c is not None]
        return [self.ours, *self.rivals, *torch]

    def fastest(self, *verdicts: str, scipy: bool = False) -> Contender | None:
        """Return the fastest rival of plain NumPy, or of SciPy, with one of the verdicts."""
        counting = [
            c for c in self.rivals if c.verdict in verdicts and ("special." in c.label) == scipy
        ]
        return min(counting, key=lambda c: c.median, default=None)


def hold(name: str, torch: Any, count: int) -> Contest:
    """Return the contest of a function, everybody's error measured at some `count` points."""
    case = CASES[name]
    x = timed_input(case)
    bound = ulp_bound(name, "numpy", "float32") if name in ULP_BOUNDS else BOUND_ALONG_ROWS
    contest = Contest(
        case,
        bound,
        Contender("xpnet", case.function, x),
        [Contender(text, compiled(text, NAMES), x) for text in case.rivals],
    )
    if torch is not None:
        on_torch = torch.from_numpy(x)
        contest.ours_on_torch = Contender("xpnet on torch", case.function, on_torch)
        if case.torch:
            call = compiled(case.torch, {"torch": torch})
            contest.theirs = Contender(case.torch, call, on_torch)
    points = checked_input(case, count)
    with np.errstate(all="ignore"):
        exact = case.exact(points.astype(np.float64))
    for contender in contest.everybody:
        check(contender, contest, points, exact)
    return contest


def compiled(text: str, names: dict[str, Any]) -> Callable[[Any], Any]:
    """Return the function of `x` that an expression is: what is printed is what was timed."""
    function: Callable[[Any], Any] = eval(f"lambda x: {text}", names)  # noqa: S307 (our own)
    return function


def silenced(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function that does the same without NumPy's warnings."""

    def call(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(x)

    return call


def check(contender: Contender, contest: Contest, points: Any, exact: Any) -> None:
    """Measure a contender's largest error, and decide whether it counts."""
    takes_torch = not isinstance(contender.x, np.ndarray)
    x = importlib.import_module("torch").from_numpy(points) if takes_torch else points
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = np.asarray(contender.call(x))
    contender.error, place = largest_error(result, exact, contest.case.unit)
    contender.worst_at = None if contest.case.width else float(points[place])
    if caught:
        contender.call = silenced(contender.call)
    if contender.error > contest.bound:
        contender.verdict = "inexact"
    else:
        contender.verdict = "silenced" if caught else "counts"


def largest_error(result: Any, exact: Any, unit: str) -> tuple[float, int]:
    """Return the largest error and where it is.

    Results below the smallest normal number need only be that near. What is beyond the largest
    number counts as the next power of two.
    """
    if result.dtype != np.float32 or result.shape != exact.shape:
        return math.inf, 0
    limits = np.finfo(np.float32)
    largest, tiny, eps = 2.0**limits.maxexp, float(limits.tiny), float(limits.eps)
    exact = np.clip(exact, -largest, largest)
    difference = np.abs(np.clip(result.astype(np.float64), -largest, largest) - exact)
    size = np.abs(exact)
    normal = np.clip(size, tiny, float(limits.max))
    units = {
        "ulp": lambda: np.ldexp(1.0, np.frexp(normal)[1] - limits.nmant - 1),
        "log": lambda: eps * normal * (1 + np.abs(np.log(normal))),
        "eps": lambda: eps * np.maximum(size, 1),
    }
    error = difference / units[unit]()
    if unit != "eps":
        error[(size < tiny) & (difference <= tiny)] = 0
    error[np.isnan(result) & np.isnan(exact)] = 0
    error[np.isnan(error)] = math.inf
    place = int(np.argmax(error))
    return float(error.flat[place]), place
