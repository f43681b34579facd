"""What was found: of one function, and of all of them together."""

import math
import operator
import statistics
from typing import Any

from speed.cases import NOTHING_TO_COMPUTE
from speed.contest import Contender, Contest

SLOW = 1.5  # ratios above it are listed


def report(contest: Contest) -> dict[str, Any]:
    """Return what was found about one function, for JSON."""
    ours, theirs = contest.ours, contest.theirs
    numpy, scipy = contest.fastest("counts"), contest.fastest("counts", "silenced", scipy=True)
    silenced = contest.fastest("silenced")
    if silenced and numpy and silenced.median >= numpy.median:
        silenced = None
    return {
        "unit": contest.case.unit,
        "bound": contest.bound,
        "xpnet": facts(ours),
        "rivals": [facts(c) for c in contest.rivals],
        "numpy": numpy and numpy.label,
        "silenced": silenced and silenced.label,
        "scipy": scipy and scipy.label,
        "torch": theirs and facts(theirs),
        "xpnet_on_torch": contest.ours_on_torch and facts(contest.ours_on_torch),
        "ratios": {
            "xpnet_to_numpy": ratio(ours, numpy),
            "xpnet_to_silenced": ratio(ours, silenced),
            "xpnet_to_scipy": ratio(ours, scipy),
            "xpnet_to_torch": ratio(ours, theirs),
            "xpnet_on_torch_to_torch": ratio(contest.ours_on_torch, theirs),
        },
    }


def facts(contender: Contender) -> dict[str, Any]:
    """Return a contender's times in seconds, its error, and whether it counts."""
    return {
        "label": contender.label,
        "best": contender.best,
        "median": contender.median,
        # JSON has no infinity.
        "error": contender.error if math.isfinite(contender.error) else None,
        "worst_at": None if contender.worst_at is None else str(contender.worst_at),
        "verdict": contender.verdict,
    }


def ratio(ours: Contender | None, theirs: Contender | None) -> dict[str, float] | None:
    """Return how often the other's time goes into ours: best rounds, and median over rounds."""
    if ours is None or theirs is None:
        return None
    paired = map(operator.truediv, ours.seconds, theirs.seconds)
    return {"best": ours.best / theirs.best, "median": statistics.median(paired)}


def summarise(functions: dict[str, Any]) -> dict[str, Any]:
    """Return what the ratios to each of the others are, over the functions that have one."""
    ratios = {name: row["ratios"] for name, row in functions.items()}
    for name in NOTHING_TO_COMPUTE:
        ratios.pop(name, None)
    kinds = {
        "xpnet_to_numpy": ("xpnet_to_numpy",),
        "xpnet_to_numpy_or_silenced": ("xpnet_to_silenced", "xpnet_to_numpy"),
        "xpnet_to_scipy": ("xpnet_to_scipy",),
        "xpnet_to_torch": ("xpnet_to_torch",),
        "xpnet_on_torch_to_torch": ("xpnet_on_torch_to_torch",),
    }
    return {
        kind: summary
        for kind, keys in kinds.items()
        if (summary := summarise_ratios({name: first(ratios[name], keys) for name in ratios}))
    }


def first(ratios: dict[str, Any], keys: tuple[str, ...]) -> float | None:
    """Return the median of the first ratio that there is."""
    return next((ratios[key]["median"] for key in keys if ratios[key]), None)


def summarise_ratios(ratios: dict[str, float | None]) -> dict[str, Any] | None:
    """Return the median of the ratios, how many are below 1, and which are far above it."""
    known = {name: value for name, value in ratios.items() if value is not None}
    if not known:
        return None
    slowest = sorted(known.items(), key=lambda item: -item[1])
    return {
        "functions": len(known),
        "median": statistics.median(known.values()),
        "faster": sum(value < 1 for value in known.values()),
        f"above {SLOW}": {name: value for name, value in slowest if value > SLOW},
    }
