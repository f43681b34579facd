"""``xpnet convert``: conversion of a network to safetensors, npz or ONNX."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    check_output,
    file_name,
)
from xpnet.cli.models import Model, ModelOptions, add_file_arguments, read_file
from xpnet.cli.network_facts import format_of, network_facts, network_rows
from xpnet.cli.report import Outcome, Stopwatch
from xpnet.cli.scaled_rows import in_range

if TYPE_CHECKING:
    from xpnet.networks.network import Network


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    from xpnet.networks.input_range import FEWEST_PIXELS

    parser = commands.add_parser(
        "convert",
        help="convert a network to safetensors, npz or ONNX",
        description="Read a network of any format and write it in the format of OUT's suffix:"
        " .safetensors, .npz or .onnx, with the step that bytes need by --input-range: a network of"
        f" {FEWEST_PIXELS} inputs or more from another program needs this option, unless it"
        " takes bytes. To compare both files: xpnet parity DATA --model OUT --against IN.",
        examples=(
            "convert model.onnx a.safetensors --input-range 0..1",
            "convert book.pkl model.npz --activation sigmoid --input-range 0..1",
        ),
    )
    parser.add_argument("model", type=file_name, metavar="IN", help="the file to read")
    parser.add_argument("target", type=file_name, metavar="OUT", help="the file to write")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    text = "write ONNX that takes and scales raw bytes"
    parser.add_argument("--uint8", action="store_true", help=text)
    add_file_arguments(parser)
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.formats.load_save import save

    target, force, input_dtype = args.target, args.force, "uint8" if args.uint8 else None
    options = ModelOptions.from_args(args)
    if input_dtype and Path(target).suffix != ".onnx":
        msg = f"--uint8 is for ONNX: OUT must end in .onnx; got {target!r}"
        raise UsageError(msg)
    check_output(target, force=force, kind="model")
    network = _for_bytes(read_file(options))
    try:
        save(network, target, force=force, input_dtype=input_dtype)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    source, n_bytes = options.source, Path(target).stat().st_size
    name, facts = format_of(source), network_facts(network)
    rows = {"wrote": f"{target} ({n_bytes:,} bytes)", "read": f"{source} ({name})"}
    about = {"source": source, "format": name, "target": target, "bytes": n_bytes}
    return Outcome(about | facts, rows | network_rows(facts))


def _for_bytes(model: Model) -> "Network":
    """Return the network to write, which takes bytes by --input-range."""
    from xpnet.formats.input_range import RANGES
    from xpnet.networks.input_range import FEWEST_PIXELS, takes_bytes

    network = model.network
    if model.input_range is not None:
        return in_range(network, model.input_range)
    if network.n_in >= FEWEST_PIXELS and not (model.is_own or takes_bytes(network)):
        words = f"{', '.join(RANGES)}, or MEAN,STD of pixels in 0..1"
        msg = f"{model.name} does not tell the range of its inputs: give --input-range {words}"
        raise UsageError(msg)
    return network
