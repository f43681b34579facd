"""The report of a command, as text or JSON, and the time of its phases."""

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from xpnet.cli import exit_codes
from xpnet.cli.streams import standard_output
from xpnet.files.errors import printable

if TYPE_CHECKING:
    from xpnet.arrays.device import Device
    from xpnet.cli.device_choice import DeviceOptions
    from xpnet.cli.models import Model
    from xpnet.networks.network import Network

# Texts of a table by name; those that are None are not shown.
Rows: TypeAlias = Mapping[str, str | None]
Phase = Literal["startup", "device", "loading", "computing"]
ItemT = TypeVar("ItemT")
_PHASE_NAMES: Final[dict[Phase, str]] = {
    "startup": "start-up",
    "device": "start of the GPU",
    "loading": "loading",
    "computing": "computing",
}
# Seconds of computing from which a rate is printed: the first block takes 5 to 7 ms longer than
# others (imports, threads, memory used first; two cores of an AMD EPYC), less than 4% of this.
_TELLING_SECONDS = 0.2
# The interpreter's own start can only be measured as processor time.
_BEFORE = time.process_time()
_START = time.perf_counter()


@dataclass(frozen=True)
class Outcome:
    """The result of a command: facts for ``--json``, a table and lines of text, the exit code."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    rows: Rows = field(default_factory=dict)
    lines: Iterable[str] = ()
    code: int = exit_codes.DONE


def print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Print the facts as one JSON object, or the rows and lines."""
    if not as_json:
        for line in chain(table(outcome.rows), outcome.lines):
            print_line(line)
    elif outcome.facts:
        line = json.dumps(_without_nonfinite(outcome.facts), allow_nan=False)
        with standard_output() as output:
            print(line, file=output)


def _without_nonfinite(value: Any) -> Any:
    """Return facts with None for NaN and infinities, which JSON lacks."""
    if isinstance(value, Mapping):
        return {name: _without_nonfinite(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nonfinite(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_line(text: str) -> None:
    """Print a line; escape characters that standard output cannot show."""
    with standard_output() as output:
        print(as_printed(text), file=output)


def as_printed(text: str) -> str:
    """Return a string with characters escaped that standard output cannot show."""
    with standard_output() as output:
        encoding = getattr(output, "encoding", None) or "utf-8"
    return printable(text).encode(encoding, "backslashreplace").decode(encoding)


def terminal() -> dict[str, Any]:
    """Return the width of the terminal, and whether its encoding lacks blocks."""
    from xpnet.pictures.images import BLOCKS

    return {"width": get_terminal_size().columns, "ascii_only": as_printed(BLOCKS) != BLOCKS}


def table(rows: Rows) -> Iterator[str]:
    """Yield lines of a name and a text, the texts aligned; a text of None has no line."""
    shown = {name: text for name, text in rows.items() if text is not None}
    width = max(map(len, shown), default=0)
    for name, text in shown.items():
        yield f"{name:{width}}  {text}"


def device_facts(device: "Device") -> dict[str, str]:
    """Return where a network is computed."""
    from xpnet.arrays.library import library_version

    return {
        "device": device.name,
        "library": device.library,
        "library_version": library_version(device.xp),
        "hardware": device.hardware,
    }


def work_facts(
    network: "Network",
    device: "Device",
    options: "DeviceOptions",
    stopwatch: "Stopwatch",
    *,
    n_images: int,
) -> dict[str, Any]:
    """Return what was computed where and how fast."""
    seconds = stopwatch.seconds()
    computing = seconds["computing"]
    return {
        "network": network_text(network),
        **device_facts(device),
        "device_reason": device.reason,
        "batch_size": options.used_batch_size(network),
        "reproducible": options.is_reproducible,
        "images_per_second": n_images / computing if n_images and computing else None,
        "seconds": seconds,
    }


def work_rows(facts: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the facts of `work_facts` as rows of a table."""
    seconds, rate = facts["seconds"], facts["images_per_second"]
    shown = {name: seconds[name] for name in _PHASE_NAMES if seconds[name] or name != "device"}
    is_telling = rate is not None and seconds["computing"] >= _TELLING_SECONDS
    return {
        "device": device_text(facts),
        "network": facts["network"],
        "batches": f"up to {facts['batch_size']:,} images"
        + ", reproducible" * facts["reproducible"],
        "seconds": ", ".join(f"{_PHASE_NAMES[name]} {s:.3f}" for name, s in shown.items()),
        "speed": f"{rate:,.0f} images per second" if is_telling else None,
        "chosen": chosen_text(facts["device_reason"]),
    }


def device_text(facts: Mapping[str, Any], *more: str) -> str:
    """Return the facts of `device_facts`, and `more` about the computation, as text."""
    library = f"{facts['library']} {facts['library_version']}"
    return f"{facts['device']} ({', '.join([library, facts['hardware'], *more])})"


def chosen_text(reason: str) -> str | None:
    """Return the reason for the choice of a device, or None if it was asked for."""
    return reason if reason.startswith("auto") else None


def network_text(network: "Network") -> str:
    """Return a network in the words of a report."""
    return repr(network.ordinary).removeprefix("Network(").removesuffix(")")


def added_text(model: "Model", network: "Network") -> str | None:
    """Return what `with_range` has added to the network of a model, or None."""
    from xpnet.networks.preprocessing import Scale

    n_added = len(network.preprocessing) - len(model.network.preprocessing)
    steps = network.preprocessing[:n_added]
    if not steps:
        return None
    text = ", ".join("bytes / 255" if isinstance(step, Scale) else str(step) for step in steps)
    hint = ", as the file does not tell their range (--input-range chooses another)"
    return f"{text}{hint * (model.input_range is None)}"


class Stopwatch:
    """Seconds by phase: start-up, start of the GPU, loading and computing.

    Start-up is the interpreter and the imports. The start of a GPU is its context, its libraries,
    the first compilation of kernels and the transfer of the parameters. One phase runs at a time:
    an inner phase interrupts the outer one.
    """

    def __init__(self) -> None:
        self._phase: Phase = "startup"
        self._since = _START
        self._seconds: dict[Phase, float] = dict.fromkeys(_PHASE_NAMES, 0.0)
        self._seconds["startup"] = _BEFORE

    def switch(self, phase: Phase) -> None:
        """End the current phase and start another."""
        now = time.perf_counter()
        self._seconds[self._phase] += now - self._since
        self._phase, self._since = phase, now

    @contextmanager
    def measure(self, phase: Phase) -> Iterator[None]:
        """Measure a ``with`` block as a phase; return to the outer phase at its end."""
        outer = self._phase
        self.switch(phase)
        try:
            yield
        finally:
            self.switch(outer)

    def move(self, source: Phase, target: Phase) -> None:
        """Add the seconds of one phase to another."""
        self._seconds[target] += self._seconds[source]
        self._seconds[source] = 0.0

    def measure_items(self, items: Iterable[ItemT], phase: Phase) -> Iterator[ItemT]:
        """Yield the items; measure the time of producing them as a phase."""
        iterator = iter(items)
        while True:
            with self.measure(phase):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each phase, and the total since the process started."""
        self.switch(self._phase)
        rounded: dict[str, float] = {name: round(value, 6) for name, value in self._seconds.items()}
        return {**rounded, "total": round(sum(self._seconds.values()), 6)}
