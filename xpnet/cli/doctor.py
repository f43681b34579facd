"""``xpnet doctor``: diagnosis of a GPU."""

import argparse
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from xpnet.cli import exit_codes
from xpnet.cli.arguments import add_common_arguments, add_option
from xpnet.cli.report import Outcome, Stopwatch, table

# A group of rows starts with each of these.
_FIRST_OF_GROUP: Final = frozenset({"gpu", "device_count", "cupy_version", "tf32", "xpnet"})


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "doctor",
        help="show whether a GPU is usable, and if not, why",
        description="Show whether a GPU is usable, and if not, why and how to fix it. A GPU that"
        " seems usable computes a matrix product, which is compared with that of the CPU.",
        epilog="Exit codes: 0 the GPU is usable, 5 it is not, 2 usage.",
        examples=("doctor", "doctor --device gpu:1"),
    )
    text = "GPU to diagnose, N counts from 0; gpu is gpu:0"
    add_option(parser, "--device gpu|gpu:N", _gpu_index, text, default="gpu")
    add_common_arguments(parser, run)


def _gpu_index(word: str) -> int:
    match = re.fullmatch(r"(?:gpu|cuda)(?::([0-9]{1,9}))?", word)
    if match is None:
        msg = f"must be gpu or gpu:N (N counts from 0); got {word!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(match[1] or 0)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.arrays.gpu.diagnosis import diagnose
    from xpnet.arrays.gpu.gpu_facts import gpu_facts

    index: int = args.device
    diagnosis = diagnose(index, check=True)
    report = {
        "usable": diagnosis.usable,
        "code": diagnosis.code,
        "message": diagnosis.message,
        "fix": diagnosis.fix,
        "product_checked": diagnosis.product_error is not None,
        "product_error_in_bounds": diagnosis.product_error,
        "facts": {**gpu_facts(checked=index), **_host_facts()},
    }
    code = exit_codes.DONE if diagnosis.usable else exit_codes.DEVICE
    return Outcome(report, lines=_lines(report), code=code)


def _host_facts() -> dict[str, Any]:
    """Return the versions of Python, NumPy and its BLAS."""
    import numpy as np
    from threadpoolctl import threadpool_info

    import xpnet
    from xpnet.arrays.gpu.gpu_facts import result_or_none

    return {
        "xpnet": result_or_none(lambda: str(xpnet.__version__)),  # a source tree has no version
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": np.__version__,
        "blas": [
            f"{pool['internal_api']} {pool['version']}, kernel {pool.get('architecture')},"
            f" {pool['num_threads']} threads"
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        ],
        "executable": sys.executable,
    }


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield rows in groups, the texts of all groups aligned."""
    product, error = "not computed", report["product_error_in_bounds"]
    if error is not None:
        product = f"x @ weight + bias was computed; its largest error is {error:.3g} of its bound"
    rows = {
        "gpu": "usable" if report["usable"] else "not usable",
        "why": report["message"],
        "fix": report["fix"] or "nothing to fix",
        "product": product,
    }
    for name, fact in report["facts"].items():
        is_unset = name.isupper() and fact is None  # in capitals: an environment variable
        rows[name] = "not set" if is_unset else _as_text(fact)
    for i, line in enumerate(table(rows)):
        if i and line.split(maxsplit=1)[0] in _FIRST_OF_GROUP:
            yield ""
        yield line


def _as_text(fact: Any) -> str:
    if isinstance(fact, list | tuple):
        return "; ".join(map(_as_text, fact)) or "none"
    if isinstance(fact, dict):
        return ", ".join(f"{name} {_as_text(value)}" for name, value in fact.items()) or "none"
    return "unknown" if fact is None else str(fact)
