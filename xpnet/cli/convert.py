"""``xpnet convert``: conversion of a network to safetensors, npz or ONNX."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli import exit_codes
from xpnet.cli.arguments import (
    UsageError,
    add_common_arguments,
    add_option,
    check_output,
    file_name,
)
from xpnet.cli.convert_report import conversion_facts, conversion_rows, verification_lines
from xpnet.cli.data_arguments import (
    DATA_HELP,
    Data,
    add_reading_arguments,
    as_data_error,
)
from xpnet.cli.models import ModelOptions, add_file_arguments, read_contents
from xpnet.cli.report import Outcome, Stopwatch
from xpnet.cli.scaled_rows import in_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.formats.model_file import ModelFile
    from xpnet.networks.network import Network
    from xpnet.parity.verification import Verification

_ROWS = 10_000


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    from xpnet.networks.input_range import FEWEST_PIXELS

    parser = commands.add_parser(
        "convert",
        help="convert a network to safetensors, npz or ONNX",
        description="Read a network of any format and write it in the format of OUT's suffix:"
        " .safetensors, .npz or .onnx, with the step that bytes need by --input-range: a network of"
        f" {FEWEST_PIXELS} inputs or more from another program needs this option, unless it"
        " takes bytes. Exit code 1: with --verify, a result differs by more than"
        " rounding explains; OUT is written all the same.",
        examples=(
            "convert model.onnx a.safetensors --input-range 0..1 --verify train.csv",
            "convert book.pkl model.npz --activation sigmoid --input-range 0..1",
        ),
    )
    parser.add_argument("model", type=file_name, metavar="IN", help="the file to read")
    parser.add_argument("target", type=file_name, metavar="OUT", help="the file to write")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    text = "write ONNX that takes and scales raw bytes"
    parser.add_argument("--uint8", action="store_true", help=text)
    add_file_arguments(parser)
    group = parser.add_argument_group("verification")
    text = f"compare both files on these images: {DATA_HELP}"
    add_option(group, "--verify DATA", file_name, text, dest="path")
    add_reading_arguments(parser, rows=_ROWS)
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    import numpy as np

    from xpnet.formats.load_save import save
    from xpnet.inference.class_labels import as_class_ids
    from xpnet.inference.evaluate import evaluate

    target, force, input_dtype = args.target, args.force, "uint8" if args.uint8 else None
    options = ModelOptions.from_args(args)
    data = None if args.path is None else Data.from_args(args, args.path)
    if input_dtype and Path(target).suffix != ".onnx":
        msg = f"--uint8 is for ONNX: OUT must end in .onnx; got {target!r}"
        raise UsageError(msg)
    check_output(target, force=force, kind="model")
    contents = read_contents(options)
    network = _for_bytes(contents, options)
    images: Any = None
    if data is not None:
        images, labels = data.read_rows(network.n_in, "compare with")
        if input_dtype and images.dtype != np.uint8:
            msg = f"{data.path} holds {images.dtype} numbers: --uint8 is verified with raw bytes"
            raise UsageError(msg)
        if labels is not None and network.output != "values":
            labels = data.named(labels, network)
            as_data_error(data.labels_path, as_class_ids, network, labels)
    try:
        save(network, target, force=force, input_dtype=input_dtype)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    facts = conversion_facts(contents, network, options.source, target)
    if data is None:
        return Outcome(facts, conversion_rows(facts))
    found = _verify(contents, options, network, Path(target), images)
    facts["verification"] = {name: x.to_json() for name, x in found.items()}
    facts |= {"rows": len(images), "accuracy": None}
    if labels is not None and network.output != "values":
        result = as_data_error(data.path, evaluate, network, images, labels)
        facts["accuracy"] = result.accuracy
    is_in_bound = all(x.is_in_bound for x in found.values())
    code = exit_codes.DONE if is_in_bound else exit_codes.OUT_OF_BOUND
    return Outcome(facts, conversion_rows(facts), verification_lines(facts), code)


def _for_bytes(contents: "ModelFile", options: ModelOptions) -> "Network":
    """Return the network to write, which takes bytes by --input-range."""
    from xpnet.formats.input_range import RANGES
    from xpnet.networks.input_range import FEWEST_PIXELS, takes_bytes

    network = contents.network
    if options.input_range is not None:
        return in_range(network, options.input_range)
    if network.n_in >= FEWEST_PIXELS and not (contents.is_own or takes_bytes(network)):
        words = f"{', '.join(RANGES)}, or MEAN,STD of pixels in 0..1"
        msg = f"{options.source} does not tell the range of its inputs: give --input-range {words}"
        raise UsageError(msg)
    return network


def _verify(
    contents: "ModelFile",
    options: ModelOptions,
    network: "Network",
    target: Path,
    rows: "NDArray[Any]",
) -> "dict[str, Verification]":
    """Compare the outputs of both files with those of the network."""
    import numpy as np

    from xpnet.formats.load_save import read_model
    from xpnet.inference.predict import outputs_of
    from xpnet.networks.preprocessing import preprocessed
    from xpnet.parity.original_runtimes import ABSOLUTE_ERRORS, outputs_by_original_runtime
    from xpnet.parity.verification import verify

    n_steps = len(network.preprocessing) - len(contents.network.preprocessing)
    steps = network.preprocessing[:n_steps]
    x = preprocessed(steps, rows, network.dtype, np) if n_steps else rows
    name, outputs = outputs_by_original_runtime(Path(options.source), contents, x)
    runtimes, results = [name], {f"IN, by {name}": outputs}
    own_options = replace(options.file, activation=None, layout=None, allow_external=False)
    written = read_model(target, own_options)
    results["OUT, by xpnet"] = outputs_of(written.network, rows)
    if written.format == "ONNX":
        name, outputs = outputs_by_original_runtime(target, written, rows)
        runtimes.append(name)
        results[f"OUT, by {name}"] = outputs
    absolute = max(ABSOLUTE_ERRORS.get(name.split()[0], 0.0) for name in runtimes)
    return verify(network, rows, results, absolute_error=absolute)
