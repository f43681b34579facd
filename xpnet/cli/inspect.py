"""``xpnet inspect``: summary of a file of weights or images."""

import argparse
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import add_common_arguments, add_option, file_name, positive_integer
from xpnet.cli.data_arguments import Data, add_format_arguments
from xpnet.cli.report import Outcome, Stopwatch
from xpnet.files.errors import DataError, WeightsError

if TYPE_CHECKING:
    from xpnet.datasets.read_options import ReadOptions

_SHOWN = 40
_METADATA_SHOWN = 200


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "inspect",
        help="summarize a file of weights or images",
        description="Summarize a file: the arrays of weights by name, dtype and shape, the"
        " operators of ONNX; or the images of a data set, their shape, dtype and labels. Large"
        " files are not loaded.",
        examples=("inspect train.csv", "inspect model.onnx --json"),
    )
    text = "any file of weights or images, a folder of images, mnist or fashion-mnist"
    parser.add_argument("file", type=file_name, metavar="FILE", help=text)
    text = "largest number of bytes of a pickle or ONNX file"
    add_option(parser, "--max-bytes N", positive_integer, text)
    add_format_arguments(parser)
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.datasets.locate import locate
    from xpnet.formats.load_save import SAMPLE_PATH

    located: Any = SAMPLE_PATH
    options = Data.from_args(args, args.file).fetched()
    if args.file != "sample":
        located, options = locate(args.file, options)
    path = Path(located)
    facts = {"file": args.file, "bytes": path.stat().st_size}
    facts |= _summary(path, options, max_bytes=args.max_bytes)
    return Outcome(facts, _rows(facts), _array_lines(facts.get("arrays", [])))


def _summary(path: Path, options: "ReadOptions", *, max_bytes: int | None) -> dict[str, Any]:
    """Return the facts about a file of weights, or else of images."""
    from xpnet.datasets.preview import preview
    from xpnet.formats.format_table import detect_weight_format
    from xpnet.formats.load_save import summarize
    from xpnet.formats.model_file import LoadOptions

    if path.is_dir():
        return preview(path, options)
    try:
        name = detect_weight_format(path).name
    except WeightsError:
        return preview(path, options)
    if name == "npz":  # may contain weights or images
        try:
            images = preview(path, options)
            return {**summarize(path, LoadOptions()), **images}
        except DataError:
            pass
    return summarize(path, LoadOptions(max_bytes=max_bytes))


def _rows(facts: dict[str, Any]) -> dict[str, str]:
    n_images, arrays = facts.get("images"), facts.get("arrays", [])
    count = f"{sum(prod(shape) for *_, shape in arrays):,} numbers, " if arrays else ""
    count = count if n_images is None else f"{n_images:,} images, "
    rows = {"file": f"{facts['file']} ({count}{facts['bytes']:,} bytes)"}
    for name, value in facts.items():
        if name not in {"file", "bytes", "arrays", "metadata"}:
            rows[name] = _TEXTS.get(name, _as_text)(value)
    for name, text in facts.get("metadata", {}).items():
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


def _header_text(header: dict[str, Any] | None) -> str:
    if header is None:
        return "none"
    numbers = header.get("numbers")
    return f"line {header['line']}" + (f", numbers from {_range(numbers)}" if numbers else "")


def _labels_text(labels: dict[str, Any] | None) -> str:
    if labels is None:
        return "none"
    first = f": {', '.join(map(str, labels['first']))} ..." if "first" in labels else ""
    return labels["place"] + first + (f" ({labels['evidence']})" if "evidence" in labels else "")


def _range(limits: list[Any] | None) -> str:
    return "not read" if limits is None else f"{limits[0]:g} to {limits[1]:g}"


# Facts of which the text is not that of their values.
_TEXTS: dict[str, Callable[[Any], str]] = {
    "images": lambda n: "not counted" if n is None else f"{n:,}",
    "shape": _shape_text,
    "range": _range,
    "header": _header_text,
    "labels": _labels_text,
}


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {x}" for name, x in value.items())
    if isinstance(value, list):
        # A list holds words, or names with a shape.
        named = (x if isinstance(x, list) else (x, None) for x in value)
        return ", ".join(
            str(name) if shape is None else f"{name} ({_shape_text(shape)})"
            for name, shape in named
        )
    return f"{value:,}" if isinstance(value, int) else str(value)
