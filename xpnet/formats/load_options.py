"""What a reader of weights may be told beside the file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["LAYOUTS", "MOST_BYTES", "Layout", "Options"]

Layout = Literal["in_out", "out_in"]
LAYOUTS: tuple[Layout, ...] = ("in_out", "out_in")

# What a file may unpack to, where nothing else was asked for.
MOST_BYTES = 1 << 32


@dataclass(frozen=True)
class Options:
    """The options of `xpnet.load` that are about the file; it says what they mean.

    Raises
    ------
    ValueError
        If `layout` is unknown or `max_bytes` is below 1.
    """

    activation: str | Sequence[str] | None = None
    layout: Layout | None = None
    allow_nonfinite: bool = False
    allow_external: bool = False
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.layout is not None and self.layout not in LAYOUTS:
            msg = f"`layout` must be in_out or out_in; got {self.layout!r}"
            raise ValueError(msg)
        if self.max_bytes is not None and self.max_bytes < 1:
            msg = f"`max_bytes` must be at least 1; got {self.max_bytes}"
            raise ValueError(msg)

    def check_left_out(self) -> None:
        """Refuse what is asked for by option only where a file does not tell it.

        Raises
        ------
        ValueError
            If `activation` or `layout` is given.
        """
        for name in ("activation", "layout"):
            if getattr(self, name) is not None:
                given = getattr(self, name)
                msg = f"`{name}` must be left out for a file that tells it; got {given!r}"
                raise ValueError(msg)

    @property
    def most_bytes(self) -> int:
        """How many bytes a file may unpack to."""
        return MOST_BYTES if self.max_bytes is None else self.max_bytes
