"""``xpnet convert``: conversion of a network to safetensors, npz or ONNX."""

import argparse
from collections.abc import Mapping
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
    computation_errors,
)
from xpnet.cli.input_range import RANGES
from xpnet.cli.models import Model, ModelOptions, add_file_arguments, model_of, read_contents
from xpnet.cli.report import Outcome, Stopwatch
from xpnet.cli.scaled_rows import with_range
from xpnet.cli.streams import print_note

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.formats.model_file import ModelFile
    from xpnet.networks.network import Network
    from xpnet.parity.verification import Verification

_ROWS = 10_000
# A difference in accuracy that is too large for chance.
_NOTICEABLE, _ENOUGH = 0.01, 100


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "convert",
        help="convert a network to safetensors, npz or ONNX",
        description="Read a network of any format and write it in the format of OUT's suffix:"
        " .safetensors, .npz or .onnx. The scaling of the pixels is written, too: a network from"
        " another program is assumed to expect 0..1, unless --input-range is given. Exit code 1:"
        " with --verify, a result differs by more than rounding explains; OUT is written all the"
        " same.",
        examples=(
            "convert model.onnx model.safetensors --verify train.csv",
            "convert book.pkl model.npz --activation sigmoid",
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

    target, force, input_dtype = args.target, args.force, "uint8" if args.uint8 else None
    options = ModelOptions.from_args(args)
    data = None if args.path is None else Data.from_args(args, args.path)
    if input_dtype and Path(target).suffix != ".onnx":
        msg = f"--uint8 is for ONNX: OUT must end in .onnx; got {target!r}"
        raise UsageError(msg)
    check_output(target, force=force, kind="model")
    contents = read_contents(options)
    images: Any = None
    if data is not None:
        images, labels = data.read_rows(contents.network.n_in, "compare with")
        if input_dtype and images.dtype != np.uint8:
            msg = f"{data.path} holds {images.dtype} numbers: --uint8 is verified with raw bytes"
            raise UsageError(msg)
        if labels is not None and contents.network.output != "values":
            as_data_error(data.labels_path, as_class_ids, contents.network, labels)
    model = model_of(contents, options)
    network = _in_range(model, data, images)
    try:
        save(network, target, force=force, input_dtype=input_dtype)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    facts = conversion_facts(contents, network, options.source, target)
    if data is None:
        return Outcome(facts, conversion_rows(facts))
    with computation_errors(data.path, has_precision=False):
        found = _verify(contents, options, network, Path(target), images)
        accuracies = _accuracies(model, network, images, labels)
    facts["verification"] = {name: x.to_json() for name, x in found.items()}
    facts |= {"rows": len(images), "accuracy": accuracies}
    _note_better_scaling(facts, data.path, are_bytes=images.dtype.kind == "u")
    is_in_bound = all(x.is_in_bound for x in found.values())
    code = exit_codes.DONE if is_in_bound else exit_codes.OUT_OF_BOUND
    return Outcome(facts, conversion_rows(facts), verification_lines(facts), code)


def _in_range(model: Model, data: Data | None, images: "NDArray[Any] | None") -> "Network":
    """Return the network to write: with the steps for raw bytes, or 0..1 in its metadata."""
    import numpy as np

    from xpnet.networks.input_range import InputRange, range_of, range_of_step

    is_assumed = model.expects is InputRange.UNIT and not model.is_own
    chosen = model.input_range
    if chosen == "0..255" and model.may_choose(chosen):
        return replace(model.network, metadata={**model.network.metadata, "input_range": chosen})
    if data is None or images is None:
        if chosen is None and not is_assumed:
            return model.network
        return with_range(model, model.name, np.full((1, 1), 255, np.uint8))
    network = with_range(model, data.path, images)
    if images.dtype.kind == "u" or not (chosen or is_assumed):
        return network
    if chosen is None:
        print_note(
            f"{data.path} holds numbers rather than raw bytes: no scale is written (it is without"
            " --verify, and with raw bytes)"
        )
    are_unit = chosen is not None or range_of(images) is InputRange.UNIT
    found = [range_of_step(step, network.n_in)[0] for step in network.preprocessing[:1]]
    if not are_unit or InputRange.BYTES in found:  # scaled or standardised
        return network
    return replace(network, metadata={**network.metadata, "input_range": "0..1"})


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
    from xpnet.inference.batches import default_batch_size
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
    size = default_batch_size(network)
    parts = [written.network(rows[i : i + size]) for i in range(0, len(rows), size)]
    results["OUT, by xpnet"] = np.concatenate(parts)
    if written.format == "ONNX":
        name, outputs = outputs_by_original_runtime(target, written, rows)
        runtimes.append(name)
        results[f"OUT, by {name}"] = outputs
    absolute = max(ABSOLUTE_ERRORS.get(name.split()[0], 0.0) for name in runtimes)
    return verify(network, rows, results, absolute_error=absolute)


def _accuracies(model: Model, network: Any, rows: Any, labels: Any) -> list[dict[str, Any]]:
    """Return the accuracy for each scaling, and its --input-range; `network` is written."""
    from xpnet.arrays.ranges import RangeError
    from xpnet.inference.evaluate import evaluate
    from xpnet.inference.nonfinite import count_nonfinite
    from xpnet.networks.fingerprint import preprocessing_facts
    from xpnet.networks.input_range import plausible_steps
    from xpnet.networks.preprocessing import Scale

    if labels is None or network.output == "values":
        return []
    own, scalings = model.network.preprocessing, plausible_steps(rows)
    written = network.preprocessing[: len(network.preprocessing) - len(own)]
    is_divided = own[:1] == (Scale(1 / 255),)
    if model.input_range is not None and written not in scalings.values():
        scalings[model.input_range] = written
    found = []
    for value, before in scalings.items():
        other = replace(model.network, preprocessing=(*before, *own[is_divided:]))
        try:
            with count_nonfinite():
                accuracy = evaluate(other, rows, labels).accuracy
        except RangeError:  # the network cannot have been trained with it
            continue
        name = value if value in RANGES else f"standardised by {value.replace(',', ' and ')}"
        can_choose = not is_divided and model.may_choose(value)
        is_written = preprocessing_facts(other) == preprocessing_facts(network)
        entry = {"inputs": name, "input_range": value if can_choose else None}
        found.append({**entry, "accuracy": accuracy, "is_written": is_written})
    return found


def _note_better_scaling(facts: Mapping[str, Any], data: str, *, are_bytes: bool) -> None:
    """Print a note if another scaling gives a higher accuracy than the written one."""
    accuracies = facts["accuracy"] if facts["rows"] >= _ENOUGH else []
    written = [x["accuracy"] for x in accuracies if x["is_written"]]
    best = max(accuracies, key=lambda x: x["accuracy"], default=None)
    if written and best is not None and best["accuracy"] > written[0] + _NOTICEABLE:
        value = best["input_range"]
        data_hint = "" if are_bytes or value != "0..255" else " and raw bytes"
        hint = "" if value is None else f": give --input-range {value}{data_hint}"
        print_note(
            f"{facts['source']} has an accuracy of {best['accuracy']:.4f} on {data} with inputs"
            f" {best['inputs']}, and {written[0]:.4f} as written{hint}"
        )
