"""The network that --model names, and what it is given of the images."""

import argparse
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    as_data_error,
    file_name,
    not_negative,
    positive,
    read_options,
    with_progress,
)
from xpnet.cli.device_choice import PRECISIONS, count_rows, in_precision, open_device
from xpnet.cli.streams import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.cli.stopwatch import Stopwatch
    from xpnet.formats.model_file import LoadOptions, ModelFile
    from xpnet.networks.network import Network

__all__ = [
    "INPUT_RANGES",
    "Model",
    "add_file_arguments",
    "add_model_arguments",
    "file_options",
    "open_model",
    "read_contents",
    "read_model",
    "stream_rows",
]

INPUT_RANGES = ("0..1", "0..255")
_BOOK_SIZES = (784, 50, 100, 10)
_BLOCK_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Model:
    """A network, what it is called, and whether its file says in which range its inputs are.

    A file of xpnet's says it for certain; of another, it is a conclusion.
    """

    network: "Network"
    name: str
    tells_range: bool
    is_own: bool


def add_model_arguments(parser: argparse.ArgumentParser, *, batch_size: bool = True) -> None:
    """Add --model, --seed, --device and, for work in batches, --batch-size and --threads."""
    from xpnet.arrays.device import add_device_argument

    parser.add_argument(
        "--model",
        type=file_name,
        default="sample",
        metavar="MODEL",
        help="a file of weights (safetensors, npz, ONNX, the book's pickle); or the word sample,"
        " the embedded trained network (default), or random, the book's untrained one",
    )
    parser.add_argument(
        "--seed", type=not_negative, default=0, metavar="N", help="of --model random (default: 0)"
    )
    add_device_argument(parser)
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="what is computed with (default: the dtype of the file); tf32 rounds the factors of"
        " float32 products to 10 bits, on a GPU",
    )
    if batch_size:
        parser.add_argument(
            "--batch-size",
            type=positive,
            metavar="N",
            help="images at a time (default: what suits the device)",
        )
        parser.add_argument(
            "--threads",
            type=positive,
            metavar="N",
            help="batches computed at a time on a CPU (default: as many as there are cores)",
        )
    add_file_arguments(parser)


def add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a file of weights from elsewhere does not tell, and how far it is trusted."""
    from xpnet.formats.model_file import LAYOUTS

    group = parser.add_argument_group("a network from elsewhere")
    group.add_argument(
        "--activation",
        metavar="NAME",
        help="where the file does not tell: of the hidden layers, such as relu; or one for each"
        " layer, with commas between",
    )
    group.add_argument(
        "--layout",
        choices=LAYOUTS,
        help="where the file does not tell: whether weights are (inputs, outputs), or the other"
        " way round as torch has them",
    )
    group.add_argument(
        "--input-range",
        choices=INPUT_RANGES,
        help="the pixels that the network takes (default: 0..1, to which raw bytes are scaled);"
        " given 0..1, other numbers are scaled if the first image that is not blank has one over 1",
    )
    group.add_argument(
        "--allow-nonfinite", action="store_true", help="take parameters that are infinite or NaN"
    )
    group.add_argument(
        "--allow-external",
        action="store_true",
        help="let an ONNX file keep its weights in other files of its folder",
    )
    group.add_argument(
        "--max-bytes",
        type=positive,
        metavar="N",
        help="how many bytes the parameters may take (default: 4 GiB; npz: 100 times the file)",
    )


def file_options(args: argparse.Namespace) -> "LoadOptions":
    """Return the options of `xpnet.load` that are about the file."""
    from xpnet.formats.model_file import LoadOptions

    activation = args.activation
    if activation is not None and "," in activation:
        activation = [name.strip() for name in activation.split(",")]
    return LoadOptions(
        activation, args.layout, args.allow_nonfinite, args.allow_external, args.max_bytes
    )


def open_model(
    args: argparse.Namespace, stopwatch: "Stopwatch", *, weighs: bool = False
) -> "tuple[Model, Device]":
    """Return the network of --model on --device, in --precision.

    Parameters
    ----------
    weighs : bool, default False
        Whether --device auto weighs what the rows of DATA cost on either device.
    """
    if args.device != "auto":  # what is wrong there is told first
        device = open_device(args, stopwatch)
    stopwatch.switch("loading")
    model = read_model(args)
    if args.device == "auto" and not weighs:
        device = open_device(args, stopwatch)
    elif args.device == "auto":
        rows = count_rows(args)
        network = model.network  # as it would be computed on the CPU, if it can
        weighed = network if args.precision == "bfloat16" else in_precision(args, network)
        device = open_device(args, stopwatch, weighed, rows=rows)
    if args.device == "auto" and args.precision == "tf32" and device.library == "numpy":
        tell("the CPU computes in float32: TF32 is a GPU's")
    if device.library != "numpy" and args.precision not in {None, "bfloat16"}:
        in_precision(args, model.network)  # whether a parameter overflows is seen on the host
    with stopwatch.measure("loading" if device.library == "numpy" else "device"):
        network = in_precision(args, model.network.to(device))
    return replace(model, network=network), device


def read_model(args: argparse.Namespace) -> Model:
    """Return the network of --model on the CPU."""
    if args.model != "random":
        contents = read_contents(args.model, file_options(args))
        return Model(contents.network, args.model, contents.declares_input_range, contents.is_own)
    from xpnet.networks.initializers import init_network
    from xpnet.networks.preprocessing import Scale

    network = init_network(_BOOK_SIZES, seed=args.seed, preprocessing=Scale(1 / 255))
    return Model(network, args.model, tells_range=True, is_own=True)


def read_contents(path: str, options: "LoadOptions") -> "ModelFile":
    """Return what a file of weights holds; what the system says of the file is a fault of it."""
    from xpnet.files.errors import WeightsError
    from xpnet.formats.load_save import read_model

    try:
        return read_model(path, options)
    except OSError as error:
        raise WeightsError(error.strerror or str(error), file=path) from error


def stream_rows(
    args: argparse.Namespace, model: Model, what: str, stopwatch: "Stopwatch", **more: Any
) -> "tuple[Network, Iterator[tuple[NDArray[Any], NDArray[Any] | None]]]":
    """Read DATA as rows with their labels, block by block, and the network that takes them.

    A block is a number of whole batches; on a terminal the rows are counted, if it takes a while.
    A GPU computes the first block once before, so that what it compiles and loads at the first
    time counts as its start, and not as work.
    """
    from xpnet.cli.input_range import blocks_in_range
    from xpnet.datasets import stream
    from xpnet.inference.batches import as_rows, check_batch_size

    n_in = model.network.n_in
    batch_size = check_batch_size(model.network, args.batch_size)
    block_rows = batch_size * -(-_BLOCK_ROWS // batch_size)
    options = read_options(args, features=n_in, **more)
    blocks = stream(args.data, block_rows=block_rows, **options)
    network, blocks = blocks_in_range(args, model, blocks)
    first = next(blocks)
    if network.library != "numpy":
        with stopwatch.measure("device"):
            _warm_up(args, network, first[0])
    counted = with_progress(chain([first], blocks), total=args.rows, what=what)
    rows = ((as_data_error(args.data, as_rows, images, n_in), labels) for images, labels in counted)
    return network, rows


def _warm_up(args: argparse.Namespace, network: "Network", images: "NDArray[Any]") -> None:
    from contextvars import Context

    from xpnet.arrays.namespace import without_warnings
    from xpnet.inference.nonfinite import count_nonfinite
    from xpnet.inference.predict import predict

    def predict_once() -> None:
        with without_warnings(), count_nonfinite():
            predict(network, images, batch_size=args.batch_size)

    with suppress(ValueError):  # of rows that do not fit, which is told later
        # In a context of its own, where nobody counts what is copied.
        Context().run(predict_once)
