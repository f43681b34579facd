"""``xpnet convert``: a network from elsewhere into a file of xpnet's, or of ONNX."""

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import (
    DATA_HELP,
    Subparsers,
    UsageError,
    add_common_arguments,
    add_reading_arguments,
    as_data_error,
    file_name,
    read_options,
)
from xpnet.cli.conversion import print_conversion
from xpnet.cli.input_range import with_range
from xpnet.cli.models import (
    Model,
    add_file_arguments,
    file_options,
    read_contents,
)
from xpnet.cli.report import print_json
from xpnet.cli.stopwatch import Stopwatch
from xpnet.cli.streams import tell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.formats.model_file import ModelFile
    from xpnet.networks.network import Network
    from xpnet.networks.preprocessing import Step
    from xpnet.parity.verification import Verification

__all__ = ["add_parser"]

_ROWS = 10_000
_TO_UNIT = 1 / 255
# A difference in accuracy that no choice of images explains.
_NOTICEABLE, _ENOUGH = 0.01, 100


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "convert",
        help="read a network from elsewhere, and write it as safetensors, npz or ONNX",
        description="Read a network of any format and write it in another, told by OUT's suffix:"
        " .safetensors, .npz or .onnx. The scaling of the pixels is written, too: a network from"
        " elsewhere is taken to expect 0..1, unless --input-range says otherwise. Exit code 1: by"
        " --verify, a result is further off than rounding explains; OUT is written nevertheless.",
        allow_abbrev=False,
    )
    parser.add_argument("source", type=file_name, metavar="IN", help="the file to read")
    parser.add_argument("target", type=file_name, metavar="OUT", help="the file to write")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    parser.add_argument(
        "--uint8", action="store_true", help="ONNX that takes raw bytes, and scales them itself"
    )
    add_file_arguments(parser)
    group = parser.add_argument_group("verification")
    group.add_argument(
        "--verify",
        type=file_name,
        dest="data",
        metavar="DATA",
        help=f"compare both files on these images: {DATA_HELP}",
    )
    add_reading_arguments(parser, rows=_ROWS)
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, _: Stopwatch) -> int:
    """Run the command."""
    from xpnet.formats.load_save import save

    _check_target(args)
    contents = read_contents(args.source, file_options(args))
    images, labels = (None, None) if args.data is None else _read(args, contents.network)
    network = _in_range(args, contents, images)
    input_dtype = "uint8" if args.uint8 else None
    try:
        save(network, args.target, force=args.force, input_dtype=input_dtype)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    result = _facts(args, contents, network)
    code = 0
    if images is not None:
        verification = _verified(args, contents, network, images)
        code = 0 if all(found.is_in_bound for found in verification.values()) else 1
        result["verification"] = {name: _as_json(x) for name, x in verification.items()}
        result["rows"] = len(images)
        result["accuracy"] = _accuracies(contents, network, images, labels)
        _warn_of_scaling(args, contents, result)
    args.verdict = code
    if args.json:
        print_json(_without_infinities(result))
    else:
        print_conversion(result)
    return code


def _check_target(args: argparse.Namespace) -> None:
    """Refuse a file that could not be written, before and not after the work."""
    from xpnet.files.writing import check_target
    from xpnet.formats.load_save import check_suffix

    try:
        check_suffix(args.target)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if args.uint8 and Path(args.target).suffix != ".onnx":
        msg = f"--uint8 is for ONNX: OUT must end in .onnx; got {args.target!r}"
        raise UsageError(msg)
    check_target(args.target, force=args.force)


def _read(
    args: argparse.Namespace, network: "Network"
) -> "tuple[NDArray[Any], NDArray[Any] | None]":
    """Return the rows to compare with, and their labels if there are any."""
    from xpnet.datasets import read
    from xpnet.files.errors import DataError
    from xpnet.inference.batches import as_rows
    from xpnet.inference.class_labels import as_class_ids

    images, labels = read(args.data, **read_options(args, features=network.n_in))
    if not len(images):
        what = "no images to compare with"
        raise DataError(what, file=args.data)
    if labels is not None and network.output != "values":
        as_data_error(args.labels or args.data, as_class_ids, network, labels)
    return as_data_error(args.data, as_rows, images, network.n_in), labels


def _in_range(
    args: argparse.Namespace, contents: "ModelFile", images: "NDArray[Any] | None"
) -> "Network":
    """Return the network as it is written: with a scale before it where it takes 0..1."""
    import numpy as np

    model = Model(contents.network, args.source, contents.declares_input_range, contents.is_own)
    if images is None:
        if contents.declares_input_range and args.input_range is None:
            return contents.network
        images = np.full((1, 1), 255, np.uint8)
    elif (
        images.dtype.kind != "u" and not contents.declares_input_range and args.input_range is None
    ):
        tell(
            f"{args.data} holds numbers rather than raw bytes: no scale is written (--input-range"
            " 0..1 writes one for raw bytes)"
        )
    return with_range(args, model, images)


def _facts(args: argparse.Namespace, contents: "ModelFile", network: "Network") -> dict[str, Any]:
    return {
        "source": args.source,
        "format": contents.format,
        "notes": list(contents.notes),
        "target": args.target,
        "bytes": Path(args.target).stat().st_size,
        "layers": [
            {"n_in": layer.n_in, "n_out": layer.n_out, "activation": layer.activation_text}
            for layer in network.layers
        ],
        "parameters": sum((layer.n_in + 1) * layer.n_out for layer in network.layers),
        "dtype": str(network.dtype),
        "preprocessing": [repr(step) for step in network.preprocessing],
        "output": network.output,
        "classes": None if network.classes is None else list(network.classes),
    }


def _verified(
    args: argparse.Namespace, contents: "ModelFile", network: "Network", rows: "NDArray[Any]"
) -> "dict[str, Verification]":
    """Compare what both files give with what the network is meant to give."""
    import numpy as np

    from xpnet.formats.load_save import read_model
    from xpnet.formats.model_file import LoadOptions
    from xpnet.inference.batches import default_batch_size
    from xpnet.networks.execution import preprocessed
    from xpnet.parity.original_runtimes import ABSOLUTE_ERRORS, outputs_by_original_runtime
    from xpnet.parity.verification import verify

    n_steps = len(network.preprocessing) - len(contents.network.preprocessing)
    before = replace(network, preprocessing=network.preprocessing[:n_steps])
    x = preprocessed(before, rows, np) if n_steps else rows
    name, outputs = outputs_by_original_runtime(Path(args.source), contents, x)
    runtimes = [name]
    results = {f"IN, by {name}": outputs}
    options = LoadOptions(allow_nonfinite=args.allow_nonfinite, max_bytes=args.max_bytes)
    written = read_model(args.target, options)
    size = default_batch_size(network)
    parts = [written.network(rows[i : i + size]) for i in range(0, len(rows), size)]
    results["OUT, by xpnet"] = np.concatenate(parts)
    if written.format == "ONNX":
        name, outputs = outputs_by_original_runtime(Path(args.target), written, rows)
        runtimes.append(name)
        results[f"OUT, by {name}"] = outputs
    absolute = max(ABSOLUTE_ERRORS.get(name.split()[0], 0.0) for name in runtimes)
    return verify(network, rows, results, absolute_error=absolute)


def _as_json(found: "Verification") -> dict[str, Any]:
    return found.to_json()


def _without_infinities(result: Any) -> Any:
    """Return a result with null for infinite numbers, which JSON lacks."""
    if isinstance(result, dict):
        return {name: _without_infinities(value) for name, value in result.items()}
    return None if isinstance(result, float) and math.isinf(result) else result


def _accuracies(
    contents: "ModelFile",
    network: "Network",
    rows: "NDArray[Any]",
    labels: "NDArray[Any] | None",
) -> list[dict[str, Any]]:
    """Return the accuracy under each way of scaling that the network may have been made for."""
    import numpy as np

    from xpnet.arrays.ranges import RangeError
    from xpnet.inference.evaluate import evaluate
    from xpnet.inference.nonfinite import count_nonfinite
    from xpnet.networks.fingerprint import preprocessing_facts
    from xpnet.networks.preprocessing import Scale, Standardize

    if labels is None or network.output == "values":
        return []
    own = contents.network.preprocessing
    to_unit = Scale(_TO_UNIT)
    if own[:1] == (to_unit,):
        own = own[1:]
    unit = (to_unit,) if float(np.max(rows)) > 1.0 else ()
    values = rows.astype(np.float64) * (_TO_UNIT if unit else 1.0)
    standard = Standardize(float(np.mean(values)), float(np.std(values)) or 1.0)
    ways: dict[str, tuple[Step, ...]] = {
        "0..1": unit,
        "0..255": () if unit else (Scale(1.0 / _TO_UNIT),),
        f"standardised by {standard.mean:.4f} and {standard.scale:.4f}": (*unit, standard),
    }
    found = []
    for name, before in ways.items():
        other = replace(contents.network, preprocessing=(*before, *own))
        try:
            with count_nonfinite():
                accuracy = evaluate(other, rows, labels).accuracy
        except RangeError:  # such inputs it cannot have been made for
            continue
        is_written = preprocessing_facts(other) == preprocessing_facts(network)
        found.append({"inputs": name, "accuracy": accuracy, "is_written": is_written})
    return found


def _warn_of_scaling(
    args: argparse.Namespace, contents: "ModelFile", result: dict[str, Any]
) -> None:
    """Tell if the network gets more right under another scaling than under the written one."""
    accuracies = result["accuracy"]
    if result["rows"] < _ENOUGH:
        return
    hint = "" if contents.is_own else ": see --input-range"
    written = [x["accuracy"] for x in accuracies if x["is_written"]]
    best = max(accuracies, key=lambda x: x["accuracy"], default=None)
    if written and best is not None and best["accuracy"] > written[0] + _NOTICEABLE:
        tell(
            f"{args.source} gets {best['accuracy']:.4f} of {args.data} right with inputs"
            f" {best['inputs']}, and {written[0]:.4f} as it was written{hint}"
        )
