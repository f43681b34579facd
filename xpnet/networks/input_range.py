"""Range of pixels: of the inputs that a network expects, and of rows of images.

A wrong range raises no error, but makes predictions meaningless. The metadata of a network declare
its range, or the first step indicates it. The range of rows follows from their dtype or values.
"""

from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from math import isqrt, prod
from typing import Any

from xpnet.arrays.dask_blocks import warn
from xpnet.arrays.namespace import array_namespace, library_of
from xpnet.arrays.transfer import is_numpy
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale, Standardize, Step

__all__ = [
    "InputRange",
    "ScalingWarning",
    "expected_range",
    "fit",
    "is_picture",
    "plausible_steps",
    "range_of",
    "range_of_step",
    "too_small",
    "unscaled_pixels",
    "with_scaling_warning",
]

_BRIGHTEST = 255.0
# A first step is for numbers far beyond 1 above the first of these limits, and for bytes if it is
# above the second on average: a few columns of a table may have large values. The means and scales
# of pixels in 0..1 are at most 1. The mean of digits as bytes is 33, their deviation 78.
_DIVISORS, _STATISTICS = (10.0, 100.0), (1.5, 10.0)
# Rows with fewer columns may be a table: only a division by 255 or more indicates the range. A file
# may contain a little less, as a factor of float32.
_FEWEST_PIXELS, _SMALLEST_DIVISOR = 64, 250.0
_MOST_ROWS = 256


class ScalingWarning(UserWarning):
    """Images are not in the network's input range, or it is trained on pixels without scaling."""


class InputRange(StrEnum):
    """A range of pixels. UNIT and BYTES are named as in ``network.metadata["input_range"]``.

    BYTES includes other numbers far beyond 1. STANDARDIZED rows have negative numbers. A network
    is STANDARDIZED if its first step has statistics of pixels in 0..1, or of a table like them.
    """

    UNIT = "0..1"
    BYTES = "0..255"
    STANDARDIZED = "standardized"
    UNKNOWN = "unknown"


def range_of(rows: Any) -> InputRange:
    """Return the range of NumPy rows, bytes if unsigned; unknown if all are blank, or any NaN."""
    if rows.dtype.kind == "u":
        return InputRange.BYTES
    smallest, largest = (rows.min(), rows.max()) if rows.size else (0, 0)
    if smallest < 0:
        return InputRange.STANDARDIZED
    if largest > 1:
        return InputRange.BYTES
    return InputRange.UNIT if largest > 0 else InputRange.UNKNOWN


def is_picture(shape: tuple[int, ...]) -> bool:
    """Return whether rows are pictures of 64 pixels or more, which may be squares in one row."""
    n = prod(shape[1:])
    return n >= _FEWEST_PIXELS and (len(shape) > 2 or isqrt(n) ** 2 == n)


def unscaled_pixels(images: Any) -> float | None:
    """Return the largest of NumPy pixels if it shows a range of 0..255, or None."""
    if not (is_picture(images.shape) and len(images) and images.dtype.kind in "fiu"):
        return None
    for some in (images[:_MOST_ROWS], images):  # few rows suffice to find another range
        largest = float(some.max())
        if some.min() < 0 or not _BRIGHTEST / 2 < largest <= _BRIGHTEST:
            return None
    return largest


def expected_range(network: Network) -> tuple[InputRange, float | None]:
    """Return the range of a network's inputs, and the factor from 0..1 to them, or None if unknown.

    The first step counts if it contradicts the metadata: it was added to scale bytes for a network
    of 0..1, or makes a declaration of bytes doubtful.
    """
    declared, steps = network.metadata.get("input_range"), network.preprocessing
    found, factor = InputRange.UNKNOWN, None
    if steps:
        found, factor = range_of_step(steps[0], network.n_in)
    if declared == InputRange.BYTES:
        is_doubtful = found is InputRange.STANDARDIZED
        return found if is_doubtful else InputRange.BYTES, _BRIGHTEST
    is_unit = declared == InputRange.UNIT and factor is None
    return InputRange.UNIT if is_unit else found, factor


@lru_cache(maxsize=16)
def range_of_step(step: Step, n_in: int) -> tuple[InputRange, float | None]:
    """Return the range of the inputs of a first step, and the factor from 0..1, as for a network.

    Statistics on another device are not looked at.
    """
    if is_scale := isinstance(step, Scale):
        numbers = [1.0 / step.factor]
    else:
        numbers = [step.mean, getattr(step, "scale", 1.0)]
    if isinstance(divisor := numbers[-1], float) and abs(divisor) >= _SMALLEST_DIVISOR:
        return InputRange.BYTES, abs(divisor)
    if not all(isinstance(x, float) or library_of(x) == "numpy" for x in numbers):
        return InputRange.UNKNOWN, None
    sizes = [abs(x) for x in numbers]
    largest = max(x if isinstance(x, float) else float(x.max()) for x in sizes)
    typical = max(x if isinstance(x, float) else float(x.mean()) for x in sizes)
    far, typical_of_bytes = _DIVISORS if is_scale else _STATISTICS
    if largest <= far:
        return InputRange.UNKNOWN if is_scale else InputRange.STANDARDIZED, None
    are_pixels = n_in >= _FEWEST_PIXELS and typical > typical_of_bytes
    return InputRange.BYTES, _BRIGHTEST if are_pixels else None


def fit(network: Network, found: InputRange, *steps: Step) -> Network:
    """Return a network with the steps before it that rows of a range need: `steps`, for 0..1.

    Bytes are divided by 255 first; rows of other ranges are not changed. The result declares no
    range, unless the rows are in 0..1 and need no step.
    """
    if found is InputRange.BYTES:
        steps = (Scale(1 / _BRIGHTEST), *steps)
    is_declared = "input_range" in network.metadata and found is not InputRange.UNIT
    if not (steps or is_declared):
        return network
    metadata = {name: text for name, text in network.metadata.items() if name != "input_range"}
    return replace(network, preprocessing=(*steps, *network.preprocessing), metadata=metadata)


def plausible_steps(rows: Any) -> dict[str, tuple[Step, ...]]:
    """Return the steps that rows may need before a network, by the values of ``--input-range``."""
    are_large = rows.dtype.kind == "u" or float(rows.max()) > 1.0
    unit = (Scale(1 / _BRIGHTEST),) if are_large else ()
    values = rows.astype("float64") * (1 / _BRIGHTEST if are_large else 1.0)
    # Rounded, so that a pasted value gives the same step.
    mean, deviation = (float(f"{x:.4g}") for x in (values.mean(), values.std() or 1.0))
    return {
        InputRange.UNIT.value: unit,
        InputRange.BYTES.value: () if are_large else (Scale(_BRIGHTEST),),
        f"{mean:g},{deviation:g}": (*unit, Standardize(mean, deviation)),
    }


def with_scaling_warning(network: Network, images: Any, *, is_trained: bool = False) -> Any:
    """Return the images; warn the caller's caller of a wrong range of NumPy images (or blocks).

    A network that is trained should not begin with unscaled pixels, unless it declares them.
    """
    if network.suits_bytes and is_numpy(images) and images.dtype.kind == "u":
        return images
    is_known = network.preprocessing or network.metadata
    if not (is_known or is_trained):
        return images
    first = images
    if not is_numpy(images):
        if isinstance(images, Iterator):
            first = next(images, None)
            images = images if first is None else chain([first], images)
            first = first[0] if isinstance(first, tuple) else first  # images and labels
        if not is_numpy(first):
            return images
    is_shown = is_known and first.ndim > 1 and first.size
    message = _scaling_fault(network, first) if is_shown else None
    if is_trained and message is None:
        message = _training_fault(network, first)
    if message is not None:
        warn(message, ScalingWarning, stacklevel=3)
    return images


def _scaling_fault(network: Network, images: Any) -> str | None:
    """Return a message with the remedy, or None if the first rows show no fault.

    Bytes of at most 1 are none: they may be the bits of a table.
    """
    kind = images.dtype.kind
    if kind == "f" and _size_of(images[0]) > 1.0:
        return None  # most often, and as quickly as can be
    expected, factor = expected_range(network)
    if kind == "f":
        if factor is None or not _are_in_unit_range(images[:_MOST_ROWS]):
            return None
        return too_small(network, factor, "images are in 0..1")
    is_other = expected is InputRange.UNIT and kind in "iu"
    if is_other and range_of(images[:_MOST_ROWS]) in {InputRange.BYTES, InputRange.STANDARDIZED}:
        what = f"images are integers ({images.dtype}), but the network takes 0..1"
    elif expected is InputRange.STANDARDIZED and kind == "u" and images[:_MOST_ROWS].max() > 1:
        what = f"images are bytes, but {_subject(network)} is for pixels in 0..1"
    else:
        return None
    step = "xpnet.Scale(1/255)"
    steps = f"({step}, *network.preprocessing)" if network.preprocessing else step
    return f"{what}: divide by 255, or add preprocessing={steps}"


def _training_fault(network: Network, images: Any) -> str | None:
    """Return a message with the remedy if a network without preprocessing gets unscaled pixels."""
    is_meant = network.preprocessing or expected_range(network)[0] is InputRange.BYTES
    if is_meant or (largest := unscaled_pixels(images)) is None:
        return None
    what = f"images have values up to {largest:g}, which are not scaled"
    return f"{what}: divide by 255, or give the network preprocessing=xpnet.Scale(1/255)"


def _are_in_unit_range(rows: Any) -> bool:
    """Return whether floating-point rows are in 0..1, and not all blank."""
    sizes = (_size_of(row) for row in rows)
    first = next((size for size in sizes if size != 0.0), 0.0)
    return 0.0 < first <= 1.0 and range_of(rows) is InputRange.UNIT


def _size_of(row: Any) -> Any:
    """Return the mean square of NumPy's floating-point numbers."""
    return array_namespace(row).vdot(row, row) / row.size


def too_small(network: Network, factor: float, what: str) -> str:
    """Return the message that `what`, a clause, is wrong for a network of larger inputs."""
    text = f"{factor:g}"
    raw = "bytes" if text == "255" else "values"
    subject = _subject(network)
    return f"{what}, but {subject} expects larger numbers: give raw {raw}, or multiply by {text}"


def _subject(network: Network) -> str:
    steps = network.preprocessing
    return f"the network's first step, {steps[0]}," if steps else "the network"
