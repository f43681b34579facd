"""What a study has shown: in numbers, and as tables."""

import math
from collections.abc import Iterable
from typing import Any

from power.study import LARGEST_EXPONENT, Catch, Study
from power.wrong import PARAMETER

__all__ = ["print_all", "summarise"]

_BINS_PER_OCTAVE = 2
_LARGEST_OCTAVE = 8
# From which layer to which.
_DEPTHS = ((1, 1), (2, 4), (5, 8))


def summarise(study: Study) -> dict[str, Any]:
    """Return the results as JSON keeps them."""
    names = dict.fromkeys(catch.name for catch in study.catches)
    sized = [catch for catch in study.catches if catch.name == PARAMETER]
    return {
        "right": study.counts,
        "alarms": study.alarms,
        "largest shares": study.shares,
        "wrong": {name: _fates([c for c in study.catches if c.name == name]) for name in names},
        "by effect": _by_effect(sized),
        "by size": [_by_size(sized, *depth) for depth in _DEPTHS],
    }


def _fates(catches: list[Catch]) -> dict[str, Any]:
    """Return how many faults there were, and what became of them."""
    below = [catch for catch in catches if catch.effect <= 1.0]
    above = [catch for catch in catches if catch.effect > 1.0]
    return {
        "tried": len(catches),
        "no effect": sum(not catch.is_any for catch in catches),
        "no bound": sum(catch.is_any and catch.effect == 0.0 for catch in catches),
        "below": sum(catch.effect > 0.0 for catch in below),
        "below, caught": sum(catch.is_caught for catch in below),
        "above": len(above),
        "above, caught": sum(catch.is_caught for catch in above),
        "from the inputs on": sum(catch.is_caught_from_inputs for catch in above),
        "missed": sum(catch.must_show and not catch.is_caught for catch in above),
        "largest not caught": max((c.effect for c in catches if not c.is_caught), default=0.0),
    }


def _shares(catches: list[Catch]) -> dict[str, float]:
    n = len(catches)
    return {
        "faults": n,
        "caught": sum(catch.is_caught for catch in catches) / n,
        "from the inputs on": sum(catch.is_caught_from_inputs for catch in catches) / n,
    }


def _by_effect(catches: Iterable[Catch]) -> list[dict[str, float]]:
    """Return the share of caught faults by their effect in bounds, in bins of half an octave.

    The outermost bins hold what is beyond them as well.
    """
    last = _LARGEST_OCTAVE * _BINS_PER_OCTAVE
    bins: dict[int, list[Catch]] = {}
    for catch in catches:
        if catch.effect > 0.0:
            effect = min(max(catch.effect, 2.0**-_LARGEST_OCTAVE), 2.0**_LARGEST_OCTAVE)
            place = min(math.floor(math.log2(effect) * _BINS_PER_OCTAVE), last - 1)
            bins.setdefault(place, []).append(catch)
    return [
        {
            "from": 2.0 ** (place / _BINS_PER_OCTAVE),
            "to": 2.0 ** ((place + 1) / _BINS_PER_OCTAVE),
            **_shares(found),
        }
        for place, found in sorted(bins.items())
    ]


def _by_size(catches: Iterable[Catch], first: int, last: int) -> dict[str, Any]:
    """Return the share of caught faults by their size, of those in some layers that do anything."""
    found = [catch for catch in catches if catch.is_any and first <= catch.layer <= last]
    points = []
    for exponent in range(LARGEST_EXPONENT + 1):
        of_size = [catch for catch in found if catch.exponent == exponent]
        if of_size:
            points.append({"exponent": exponent, **_shares(of_size)})
    return {"first layer": first, "last layer": last, "sizes": points}


def print_all(result: dict[str, Any]) -> None:
    """Print what a study has shown."""
    for dtype, counts in result["right"].items():
        print(f"{dtype:<10}" + ", ".join(f"{n:,} {what}" for what, n in counts.items()))
    false = [alarm for alarm in result["alarms"] if alarm["claimed"]]
    n_others = len(result["alarms"]) - len(false)
    print(f"false alarms: {len(false)}; {n_others} where the bound excludes the weights")
    for alarm in false:
        print("  " + ", ".join(f"{key} {value}" for key, value in alarm.items()))
    shares = result["largest shares"]
    rows = {
        way: [f"{shares[judged].get(way, math.nan):.3f}" for judged in shares]
        for way in shares["worst case"]
    }
    _print_table("largest share of the bound", list(shares), rows)
    columns = list(result["wrong"][PARAMETER])
    rows = {name: [f"{x:,.6g}" for x in fates.values()] for name, fates in result["wrong"].items()}
    _print_table("faults, by effect in bounds", columns, rows)
    columns = list(result["by effect"][0])[2:]
    rows = {
        f"{each['from']:.3g} to {each['to']:.3g}": [f"{each[column]:,.4g}" for column in columns]
        for each in result["by effect"]
    }
    _print_table("effect of one parameter, in bounds", columns, rows)


def _print_table(title: str, columns: list[str], rows: dict[str, list[str]]) -> None:
    widths = [max(len(column), 7) + 2 for column in columns]
    for name, cells in {title: columns, **rows}.items():
        padded = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        print(f"{name:<34}" + "".join(padded))
    print()
