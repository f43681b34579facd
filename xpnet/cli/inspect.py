"""``xpnet inspect``: the network of a file of weights."""

import argparse
from pathlib import Path
from typing import Any

from xpnet.cli.arguments import add_common_arguments, file_name
from xpnet.cli.fetch import NAMES
from xpnet.cli.models import ModelOptions, add_file_arguments, read_file
from xpnet.cli.network_facts import format_of, network_facts, network_rows
from xpnet.cli.report import Outcome, Stopwatch
from xpnet.cli.scaled_rows import in_range
from xpnet.files.errors import WeightsError


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "inspect",
        help="show the network of a file of weights",
        description="Read a file of weights as --model does, and show its network: layers,"
        " number of parameters, preprocessing, classes.",
        examples=("inspect model.safetensors", "inspect net.pt --activation relu --json"),
    )
    text = "a file of weights, or the word sample, the embedded network"
    parser.add_argument("model", type=file_name, metavar="FILE", help=text)
    add_file_arguments(parser)
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.formats.load_save import SAMPLE_PATH

    options = ModelOptions.from_args(args)
    source = options.source
    if source in NAMES:
        what = f"not a file of weights: images are shown by xpnet show {source}"
        raise WeightsError(what, file=source)
    network = read_file(options).network
    if options.input_range is not None:
        network = in_range(network, options.input_range)
    n_bytes = (SAMPLE_PATH if source == "sample" else Path(source)).stat().st_size
    name, facts = format_of(source), network_facts(network)
    rows = {"file": f"{source} ({n_bytes:,} bytes)", "format": name, **network_rows(facts)}
    return Outcome({"file": source, "bytes": n_bytes, "format": name, **facts}, rows)
