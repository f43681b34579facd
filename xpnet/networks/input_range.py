"""Range of pixels: a wrong one raises no error, but makes predictions meaningless.

There is one question: does a network take bytes, 0..255, or pixels in 0..1?
"""

from dataclasses import replace
from math import prod
from typing import Any

from xpnet.arrays.dask_blocks import is_dask, warn
from xpnet.arrays.transfer import is_in_host_memory, is_numpy, is_traced, to_numpy
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale, Standardize, Step

__all__ = ["FEWEST_PIXELS", "ScalingWarning", "declared", "takes_bytes"]
__all__ += ["warn_of_range"]

_BYTES = "0..255"
# A first step is for bytes if it divides by this number or more, or subtracts or divides by larger
# numbers than those of pixels in 0..1.
_LEAST_DIVISOR, _MOST_OF_UNIT = 10.0, 1.5
# Rows with fewer numbers are measurements. Those of images are judged by the first of them.
FEWEST_PIXELS, _FIRST_ROWS = 64, 256


class ScalingWarning(UserWarning):
    """Images are not in the network's input range, or it is trained on pixels without scaling."""


def takes_bytes(network: Network) -> bool:
    """Return whether a network takes 0..255, by its metadata or its first step."""
    kept: bool | None = network.__dict__.get("_takes_bytes")
    if kept is None:  # the arrays of a step may be on a device
        is_declared = network.metadata.get("input_range") == _BYTES
        kept = is_declared or any(map(_is_for_bytes, network.preprocessing[:1]))
        network.__dict__["_takes_bytes"] = kept
    return kept


def _is_for_bytes(step: Step) -> bool:
    if isinstance(step, Scale):
        return abs(step.factor) <= 1.0 / _LEAST_DIVISOR
    numbers = [step.mean, step.scale] if isinstance(step, Standardize) else [step.mean]
    return any(_largest(x) > _MOST_OF_UNIT for x in numbers)


def _largest(x: Any) -> float:
    """Return the largest size of a number, or of an array; 0 for an array without values."""
    if isinstance(x, float):
        return abs(x)
    return 0.0 if is_traced(x) else float(abs(to_numpy(x)).max())


def warn_of_range(
    network: Network, images: Any, *, is_trained: bool = False, stacklevel: int = 2
) -> None:
    """Warn of images in host memory that are not in the range of a network.

    A network that is trained should not begin with pixels that no step scales.
    """
    if is_numpy(images) and images.dtype.kind == "u" and takes_bytes(network):
        return  # most often, and as quickly as can be
    fault = _fault(network, images, is_trained=is_trained)
    if fault is not None:
        warn(fault, ScalingWarning, stacklevel=stacklevel + 1)


def _fault(network: Network, images: Any, *, is_trained: bool) -> str | None:
    """Return what is wrong with the range of images, and the remedy; None if nothing is seen."""
    pixels = _first_pixels(network, images)
    if pixels is None or pixels.dtype.kind not in "fiu":
        return None
    is_float, steps = pixels.dtype.kind == "f", network.preprocessing
    if takes_bytes(network):
        # The first row tells most often.
        is_unit = is_float and pixels[0].max() <= 1.0 and 0.0 < pixels.max() <= 1.0
        if not (is_unit and pixels.min() >= 0.0):
            return None
        return "images are in 0..1, but the network takes 0..255: give bytes, or multiply by 255"
    if is_float and (steps or not is_trained):
        return None
    largest = pixels.max()
    if not largest > 1.0 or (is_float and not (pixels.min() >= 0.0 and largest <= 255.0)):
        return None
    step = "xpnet.Scale(1/255)"
    step = f"({step}, *network.preprocessing)" if steps else step
    what = f"images have values up to {largest:g}, but the network takes 0..1: scale them"
    return f"{what}; for bytes, divide by 255, or give the network preprocessing={step}"


def _first_pixels(network: Network, images: Any) -> Any:
    """Return the first rows of images in host memory as a NumPy array; None for others."""
    if network.metadata.get("input_range") == "none":  # its inputs are no pixels
        return None
    if prod(images.shape[1:]) < FEWEST_PIXELS or images.ndim < 2 or is_dask(images):
        return None
    if is_traced(images) or not images.shape[0] or not is_in_host_memory(images):
        return None
    return to_numpy(images[: min(_FIRST_ROWS, images.shape[0]), ...])


def declared(network: Network, images: Any) -> Network:
    """Return a network to be trained on images, whose metadata say 0..255 if they are bytes."""
    first = _first_pixels(network, images)
    is_raw = first is not None and first.dtype.kind in "iu" and first.max() > 1
    if not is_raw or takes_bytes(network):
        return network
    return replace(network, metadata={**network.metadata, "input_range": _BYTES})
