"""Certificates of array code: results recorded on one machine, checked on another."""

import inspect
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from xpnet.files.record import RecordFormat, sha256, sha256_of_array
from xpnet.files.writing import atomic_write, check_target
from xpnet.testing.backends import open_backend
from xpnet.testing.outcomes import Call, observe

__all__ = ["CallCertificate", "check", "record"]

_FORMAT = RecordFormat(
    "xpnet.testing certificate",
    version=2,
    kind="certificate of tests",
    writer="pytest --xp-record",
    remedy="record it again (pytest --xp-record)",
)
_MAX_BYTES = 1 << 32  # of all results


@contextmanager
def record(path: str | PathLike[str]) -> Iterator[None]:
    """Record the results of each `assert_parity` within a context in an npz file, for `check`.

    These are the results of all backends but NumPy that support float64. An existing file is
    replaced at the end. In pytest: ``--xp-record=FILE.npz``.
    """
    check_target(path, force=True)
    certificate = CallCertificate()
    with observe(certificate.add):
        yield
    if not certificate.content["calls"]:
        warnings.warn(f"{fspath(path)} is not written: there were no calls", stacklevel=3)
        return
    with atomic_write(path, force=True) as stream:
        stream.write(certificate.to_npz())


@contextmanager
def check(path: str | PathLike[str]) -> Iterator[None]:
    """Check the results in a file of `record` against the reference of this machine.

    Each `assert_parity` within the context fails if a recorded result of the same call is out of
    its bound, or was recorded with another input. At the end, a UserWarning names other differences
    between the record and the calls. In pytest: ``--xp-check=FILE.npz``.

    Not seen are faults that came after the recording, of libraries, drivers and the functions that
    the tested one calls. What the tests do not call is not checked. The file is trusted.
    """
    certificate = CallCertificate()
    certificate.load(Path(path).read_bytes(), path)
    with observe(certificate.judge):
        yield
    for line in certificate.summary()[1:]:
        warnings.warn(f"{fspath(path)}: {line}", stacklevel=3)


class CallCertificate:
    """Results of calls on the backends of one machine, and their comparison with calls here."""

    def __init__(self, test: str = "") -> None:
        date = f"{datetime.now(UTC):%Y-%m-%d}"
        self.content: Any = {"date": date, "versions": {}, "calls": {}}
        self.arrays: dict[str, Any] = {}  # results, by SHA-256
        self.states: dict[str, str] = {}  # how calls here differ, by key
        self._counts, self._test = Counter[str](), test

    def _identify(self, call: Call) -> tuple[str, dict[str, Any]]:
        """Return the key of the next call, and hashes of its inputs and its function's source."""
        # Without the line of a lambda, which moves with every edit.
        name = self._test or call.name.partition(" (")[0]
        label = f"{name} ({call.variant})" if call.variant else name
        self._counts[label] += 1
        try:
            source = sha256([inspect.getsource(call.function).encode()])
        except (OSError, TypeError):  # compiled, an object, or typed at a prompt
            source = None
        # Addresses of objects differ between runs.
        constants = re.sub(r" at 0x[0-9a-f]+", "", repr([x for _, x in call.constants]))
        inputs = sha256(x.encode() for x in (*map(sha256_of_array, call.arguments), constants))
        results = [] if call.reference is None else call.reference.results
        # Integers, strings and None are compared here, arrays and other numbers by their bounds.
        kinds = [
            [x.path, repr(x.plain) if x.is_value and not x.is_floating else ""] for x in results
        ]
        identity = {"inputs": inputs, "source": source, "results": kinds}
        return f"{label}: call {self._counts[label]}", identity

    def add(self, call: Call) -> list[str]:
        """Add the results of a call; there are no faults to return."""
        key, identity = self._identify(call)
        backends = {}
        ran = {name: x for name, x in call.outcomes.items() if x.skipped is None}
        for name, outcome in ran.items():
            backend = open_backend(name)
            with backend.flags:
                has_float64 = backend.has_float64
            if has_float64 and name != "numpy":
                digests = [sha256_of_array(x) for x in outcome.results]
                self.arrays.update(zip(digests, outcome.results, strict=True))
                backends[name] = {"results": digests, "faults": outcome.faults}
        if backends:
            self.content["calls"][key] = {**identity, "backends": backends}
            libraries = {name.partition(":")[0] for name in ("numpy", *backends)}
            self.content["versions"].update({name: _version(name) for name in libraries})
        return []

    def judge(self, call: Call) -> list[str]:
        """Return faults of the recorded results of a call."""
        for name, version in self.content["versions"].items():
            if _version(name) not in {"", version}:
                self.states[f"{name} {version}, here {_version(name)}"] = "other versions"
        key, identity = self._identify(call)
        recorded = self.content["calls"].get(key)
        if recorded is None:
            self.states[key] = "never recorded"
            return []
        if recorded["inputs"] != identity["inputs"]:
            self.states[key] = "changed input"
            date, remedy = self.content["date"], "Record again (pytest --xp-record)"
            return [f"the input must be that of the record of {date}; got another one. {remedy}"]
        is_same = recorded["source"] == identity["source"]
        self.states[key] = "" if is_same else "changed source of the function"
        faults = []
        if recorded["results"] != identity["results"]:
            faults.append("the function must return what was recorded; its results are others")
        for name, outcome in recorded["backends"].items():
            results = [self.arrays[digest] for digest in outcome["results"]]
            found = call.judge(results) if results else outcome["faults"]
            hint = (
                "" if is_same else ". The function has changed: record again (pytest --xp-record)"
            )
            faults += [f"recorded on {name}: {fault}{hint}" for fault in found]
        return faults

    def summary(self) -> list[str]:
        """Return a line about the record, and one for each kind of difference to calls here."""
        calls = self.content["calls"]
        counts = Counter(name for call in calls.values() for name in call["backends"])
        words = ", ".join(f"{name}: {n}" for name, n in counts.items()) or "no results"
        states = dict.fromkeys(calls, "not run here") | self.states
        lines = [f"calls recorded on {self.content['date']}: {len(calls)} ({words})"]
        for state in sorted(set(states.values()) - {""}):
            found = sorted(key for key in states if states[key] == state)
            shown = found if len(found) <= 3 else [*found[:3], "..."]
            lines.append(f"{state} ({len(found)}): {'; '.join(shown)}")
        return lines

    def to_npz(self) -> bytes:
        """Return the content of an npz file."""
        return bytes(_FORMAT.to_bytes(self.content, self.arrays))

    def load(self, npz: bytes, path: str | PathLike[str]) -> None:
        """Add the content of an npz file; raise DataError if it is damaged or foreign."""
        with ExitStack() as closing:
            record = _FORMAT.open(BytesIO(npz), path, closing)
            self.arrays.update(record.arrays(_MAX_BYTES))
        content = dict(record.facts)
        for part in ("versions", "calls"):
            content[part] = self.content[part] | content[part]
        self.content = content


def _version(library: str) -> str:
    """Return the version of an imported library, without a build such as ``+cpu``."""
    module = sys.modules.get(library.replace("-", "_"))
    return str(getattr(module, "__version__", "")).partition("+")[0]
