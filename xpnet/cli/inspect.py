"""``xpnet inspect``: summary of a file of weights."""

import argparse
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from xpnet.cli.arguments import add_common_arguments, add_option, file_name, positive_integer
from xpnet.cli.fetch import NAMES
from xpnet.cli.report import Outcome, Stopwatch
from xpnet.files.errors import WeightsError

_SHOWN = 40
_METADATA_SHOWN = 200


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "inspect",
        help="summarize a file of weights",
        description="Summarize a file of weights: its arrays by name, dtype and shape, its"
        " metadata, and the operators of ONNX. Large files are not loaded.",
        examples=("inspect model.safetensors", "inspect model.onnx --json"),
    )
    text = "a file of weights, or the word sample, the embedded network"
    parser.add_argument("file", type=file_name, metavar="FILE", help=text)
    text = "largest number of bytes of a pickle or ONNX file"
    add_option(parser, "--max-bytes N", positive_integer, text)
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.formats.load_save import SAMPLE_PATH, summarize
    from xpnet.formats.model_file import LoadOptions

    path = SAMPLE_PATH if args.file == "sample" else Path(args.file)
    if args.file in NAMES or path.is_dir():
        what, hint = "not a file of weights", f"images are shown by xpnet show {args.file}"
        raise WeightsError(what, file=args.file, hint=hint)
    facts = {"file": args.file, "bytes": path.stat().st_size}
    facts |= summarize(path, LoadOptions(max_bytes=args.max_bytes))
    return Outcome(facts, _rows(facts), _array_lines(facts["arrays"]))


def _rows(facts: dict[str, Any]) -> dict[str, str]:
    n_numbers = sum(prod(shape) for *_, shape in facts["arrays"])
    rows = {"file": f"{facts['file']} ({n_numbers:,} numbers, {facts['bytes']:,} bytes)"}
    for name, value in facts.items():
        if name not in {"file", "bytes", "arrays", "metadata"}:
            rows[name] = _as_text(value)
    for name, text in facts["metadata"].items():
        shown = text if len(text) <= _METADATA_SHOWN else f"{text[:_METADATA_SHOWN]} ..."
        rows[f"metadata {name}"] = shown
    return rows


def _array_lines(arrays: list[Any]) -> Iterator[str]:
    width = max((len(name) for name, *_ in arrays[:_SHOWN]), default=0)
    for name, dtype, shape in arrays[:_SHOWN]:
        yield f"  {name:{width}}  {dtype}  {_shape_text(shape) or 'one number'}"
    if len(arrays) > _SHOWN:
        yield f"  ... and {len(arrays) - _SHOWN:,} more arrays"


def _shape_text(shape: list[Any]) -> str:
    return " x ".join(map(str, shape))


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {x}" for name, x in value.items())
    if isinstance(value, list):  # of words, or of names with a shape
        texts = (x if isinstance(x, str) else f"{x[0]} ({_shape_text(x[1])})" for x in value)
        return ", ".join(texts)
    return str(value)
