"""The network of --model: its options, its file and its device."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    add_option,
    file_name,
    from_args,
    missing_file_hint,
    not_negative_integer,
)
from xpnet.cli.device_choice import (
    DeviceOptions,
    exact_if_asked,
    in_precision,
    on_device,
    open_device,
)
from xpnet.files.errors import WeightsError

if TYPE_CHECKING:
    from xpnet.arrays.device import Device
    from xpnet.cli.report import Stopwatch
    from xpnet.networks.network import Network

_BOOK_SIZES = (784, 50, 100, 10)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --model, --seed and the options for a file of weights."""
    add = partial(add_option, parser)
    text = "a file of weights: .safetensors, .npz, .onnx, .pt, .pth, or .pkl for the book's pickle;"
    text += " or the word sample, the embedded trained network, or random, the book's untrained one"
    add("--model MODEL", file_name, text, default="sample")
    add("--seed N", not_negative_integer, "random seed for --model random", default=0)
    add_file_arguments(parser)


def add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for facts that a file of weights from another program may lack."""
    group = parser.add_argument_group("files of weights from other programs")
    add = partial(add_option, group)
    text = "activation of the hidden layers, such as relu, or one for each layer, such as"
    text += " relu,relu,identity; for a file that does not name it"
    add("--activation NAME", _activation, text)
    text = "what a network without a step for bytes takes: 0..1, bytes divided by 255 (the default,"
    text += " unless the file tells of bytes); 0..255, bytes as they are; MEAN,STD of pixels in"
    text += " 0..1, such as 0.1307,0.3081 for torchvision's Normalize((0.1307,), (0.3081,)), by"
    text += " which pixels are standardised; or none, numbers that are no pixels. Other numbers"
    text += " than bytes are never divided"
    add("--input-range RANGE", str, text)


def _activation(text: str) -> str | list[str]:
    """Return a name, or a list of names from "relu,identity"; an argparse type."""
    return [name.strip() for name in text.split(",")] if "," in text else text


@dataclass(frozen=True)
class ModelOptions:
    """The values of `add_model_arguments`."""

    source: str
    seed: int = 0
    activation: str | list[str] | None = None
    input_range: str | None = None

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> "ModelOptions":
        """Return the values of `add_model_arguments`."""
        return from_args(cls, args, source=args.model)


@dataclass(frozen=True, eq=False)
class Model:
    """A network, the value of --model, whether xpnet wrote the file, and --input-range."""

    network: "Network"
    name: str
    is_own: bool = True
    input_range: str | None = None


def load_model(options: ModelOptions) -> Model:
    """Return the network of --model on the CPU."""
    if options.source == "random":
        from xpnet.networks.initializers import init_network
        from xpnet.networks.preprocessing import Scale

        given: Any = {"activation": "sigmoid", "scheme": "normal"}
        steps = Scale(1 / 255)
        network = init_network(_BOOK_SIZES, seed=options.seed, preprocessing=steps, **given)
        return Model(network, "random", input_range=options.input_range)
    return read_file(options, ["sample", "random"])


def read_file(options: ModelOptions, words: Sequence[str] = ("sample",)) -> Model:
    """Return the network of a file of weights, on the CPU.

    An OSError becomes a WeightsError, whose hint may be one of the `words`.
    """
    from xpnet.formats.load_save import read_model

    path = options.source
    try:
        if path != "sample":
            Path(path).stat()  # a missing file is an error before its suffix is
        network, is_own = read_model(path, options.activation)
    except OSError as error:
        what = error.strerror or str(error)
        if isinstance(error, FileNotFoundError):
            what += missing_file_hint(path, words)
        raise WeightsError(what, file=path) from error
    return Model(network, path, is_own, options.input_range)


def open_model(
    options: ModelOptions, device_options: DeviceOptions, stopwatch: "Stopwatch"
) -> "tuple[Model, Device]":
    """Return the network of --model on --device, in --precision, reproducible if asked for."""
    precision = device_options.precision
    device = open_device(device_options, stopwatch)  # its errors come first
    stopwatch.switch("loading")
    model = load_model(options)
    if device.library != "numpy" and precision not in {None, "bfloat16"}:
        # On the host, parameters that overflow are found.
        model = replace(model, network=in_precision(model.network, precision))
    with stopwatch.measure("loading" if device.library == "numpy" else "device"):
        network = in_precision(on_device(model.network, device), precision)
        return replace(model, network=exact_if_asked(network, device_options)), device
