"""Marks by which a test is skipped or expected to fail on backends, in SciPy's terms."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from xpnet.testing.backends import open_backend
from xpnet.testing.words import backends_named, canonical_name

__all__ = ["SKIP", "XFAIL", "Mark", "Verdicts", "verdicts_of"]

SKIP: Final = "skip_xp_backends"
XFAIL: Final = "xfail_xp_backends"
Mark = tuple[str, tuple[str, ...], Mapping[str, Any]]  # name, arguments, keyword arguments


class Verdicts(NamedTuple):
    """Backends on which a test is skipped or must fail, with reasons."""

    skipped: dict[str, str]
    xfailed: dict[str, str]


def verdicts_of(marks: Iterable[Mark], names: Sequence[str]) -> Verdicts:
    """Return the backends that marks skip or expect to fail; the reason of a name comes first.

    Raise ValueError or TypeError if a mark is invalid.
    """
    skipped, xfailed = dict[str, str](), dict[str, str]()
    for mark, args, kwargs in sorted(marks, key=lambda mark: not mark[1]):
        reasons = skipped if mark == SKIP else xfailed
        if not args and kwargs.keys() <= {"reason"}:
            msg = f"{mark} must have names of backends, or an option such as cpu_only; got neither"
            raise ValueError(msg)
        for name in names:
            reason = xp_backends_mark(mark, name, *args, **kwargs)
            if reason is not None:
                reasons.setdefault(name, reason)
    expected = {x: reason for x, reason in xfailed.items() if x not in skipped}
    return Verdicts(skipped, expected)


def xp_backends_mark(
    mark: str,
    backend: str,
    /,
    *names: str,
    reason: str | None = None,
    np_only: bool = False,
    cpu_only: bool = False,
    eager_only: bool = False,
    exceptions: Sequence[str] = (),
) -> str | None:
    """Return the reason for which a mark with these arguments holds on a backend, or None."""
    for word in (*names, *exceptions):
        if not isinstance(word, str):
            msg = f"{mark} must have names of backends, which are strings; got {word!r}"
            raise TypeError(msg)
        backends_named(word, mark)
    tested = open_backend(backend)
    if not {backend, tested.library}.isdisjoint(map(canonical_name, names)):
        return reason or f"{mark} names it"
    if not {backend, tested.library}.isdisjoint(map(canonical_name, exceptions)):
        return None
    if np_only and tested.library != "numpy":
        return reason or "it runs on NumPy only"
    # The device of an unavailable backend is unknown.
    if cpu_only and tested.unavailable is None and not tested.is_cpu:
        return reason or "it runs on the CPU only"
    if eager_only and tested.unavailable is None and tested.is_lazy:
        return reason or "it does not run on lazy libraries"
    return None
