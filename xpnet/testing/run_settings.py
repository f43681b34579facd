"""Settings of the running tests, which the pytest plugin applies and `assert_parity` reads."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

if TYPE_CHECKING:
    from xpnet.testing.marks import Mark

__all__ = ["RUN", "use"]


@dataclass
class RunSettings:
    """Settings that hold in all threads."""

    backends: tuple[str, ...] | None = None  # None: the default ones
    marks: tuple["Mark", ...] = ()  # of the running test
    # Backends that its calls of `assert_parity` left out, with reasons.
    left_out: dict[str, str] = field(default_factory=dict)


RUN: Final = RunSettings()


def use(**settings: Any) -> AbstractContextManager[object]:
    """Apply settings within a context."""
    return patch.multiple(RUN, **settings)
