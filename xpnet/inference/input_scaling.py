"""Warning about images that are not in the range of a network's inputs."""

from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.dask_blocks import warn
from xpnet.inference.batches import is_stream
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale, Standardize, Step

__all__ = [
    "ScalingWarning",
    "factor_to_raw",
    "standardizes_unit_range",
    "takes_unit_range",
    "with_scaling_warning",
]

# A little below 255, which a file may contain as a factor of float32.
_SMALLEST_DIVISOR = 250.0
_MOST_ROWS = 256
# Of rows with fewer columns, which may be a table, only a divisor of 255 or more tells the range.
_FEWEST_PIXELS = 64
# Mean or scale of bytes; those of digits are 33 and 78.
_LARGE = 10.0


class ScalingWarning(UserWarning):
    """Predictions are meaningless, because the images are not in the network's input range."""


def factor_to_raw(network: Network) -> float | None:
    """Return the factor, 255 or more, from pixels in 0..1 to the inputs, or None if unknown."""
    if network.metadata.get("input_range") == "0..255":
        return 255.0
    if not network.preprocessing:
        return None
    step, divisor = network.preprocessing[0], 1.0
    if isinstance(step, Scale):
        divisor = 1.0 / step.factor
    elif isinstance(step, Standardize) and isinstance(step.scale, float):
        divisor = step.scale
    if abs(divisor) >= _SMALLEST_DIVISOR:
        return divisor
    return 255.0 if network.n_in >= _FEWEST_PIXELS and _expects_raw(step) else None


@lru_cache(maxsize=16)
def _expects_raw(step: Step) -> bool:
    """Return whether a step suits bytes; statistics on another device are not looked at."""
    if isinstance(step, Scale):
        return 1.0 / abs(step.factor) > 100.0
    numbers = [step.mean, getattr(step, "scale", 1.0)]
    # Few columns of a table may have large values: the average counts.
    return all(isinstance(x, float | np.ndarray) for x in numbers) and any(
        float(np.mean(np.abs(x))) > _LARGE for x in numbers
    )


def takes_unit_range(network: Network) -> bool:
    """Return whether the metadata is for 0..1, and the first step is not for bytes."""
    return network.metadata.get("input_range") == "0..1" and factor_to_raw(network) is None


def standardizes_unit_range(network: Network) -> bool:
    """Return whether the first step, on the host, has the mean and scale of pixels in 0..1."""
    return bool(network.preprocessing) and _has_unit_statistics(network.preprocessing[0])


@lru_cache(maxsize=16)
def _has_unit_statistics(step: Step) -> bool:
    numbers = (step.mean, step.scale) if isinstance(step, Standardize) else ()
    is_small = [isinstance(x, float | np.ndarray) and np.max(np.abs(x)) <= 1.0 for x in numbers]
    return all(is_small) and bool(is_small)


def first_step(network: Network) -> str:
    """Return the subject of a sentence about the inputs."""
    steps = network.preprocessing
    return f"the network's first step, {steps[0]}," if steps else "the network"


def with_scaling_warning(network: Network, images: Any) -> Any:
    """Return the images; warn the caller's caller of a wrong range of NumPy images (or blocks)."""
    if not (network.preprocessing or network.metadata):
        return images
    first = images
    if not isinstance(images, np.ndarray) and is_stream(images):
        first = next(images, None)
        images = images if first is None else chain([first], images)
        first = first[0] if isinstance(first, tuple) else first  # images and labels
    message = _scaling_fault(network, first) if isinstance(first, np.ndarray) else None
    if message is not None:
        warn(message, ScalingWarning, stacklevel=3)
    return images


def _scaling_fault(network: Network, images: NDArray[Any]) -> str | None:
    """Return a message with the remedy, or None if no fault is found."""
    kind = images.dtype.kind
    if kind == "u" and not network.preprocessing and network.metadata.get("input_range") != "0..1":
        return None  # the usual case, in little time: bytes for a prepared network
    if kind == "f" and images.ndim > 1:
        factor = factor_to_raw(network)
        if factor is not None and _are_in_unit_range(images[:_MOST_ROWS]):
            text = f"{factor:g}"
            raw = "bytes" if text == "255" else "values"
            what = f"images are in 0..1, but {first_step(network)} expects larger numbers"
            return f"{what}: give raw {raw}, or multiply by {text}"
    elif kind in "iu" and images.size and takes_unit_range(network):
        step = "xpnet.Scale(1/255)"
        steps = f"({step}, *network.preprocessing)" if network.preprocessing else step
        what = f"images are integers ({images.dtype}), but the network takes 0..1"
        return f"{what}: divide by 255, or add preprocessing={steps}"
    elif (
        images.dtype == np.uint8
        and standardizes_unit_range(network)
        and images[:_MOST_ROWS].max(initial=0) > 1  # not bits of a table
    ):
        what = f"images are bytes, but {first_step(network)} is for pixels in 0..1"
        steps = "(xpnet.Scale(1/255), *network.preprocessing)"
        return f"{what}: divide by 255, or add preprocessing={steps}"
    return None


def _are_in_unit_range(rows: NDArray[Any]) -> bool:
    """Return whether all numbers are in 0..1, and a row is not blank."""
    for row in rows:
        total = np.vdot(row, row)  # the fastest check, which shows that most images are not
        if total > row.size:
            return False
        if total != 0.0:
            return bool(np.min(rows) >= 0.0 and np.max(rows) <= 1.0)
    return False
