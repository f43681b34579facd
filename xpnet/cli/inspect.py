"""``xpnet inspect``: what is in a file, of weights or of images."""

import argparse
from pathlib import Path
from typing import Any

from xpnet.cli.arguments import (
    Subparsers,
    add_column_arguments,
    add_common_arguments,
    add_limit_argument,
    file_name,
    positive,
)
from xpnet.cli.report import print_json, print_line, print_table
from xpnet.cli.stopwatch import Stopwatch

__all__ = ["add_parser"]

_SHOWN = 40
_METADATA_SHOWN = 200


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "inspect",
        help="show what is in a file of weights or images",
        description="Show what is in a file: the arrays of weights by name, dtype and shape, the"
        " operators of ONNX; or the images of a data set, their shape, dtype and labels. Large"
        " files are not loaded.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "file", type=file_name, metavar="FILE", help="any file of weights or images"
    )
    parser.add_argument(
        "--max-bytes", type=positive, metavar="N", help="how large pickles and ONNX may be"
    )
    add_column_arguments(parser)
    add_limit_argument(parser)
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, _: Stopwatch) -> int:
    """Run the command."""
    facts = {"file": args.file, **_facts(args)}
    if args.json:
        print_json(facts)
    else:
        _print(facts)
    return 0


def _facts(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the file holds: weights, or else images."""
    from xpnet.datasets.preview import preview
    from xpnet.files.errors import DataError, WeightsError
    from xpnet.formats.format_table import detect_format
    from xpnet.formats.load_save import SAMPLE_PATH, summarize
    from xpnet.formats.model_file import LoadOptions

    path = SAMPLE_PATH if args.file == "sample" else Path(args.file)
    limit = args.max_data_bytes
    size = path.stat().st_size
    try:
        name = detect_format(path).name
    except WeightsError as no_weights:
        try:
            names = ("delimiter", "label", "header", "max_data_bytes")
            columns = {name: getattr(args, name) for name in names}
            return {"bytes": size, **preview(path, **columns)}
        except DataError as error:
            raise error from no_weights
    if name == "npz":  # which may hold either
        try:
            return {
                "bytes": size,
                **summarize(path, LoadOptions()),
                **preview(path, max_data_bytes=limit),
            }
        except DataError:
            pass
    return {"bytes": size, **summarize(path, LoadOptions(max_bytes=args.max_bytes))}


def _print(facts: dict[str, Any]) -> None:
    rows = {"file": f"{facts['file']} ({facts['bytes']:,} bytes)"}
    for name, value in facts.items():
        if name not in {"file", "bytes", "arrays", "metadata"}:
            rows[name] = _as_text(value)
    for name, text in facts.get("metadata", {}).items():
        shown = text if len(text) <= _METADATA_SHOWN else f"{text[:_METADATA_SHOWN]} ..."
        rows[f"metadata {name}"] = shown
    print_table(rows)
    arrays = facts.get("arrays", [])
    width = max((len(name) for name, *_ in arrays[:_SHOWN]), default=0)
    for name, dtype, shape in arrays[:_SHOWN]:
        form = " x ".join(map(str, shape)) or "one number"
        print_line(f"  {name:{width}}  {dtype}  {form}")
    if len(arrays) > _SHOWN:
        print_line(f"  ... and {len(arrays) - _SHOWN:,} more arrays")


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {x}" for name, x in value.items())
    if isinstance(value, list):
        return ", ".join(_of_list(x) for x in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _of_list(value: Any) -> str:
    if isinstance(value, list):
        name, shape = value
        return f"{name} ({' x '.join(map(str, shape))})"
    return str(value)
