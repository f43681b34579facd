"""The network of --model: its options, its file and its device."""

import argparse
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from xpnet.cli.arguments import (
    add_option,
    file_name,
    from_args,
    missing_file_hint,
    not_negative_integer,
    positive_integer,
)
from xpnet.cli.device_choice import (
    DeviceOptions,
    exact_if_asked,
    in_precision,
    on_device,
    open_device,
)
from xpnet.cli.input_range import RANGES, input_range
from xpnet.files.errors import WeightsError

if TYPE_CHECKING:
    from xpnet.arrays.device import Device
    from xpnet.cli.report import Stopwatch
    from xpnet.formats.model_file import LoadOptions, ModelFile
    from xpnet.networks.input_range import InputRange
    from xpnet.networks.network import Network

_BOOK_SIZES = (784, 50, 100, 10)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --model, --seed and the options for a file of weights."""
    add = partial(add_option, parser)
    text = "a file of weights (safetensors, npz, ONNX, torch, Keras, the book's pickle); or the"
    text += " word sample, the embedded trained network, or random, the book's untrained network"
    add("--model MODEL", file_name, text, default="sample")
    add("--seed N", not_negative_integer, "random seed for --model random", default=0)
    add_file_arguments(parser)


def add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for facts that a file of weights from another program may lack."""
    from xpnet.formats.model_file import LAYOUTS

    group = parser.add_argument_group("files of weights from other programs")
    add = partial(add_option, group)
    text = "activation of the hidden layers, such as relu, or one for each layer, such as"
    text += " relu,relu,identity; for a file that does not name it"
    add("--activation NAME", _activation, text)
    text = "shape of the weights: in_out is (inputs, outputs), out_in is (outputs, inputs) as in"
    text += " torch; for a file that does not name it"
    add("--layout", str, text, choices=LAYOUTS)
    text = "inputs that the network expects (default: 0..1 for bytes; other numbers are taken as"
    text += " they are): 0..1, to which raw bytes are scaled; 0..255, all as they are; MEAN,STD of"
    text += " pixels in 0..1, such as 0.1307,0.3081 for torchvision's Normalize((0.1307,),"
    text += " (0.3081,)); or an npz file of the arrays mean and std, one number for each input. If"
    text += " given, and not 0..255, other numbers than bytes are scaled if the first image that is"
    text += " not blank has a value above 1"
    add("--input-range RANGE", input_range, text)
    text = "accept infinite or NaN parameters"
    group.add_argument("--allow-nonfinite", action="store_true", help=text)
    text = "accept an ONNX file with weights in other files of its folder"
    group.add_argument("--allow-external", action="store_true", help=text)
    text = "largest number of bytes of the parameters (default: 4 GiB; compressed"
    text += " formats: 100 times the size of the file, .keras 10 times, .pt 4 times)"
    add("--max-bytes N", positive_integer, text)


def _activation(text: str) -> str | list[str]:
    """Return a name, or a list of names from "relu,identity"; an argparse type."""
    return [name.strip() for name in text.split(",")] if "," in text else text


@dataclass(frozen=True)
class ModelOptions:
    """The values of `add_model_arguments`; `file` holds the options of `xpnet.load`."""

    source: str
    file: "LoadOptions"
    seed: int = 0
    input_range: str | None = None

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> "ModelOptions":
        """Return the values of `add_model_arguments`."""
        from xpnet.formats.model_file import LoadOptions

        return from_args(cls, args, source=args.model, file=from_args(LoadOptions, args))


@dataclass(frozen=True, eq=False)
class Model:
    """A network, the value of --model, and the value of --input-range.

    `expects` is the range of the inputs, and `factor` the factor from 0..1 to them, if they are
    known to be larger; `is_own` is true if xpnet wrote the file.
    """

    network: "Network"
    name: str
    expects: "InputRange"
    factor: float | None = None
    is_own: bool = True
    input_range: str | None = None

    def may_choose(self, input_range: str) -> bool:
        """Return whether a value of --input-range does not contradict the steps of the file."""
        from xpnet.networks.input_range import InputRange

        is_vague = self.expects in {InputRange.UNIT, InputRange.STANDARDIZED} or not self.is_own
        return (input_range in RANGES and is_vague) or not self.network.preprocessing


def load_model(options: ModelOptions) -> Model:
    """Return the network of --model on the CPU."""
    if options.source != "random":
        return model_of(read_contents(options), options)
    from xpnet.formats.model_file import ModelFile
    from xpnet.networks.initializers import init_network
    from xpnet.networks.preprocessing import Scale

    network = init_network(
        _BOOK_SIZES,
        seed=options.seed,
        activation="sigmoid",
        scheme="normal",
        preprocessing=Scale(1 / 255),
    )
    return model_of(ModelFile(network, "random", is_own=True), options)


def model_of(contents: "ModelFile", options: ModelOptions) -> Model:
    """Return the network of a file of weights, and its name and range."""
    from xpnet.networks.input_range import expected_range

    network, expects = contents.network, contents.input_range
    _, factor = expected_range(network)  # before it is moved to a device
    return Model(network, options.source, expects, factor, contents.is_own, options.input_range)


def read_contents(options: ModelOptions) -> "ModelFile":
    """Return the contents of a file of weights; raise a WeightsError also if it cannot be read."""
    from xpnet.formats.load_save import read_model

    try:
        return read_model(options.source, options.file)
    except OSError as error:
        what = error.strerror or str(error)
        if isinstance(error, FileNotFoundError):
            what += missing_file_hint(options.source, ["sample", "random"])
        raise WeightsError(what, file=options.source) from error


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
