"""Certificates of array code: results recorded on one machine, checked on another."""

import functools
import inspect
import re
import subprocess
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.files.errors import DataError
from xpnet.files.hashes import sha256_of_array
from xpnet.files.record import RecordFormat
from xpnet.files.writing import atomic_write
from xpnet.testing.backends import open_backend
from xpnet.testing.outcomes import Call
from xpnet.testing.reference import Reference

__all__ = ["CallCertificate"]

_REMEDY = "record it again (pytest --xp-record)"
_FORMAT = RecordFormat("certificate of tests", _REMEDY)
_DRIVER_VERSION = Path("/sys/module/nvidia/version")
# With and without AVX2 and AVX-512, inputs differ by up to 18 eps of the largest number (the Q of a
# QR decomposition with 200 columns). Numbers near zero beside it may differ in all digits.
_INPUT_EPS, _LARGEST_ERROR = 64.0, 2.0**-8  # in float16, 4 eps


class CallCertificate:
    """Results of calls on the backends of one machine, and their comparison with calls here."""

    def __init__(self, test: str = "") -> None:
        date = str(datetime.now(UTC).date())
        self.content: Any = {"date": date, "commit": "", "machine": {}, "calls": {}}
        self.arrays: dict[str, Any] = {}  # inputs and results, by their names
        self.states: dict[str, str] = {}  # how calls here differ, by key
        self._counts, self._test = Counter[str](), test

    def add(self, call: Call) -> list[str]:
        """Add the inputs and results of a call; there are no faults to return."""
        backends = {}
        for outcome in [x for x in call.outcomes.values() if x.skipped is None]:
            backend = open_backend(outcome.backend)
            with backend.flags:
                if not backend.has_float64 or not backend.has_values or backend.library == "numpy":
                    continue
            self.arrays |= {_name(x): x for x in outcome.results}
            results = [_name(x) for x in outcome.results]
            backends[backend.name] = {"results": results, "faults": list(outcome.faults)}
        values = _inputs(call.reference)
        self.arrays |= {_name(x): x for x in values.values() if isinstance(x, np.ndarray)}
        inputs = {label: _name(x) for label, x in values.items()}
        entry = {"inputs": inputs, "source": _source(call), "backends": backends}
        self.content["calls"][self._key(call)] = entry
        self.content["machine"] |= {name: _machine(name) for name in ("numpy", *backends)}
        return []

    def judge(self, call: Call) -> list[str]:
        """Return faults of the recorded results of a call, for its recorded inputs."""
        key, reference = self._key(call), call.reference
        recorded = self.content["calls"].get(key)
        self.states[key] = "never recorded" if recorded is None else ""
        if recorded is None:
            return []
        inputs, old = _inputs(reference), recorded["inputs"]
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            if fault := self._difference(inputs, old, is_variant=bool(call.variant)):
                self.states[key] = "changed call"
                rule = f"the call must be that of the record of {self.content['date']}"
                return [f"{rule}: {fault}. If the test has changed, {_REMEDY}"]
            if old != {label: _name(x) for label, x in inputs.items()}:
                self.states[key] = "other last digits of an input"
                options, arguments = reference.options, reference.arguments
                if not callable(options.expected):  # arrays, for the input of this machine
                    options = replace(options, expected=None)
                arguments = arguments.replace([self.arrays[old[x]] for x in arguments.labels])
                reference = Reference(call.function, arguments, options)
        if not recorded["backends"]:
            self.states[key] = "recorded without results"
        faults, hint = [], ""
        if recorded["source"] != _source(call):
            self.states[key] = "changed source of the function"
            hint = f". The function has changed: {_REMEDY}"
        for name, outcome in recorded["backends"].items():
            # Values are judged here, except those under jax.jit and of gradients.
            found = [x for x in outcome["faults"] if not re.match(r"[^:]+ is wrong: ", x)]
            # Devices may treat subnormal numbers as zero. There, this was taken into account.
            if outcome["results"] and (outcome["faults"] or call.variant != "subnormal"):
                found += reference.faults_of_all([self.arrays[x] for x in outcome["results"]])
            faults += [f"recorded on {name}: {fault}{hint}" for fault in found]
        return faults

    def _difference(self, inputs: Any, recorded: dict[str, str], *, is_variant: bool) -> str:
        """Return a message about the first input that is not the recorded one; "" if all are."""
        floating = [x.dtype for x in inputs.values() if np.asarray(x).dtype.kind in "fc"]
        eps = max((float(np.finfo(dtype).eps) for dtype in floating), default=0.0)
        for label in recorded | inputs:
            x, name = inputs.get(label, "absent"), recorded.get(label, "absent")
            y = self.arrays.get(name)
            if _name(x) == name:
                continue
            if isinstance(x, str) or y is None or (x.dtype, x.shape) != (y.dtype, y.shape):
                return f"{label} is {_name(x)} instead of {name}"
            size = float(np.max(np.abs(y[np.isfinite(y)]), initial=0))
            limit = size * min(_INPUT_EPS * eps, _LARGEST_ERROR)
            is_near = np.isclose(x, y, 0.0, limit, equal_nan=True)
            is_same = is_near if x.dtype.kind in "fc" else x == y
            # Sweeps make their arguments from those as given, which were compared.
            for i in [] if is_variant else np.argwhere(~is_same).tolist():
                here, there = (z[tuple(i)].item() for z in (x, y))
                place, off = f" at {i}" * bool(i), abs(here - there)
                return f"{label} is {here} instead of {there}{place}, off by {off:.3g}"
        return ""

    def summary(self, *, is_full: bool = False) -> list[str]:
        """Return a line about the record, and one for each kind of difference to calls here."""
        calls = self.content["calls"]
        counts = Counter(name for call in calls.values() for name in call["backends"])
        words = ", ".join(f"{name}: {n}" for name, n in counts.items()) or "no results"
        lines = [f"calls recorded on {self.content['date']}: {len(calls)} ({words})"]
        for state in sorted(set(self.states.values()) - {""}):
            found = sorted(key for key, x in self.states.items() if x == state)
            shown = found if is_full or len(found) <= 3 else [*found[:3], "..."]
            lines.append(f"{state} ({len(found)}): {'; '.join(shown)}")
        return lines

    def to_npz(self) -> bytes:
        """Return the content of an npz file, which does not depend on the order of the calls."""
        calls = dict(sorted(self.content["calls"].items()))
        arrays = dict(sorted(self.arrays.items()))
        return _FORMAT.to_bytes({**self.content, "calls": calls}, arrays)

    def load(self, npz: bytes, path: str | Path) -> None:
        """Add the content of an npz file; raise DataError if it is damaged or foreign."""
        content, arrays = _FORMAT.from_bytes(npz, path)
        self.arrays |= arrays
        more = {name: self.content[name] | content[name] for name in ("machine", "calls")}
        self.content = {**content, **more}

    def write(self, path: Path, project: Path) -> None:
        """Write an npz file and its index; `project` is the folder of the tested code."""
        self.content["commit"] = _commit(project)
        npz = self.to_npz()
        for file, content in ((path, npz), (Path(f"{path}.txt"), self._index(npz).encode())):
            with atomic_write(file, force=True) as stream:
                stream.write(content)

    def read(self, path: Path) -> None:
        """Read an npz file; raise DataError if it is damaged, or its index is of another one."""
        npz, index = path.read_bytes(), Path(f"{path}.txt")
        self.load(npz, path)
        if not index.exists():
            self.states[index.name] = "missing index"
        elif index.read_text("utf-8", "replace") != self._index(npz):
            what = f"not the index of {path.name}; {_REMEDY}"
            raise DataError(what, file=index)

    def _index(self, npz: bytes) -> str:
        """Return a text for reviews, with a line for each backend and each call."""
        content = self.content
        lines = [f"{x}: {content[x]}" for x in ("date", "commit") if content[x]]
        lines += [f"{name}: {x}" for name, x in sorted(content["machine"].items())]
        for key, call in sorted(content["calls"].items()):
            parts = [f"{label}: {x}" for label, x in call["inputs"].items()]
            for name, outcome in call["backends"].items():
                words = "; ".join(outcome["results"] + outcome["faults"]) or "no numbers"
                parts.append(f"{name}: {words}")
            lines.append(" | ".join([key, *parts]))
        return "\n".join([f"SHA-256: {sha256(npz).hexdigest()}", *lines, ""])

    def _key(self, call: Call) -> str:
        name = self._test or call.name
        self._counts[name] += not call.variant  # sweeps follow the arguments as given
        return f"{name}: call {self._counts[name]}" + f" ({call.variant})" * bool(call.variant)


def _inputs(reference: Reference) -> dict[str, Any]:
    """Return the arrays and floating-point numbers of a call by label; all else as text."""
    leaves, number = reference.arguments.leaves, np.ndarray | float | complex
    arrays = {label: np.asarray(x) for label, x in leaves if isinstance(x, number)}
    # Addresses of objects differ between runs.
    texts = {
        label: "numpy" if x is np else re.sub(r" at 0x[0-9a-f]+", "", repr(x))
        for label, x in leaves
        if label not in arrays
    }
    for x in reference.results:
        texts[x.label] = repr(x.plain) if isinstance(x.plain, str | bytes | None) else "numbers"
    return arrays | texts


def _name(x: Any) -> str:
    """Return the name of an array in the file; a text as it is."""
    return x if isinstance(x, str) else f"{x.dtype} {x.shape} {sha256_of_array(x)[:16]}"


def _source(call: Call) -> str | None:
    with suppress(OSError, TypeError):  # compiled, an object, or typed at a prompt
        return sha256(inspect.getsource(call.function).encode()).hexdigest()
    return None


@functools.cache
def _machine(name: str) -> str:
    """Return the version of a backend's library, its processor or card, and the card's driver."""
    backend = open_backend(name)
    library = backend.array_library
    words = [library.version, library.hardware_of(backend.device)]
    if "cuda" in str(backend.device).lower():
        with suppress(OSError):  # only Linux has this file
            words.append(f"driver {_DRIVER_VERSION.read_text('utf-8').strip()}")
    return ", ".join(words)


def _commit(folder: Path) -> str:
    """Return the commit of a folder, "+ changes" if tracked files differ; "" without git."""
    options = ("--always", "--abbrev=40", "--exclude=*", "--dirty= + changes")
    command = ["git", "-C", str(folder), "describe", *options]
    with suppress(OSError):  # no git
        found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        return found.stdout.strip()
    return ""
