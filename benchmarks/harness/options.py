"""Command-line options shared by all benchmarks, and the JSON file for the results."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xpnet
from harness.provenance import processor_kind

NO_DEVICE = 5  # exit code, as of the command `xpnet`


def make_parser(
    about: str, rounds: int | None = None, *, device: str = "cpu", table: bool = False
) -> argparse.ArgumentParser:
    """Return a parser with the shared options, of a script with the docstring `about`."""
    summary, _, details = about.partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--device", choices=("cpu", "gpu"), default=device, help=f"(default: {device})")
    add("--quick", action="store_true", help="small sizes and few rounds, as a smoke test")
    folder = ", or to SCRIPT-PROCESSOR.json if FILE is a folder" if table else ""
    add("--json", metavar="FILE", help=f"write the results to FILE{folder}")
    if rounds is not None:
        add("--rounds", type=positive, default=rounds, help=f"(default: {rounds})")
    if table:
        text = "measure nothing; use the results in files, such as one for each processor"
        add("--table", nargs="+", metavar="FILE", help=text)
        add("--page", metavar="FILE", help="replace the table in FILE")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line; exit with code 5 if `--device gpu` has no usable GPU."""
    args = parser.parse_args()
    if args.device == "gpu" and not getattr(args, "table", None):
        try:
            xpnet.Device("gpu")
        except xpnet.DeviceError as error:
            print(error, file=sys.stderr)
            sys.exit(NO_DEVICE)
    return args


def positive(text: str) -> int:
    """Return a positive integer."""
    number = int(text)
    if number < 1:
        msg = f"must be positive; got {text}"
        raise argparse.ArgumentTypeError(msg)
    return number


def results_of(
    args: argparse.Namespace, measure: Callable[[argparse.Namespace], dict[str, Any]], script: str
) -> list[dict[str, Any]]:
    """Return the results in the files of --table, or measure and write them."""
    if args.table:
        return [json.loads(Path(path).read_text(encoding="utf-8")) for path in args.table]
    result = measure(args)
    write_json(args.json, result, script)
    return [result]


def write_json(path: str | os.PathLike[str] | None, result: Any, script: str = "") -> None:
    """Write results to a file, if there is a path; an interrupted write leaves the old file.

    In a folder, the file is ``SCRIPT-PROCESSOR.json``.
    """
    if path is None:
        return
    target = Path(path)
    if script and target.is_dir():
        target /= f"{script}-{processor_kind(result['about'])}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    part.replace(target)
