"""Range of the pixels that a file of another program expects, in a word."""

from contextlib import suppress
from dataclasses import replace

from xpnet.networks.input_range import takes_bytes
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale, Standardize, Step

__all__ = ["RANGES", "with_input_range"]

RANGES = ("0..1", "0..255", "none")
_BYTES = "0..255"


def with_input_range(network: Network, input_range: str, *, are_bytes: bool = True) -> Network:
    """Return a network for pixels of a range, with the steps before it that bytes need.

    Parameters
    ----------
    network : Network
        Without a step for bytes; for "MEAN,STD", without preprocessing.
    input_range : str
        What the network expects: "0..1", for which bytes are divided by 255; "0..255", for which
        nothing is added; "MEAN,STD" of pixels in 0..1, such as "0.1307,0.3081", which are
        standardised; or "none", for numbers that are no pixels.
    are_bytes : bool, default True
        If false, the rows are floating-point numbers, which are not divided.

    Raises
    ------
    TypeError
        If `input_range` is no string.
    ValueError
        If the word is another one, or the network has such preprocessing.
    """
    if not isinstance(input_range, str):
        msg = f"`input_range` must be a string; got {input_range!r}"
        raise TypeError(msg)
    steps: list[Step] = [Scale(1 / 255)] if are_bytes else []
    if input_range not in RANGES:
        steps.append(_standardization(input_range))
    own = network.preprocessing
    if own and (takes_bytes(network) or input_range not in RANGES):
        msg = f"`input_range` must be left out for a network with {', '.join(map(repr, own))}"
        raise ValueError(msg)
    found = _BYTES if are_bytes else "0..1"
    if input_range in {_BYTES, "none"}:
        steps, found = [], input_range
    metadata = {**network.metadata, "input_range": found}
    return replace(network, preprocessing=(*steps, *own), metadata=metadata)


def _standardization(text: str) -> Standardize:
    """Return the step of a mean and a deviation of pixels in 0..1."""
    with suppress(ValueError):
        mean, deviation = map(float, text.split(","))
        if abs(mean) <= 1.0 and 0.0 < deviation <= 1.0:
            return Standardize(mean, deviation)
    rule = f"{', '.join(RANGES)}, or MEAN,STD of pixels in 0..1, such as 0.1307,0.3081"
    msg = f"`input_range` must be {rule}; got {text!r}"
    raise ValueError(msg)
