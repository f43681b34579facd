"""The report of a command, as text or as JSON, and its seconds."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Any

from xpnet.cli.streams import print_line, standard_output

if TYPE_CHECKING:
    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network

__all__ = ["Clock", "Outcome", "device_facts", "device_text", "network_text", "plural"]
__all__ += ["print_outcome", "table", "work_facts", "work_rows"]


@dataclass(frozen=True)
class Outcome:
    """The result of a command: facts for ``--json``, a table and lines of text, the exit code."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, str | None] = field(default_factory=dict)
    lines: Iterable[str] = ()
    code: int = 0


def print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Print the facts as one JSON object, or the rows and lines."""
    with standard_output():
        if as_json:
            print(json.dumps(_without_nonfinite(outcome.facts), allow_nan=False))
        else:
            for line in chain(table(outcome.rows), outcome.lines):
                print_line(line)


def _without_nonfinite(value: Any) -> Any:
    """Return facts with None for NaN and infinities, which JSON lacks."""
    if isinstance(value, Mapping):
        return {name: _without_nonfinite(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nonfinite(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(rows: Mapping[str, str | None]) -> Iterator[str]:
    """Yield lines of a name and a text, the texts aligned; a text of None has no line."""
    shown = {name: text for name, text in rows.items() if text is not None}
    width = max(map(len, shown), default=0)
    for name, text in shown.items():
        yield f"{name:{width}}  {text}"


def plural(n: int, word: str) -> str:
    """Return a number of things in words, such as "1 image" or "1,000 images"."""
    return f"{n:,} {word}{'s' * (n != 1)}"


def device_facts(device: "Device") -> dict[str, str]:
    """Return where a network is computed."""
    from xpnet.arrays.library import library_version

    return {
        "device": device.name,
        "library": device.library,
        "library_version": library_version(device.xp),
        "hardware": device.hardware,
        "device_reason": device.reason,
    }


def work_facts(network: "Network", device: "Device", clock: "Clock") -> dict[str, Any]:
    """Return what was computed, where, and in which time."""
    return {
        "network": network_text(network),
        "reproducible": network.is_reproducible,
        **device_facts(device),
        "seconds": clock.seconds(),
    }


def work_rows(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts of `work_facts` as rows of a table."""
    seconds = ", ".join(f"{name} {number:.3f}" for name, number in facts["seconds"].items())
    about = device_text(facts) + ", reproducible" * facts["reproducible"]
    device = f"{facts['device']} ({about})"
    return {"network": facts["network"], "device": device, "seconds": seconds}


def device_text(facts: Mapping[str, Any]) -> str:
    """Return the library and the hardware of `device_facts` as text."""
    return f"{facts['library']} {facts['library_version']}, {facts['hardware']}"


def network_text(network: "Network") -> str:
    """Return a network in the words of a report."""
    return repr(network.ordinary).removeprefix("Network(").removesuffix(")")


class Clock:
    """Seconds of loading, and of computing: all others since its start."""

    def __init__(self) -> None:
        self._start, self._loading = perf_counter(), 0.0

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Count the seconds of a ``with`` block as those of loading."""
        start = perf_counter()
        try:
            yield
        finally:
            self._loading += perf_counter() - start

    def seconds(self) -> dict[str, float]:
        """Return the seconds by name."""
        computing = perf_counter() - self._start - self._loading
        return {"loading": round(self._loading, 6), "computing": round(computing, 6)}
