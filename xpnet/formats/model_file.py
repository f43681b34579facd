"""Options for reading a model file, and the result: a network, or arrays by name."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from xpnet.files.errors import WeightsError
from xpnet.networks.network import Network

__all__ = ["LAYOUTS", "MAX_PARAMETER_BYTES", "LoadOptions", "ModelFile", "NamedArrays"]
__all__ += ["WeightLayout", "check_size", "weights_errors"]

WeightLayout = Literal["in_out", "out_in"]
LAYOUTS: tuple[WeightLayout, ...] = ("in_out", "out_in")

# Default limit of the unpacked parameters.
MAX_PARAMETER_BYTES = 1 << 32
# Weights hardly compress: a file that expands more than this, and beyond a small size, is a bomb.
_MAX_RATIO, _SMALL_BYTES = 100, 1 << 24
_CONTENT_ERRORS = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, RecursionError),
    *(TypeError, ValueError),
)


@dataclass(frozen=True)
class LoadOptions:
    """The options of `xpnet.load` that concern the file."""

    activation: str | Sequence[str] | None = None
    layout: WeightLayout | None = None
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

    def check_omitted(self) -> None:
        """Raise ValueError if `activation` or `layout` is given, for a file that contains them."""
        for name in ("activation", "layout"):
            value = getattr(self, name)
            if value is not None:
                msg = f"`{name}` must be left out for a file that contains it; got {value!r}"
                raise ValueError(msg)

    @property
    def byte_limit(self) -> int:
        """Maximum number of bytes of the unpacked parameters."""
        return MAX_PARAMETER_BYTES if self.max_bytes is None else self.max_bytes

    def unpacked_limit(self, path: Path, max_ratio: int = _MAX_RATIO) -> int:
        """Return `max_bytes`; by default `max_ratio` times the size of a file, at least 16 MiB."""
        default = min(max(max_ratio * path.stat().st_size, _SMALL_BYTES), MAX_PARAMETER_BYTES)
        return default if self.max_bytes is None else self.max_bytes


def check_size(path: Path, subject: str, n_bytes: int, limit: int) -> None:
    """Raise WeightsError, with the remedy, if `n_bytes` is above a limit; `subject` is a plural."""
    if n_bytes > limit:
        hint = "--max-bytes (max_bytes=) raises the limit"
        found, expected = f"{n_bytes:,} bytes", f"at most {limit:,}"
        msg = f"{subject} are too large"
        raise WeightsError(msg, file=path, found=found, expected=expected, hint=hint)


@contextmanager
def weights_errors(path: Path, rule: str) -> Iterator[None]:
    """Convert the errors of invalid content to WeightsError: the rule, and the reason."""
    try:
        yield
    except WeightsError:
        raise
    except _CONTENT_ERRORS as error:
        # Checks raise errors of these two classes, with a message that explains itself.
        kind = "" if type(error) in {TypeError, ValueError} else f"{type(error).__name__}: "
        msg = f"{rule}: {kind}{error}"
        raise WeightsError(msg, file=path) from error


@dataclass(frozen=True, eq=False)
class NamedArrays:
    """Arrays by name, and xpnet's description of the network if xpnet wrote the file."""

    arrays: Mapping[str, NDArray[Any]]
    description: str | None = None
    layout: WeightLayout | None = None  # if the format determines it


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A network read from a file, on the host, and facts about the file."""

    network: Network
    format: str  # such as "safetensors" or "ONNX"
    is_own: bool  # whether xpnet wrote the file, so that it is complete
    notes: tuple[str, ...] = ()  # decisions that the file leaves open, one sentence each
