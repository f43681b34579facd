"""State of the running tests: the pytest plugin writes it, and `assert_parity` reads it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from xpnet.testing.marks import Mark

__all__ = ["RUN"]


@dataclass
class RunSettings:
    """Settings that hold in all threads."""

    backends: tuple[str, ...] | None = None  # None: the default ones
    marks: tuple["Mark", ...] = ()  # of the running test
    # Backends that its calls of `assert_parity` left out, with reasons.
    left_out: dict[str, str] = field(default_factory=dict)


RUN: Final = RunSettings()
