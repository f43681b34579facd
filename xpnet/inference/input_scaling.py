"""Warning about images that are not in the range of a network's inputs."""

import warnings
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.inference.batches import is_stream
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale, Standardize

__all__ = ["ScalingWarning", "divisor_of", "takes_unit_range", "with_scaling_warning"]

# A little below 255, which a file may contain as a factor of float32.
_SMALLEST_DIVISOR = 250.0
_MOST_ROWS = 256


class ScalingWarning(UserWarning):
    """Predictions are meaningless, because the images are not in the network's input range."""


def divisor_of(network: Network) -> float | None:
    """Return the number, of 255 or more, by which the first step divides, or None."""
    step, divisor = network.preprocessing[0] if network.preprocessing else None, 1.0
    if isinstance(step, Scale):
        divisor = 1.0 / step.factor
    elif isinstance(step, Standardize) and isinstance(step.scale, float):
        divisor = step.scale
    return divisor if abs(divisor) >= _SMALLEST_DIVISOR else None


def takes_unit_range(network: Network) -> bool:
    """Return whether the inputs are in 0..1 by the metadata, and no step divides them by 255."""
    return network.metadata.get("input_range") == "0..1" and divisor_of(network) is None


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
        warnings.warn(message, ScalingWarning, stacklevel=3)
    return images


def _scaling_fault(network: Network, images: NDArray[Any]) -> str | None:
    """Return a message with the remedy, or None if no fault is found."""
    if images.dtype.kind == "f" and images.ndim > 1:
        divisor = divisor_of(network)
        if divisor is not None and _are_in_unit_range(images[:_MOST_ROWS]):
            text = f"{divisor:g}"
            raw = "bytes" if text == "255" else "values"
            what = f"images are in 0..1, but the network divides by {text}"
            return f"{what}: give raw {raw}, or multiply by {text}"
    elif images.dtype.kind in "iu" and images.size and takes_unit_range(network):
        step = "xpnet.Scale(1/255)"
        steps = f"({step}, *network.preprocessing)" if network.preprocessing else step
        what = f"images are integers ({images.dtype}), but the network takes 0..1"
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
