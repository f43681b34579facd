"""The network of --model on its device, and the step before it that images need."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.streams import print_note
from xpnet.files.errors import WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network

__all__ = ["Model", "added_text", "open_device", "open_model", "read_file", "suited"]

_BOOK_SIZES = (784, 50, 100, 10)


@dataclass(frozen=True, eq=False)
class Model:
    """A network, the value of --model, whether xpnet wrote the file, and --input-range."""

    network: "Network"
    name: str
    is_own: bool = True
    input_range: str | None = None


def open_model(
    *,
    model: str = "sample",
    seed: int | None = None,
    activation: str | list[str] | None = None,
    input_range: str | None = None,
    device: str = "cpu",
    precision: str | None = None,
    reproducible: bool = False,
    **_: object,
) -> "tuple[Model, Device]":
    """Return the network of --model on --device, in --precision, and the device.

    Other options are ignored.
    """
    from xpnet.networks.reproducible import reproducible as made_reproducible

    place = open_device(device)  # its errors come first
    if model == "random":
        if activation is not None:
            msg = "--activation is for a file of --model; got --model random"
            raise ValueError(msg)
        found = Model(_untrained(seed or 0), model, input_range=input_range)
    elif seed is not None:
        msg = f"--seed is for --model random; got --model {model}"
        raise ValueError(msg)
    else:
        found = read_file(model, activation, input_range)
    network = found.network
    if precision is not None and precision != "bfloat16":  # which NumPy lacks
        network = network.astype(precision)  # here parameters that overflow are found
    network = network.to(place)
    if precision == "bfloat16":
        network = network.astype(precision)
    network = made_reproducible(network) if reproducible else network
    return replace(found, network=network), place


def open_device(word: str) -> "Device":
    """Return the device of --device; print why if it was chosen."""
    from xpnet.arrays.device import Device

    device = Device(word)
    if word == "auto":
        print_note(device.reason)
    return device


def _untrained(seed: int) -> "Network":
    """Return the book's network with random parameters."""
    from xpnet.networks.initializers import init_network
    from xpnet.networks.preprocessing import Scale

    options: Any = {"activation": "sigmoid", "scheme": "normal"}
    return init_network(_BOOK_SIZES, seed=seed, preprocessing=Scale(1 / 255), **options)


def read_file(
    path: str, activation: str | list[str] | None = None, input_range: str | None = None
) -> Model:
    """Return the network of a file of weights, on the host; an OSError becomes a WeightsError."""
    from xpnet.formats.load_save import read_model

    try:
        if path != "sample":
            Path(path).stat()  # a missing file is an error before its suffix is
        network, is_own = read_model(path, activation)
    except OSError as error:
        raise WeightsError(error.strerror or str(error), file=path) from error
    return Model(network, path, is_own, input_range)


def suited(model: Model, images: "NDArray[Any]") -> "Network":
    """Return the network for images like these, with the steps before it that they need.

    These are the steps of --input-range. Without the option, bytes are divided by 255 for a network
    of another program, unless it takes bytes, or has so few inputs that they are measurements.
    """
    from xpnet.formats.input_range import with_input_range
    from xpnet.networks.input_range import FEWEST_PIXELS, takes_bytes
    from xpnet.networks.preprocessing import Scale

    network, are_bytes = model.network, images.dtype.name == "uint8"
    if model.input_range is not None:
        return with_input_range(network, model.input_range, are_bytes=are_bytes)
    if are_bytes and not (model.is_own or takes_bytes(network) or network.n_in < FEWEST_PIXELS):
        return replace(network, preprocessing=(Scale(1 / 255), *network.preprocessing))
    return network


def added_text(model: Model, network: "Network") -> str | None:
    """Return what `suited` has added to the network of a model, or None."""
    from xpnet.networks.preprocessing import Scale

    n_added = len(network.preprocessing) - len(model.network.preprocessing)
    steps = network.preprocessing[:n_added]
    if not steps:
        return None
    text = ", ".join("bytes / 255" if isinstance(step, Scale) else str(step) for step in steps)
    hint = ", as the file does not tell their range (--input-range chooses another)"
    return f"{text}{hint * (model.input_range is None)}"
