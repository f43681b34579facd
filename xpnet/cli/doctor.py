"""``xpnet doctor``: is a GPU usable, and if not, why."""

import argparse
import math
import platform
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from xpnet.cli.arguments import Subparsers, add_common_arguments
from xpnet.cli.explain import add_explain_arguments, explain, explanation_rows
from xpnet.cli.report import print_json, print_line, print_table
from xpnet.cli.stopwatch import Stopwatch

if TYPE_CHECKING:
    from xpnet.arrays.gpu.gpu_errors import Diagnosis

__all__ = ["add_parser"]

# A group of rows begins with each of these.
_FIRST_OF_GROUP: Final = frozenset({"gpu", "device_count", "cupy_version", "tf32", "xpnet"})


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="tell whether a GPU is usable, and if not, why",
        description="Tell whether a GPU is usable, and if not, why and how to mend it. A GPU that"
        " seems usable computes a matrix product, which is compared with the processor's.",
        epilog="Exit codes: 0 the GPU is usable, 5 it is not, 2 usage; 3 data and 4 weights, which"
        " --explain reads.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--device",
        type=_gpu_index,
        default="gpu",
        metavar="gpu|gpu:N",
        help="which GPU, N counts from 0 (default: %(default)s, the first)",
    )
    add_explain_arguments(parser)
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def _gpu_index(word: str) -> int:
    match = re.fullmatch(r"(?:gpu|cuda)(?::([0-9]{1,9}))?", word)
    if match is None:
        msg = f"must be gpu or gpu:N (N counts from 0); got {word!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(match[1] or 0)


def run(args: argparse.Namespace, _: Stopwatch) -> int:
    """Run the command."""
    from xpnet.arrays.gpu.diagnosis import diagnose, gpu_facts

    diagnosis = diagnose(args.device, check=True)
    explained = None if args.data is None else explain(args, usable=diagnosis.usable)
    args.verdict = 0 if diagnosis.usable else 5  # also if nobody reads to the end
    facts = {**gpu_facts(checked=args.device), **_host_facts()}
    if args.json:
        explanation = {} if explained is None else {"explanation": explained}
        print_json({**_verdict(diagnosis), **explanation, "facts": facts})
    else:
        _print_rows(
            {
                **({} if explained is None else explanation_rows(explained)),
                "gpu": "usable" if diagnosis.usable else "not usable",
                "why": diagnosis.message,
                "mend": diagnosis.fix or "nothing to mend",
                "product": _product_text(diagnosis.product_error),
                **{
                    # Names in capitals are variables of the environment.
                    name: "not set" if name.isupper() and fact is None else _as_text(fact)
                    for name, fact in facts.items()
                },
            }
        )
    code: int = args.verdict
    return code


def _verdict(diagnosis: "Diagnosis") -> dict[str, Any]:
    error = diagnosis.product_error
    return {
        "usable": diagnosis.usable,
        "code": diagnosis.code,
        "message": diagnosis.message,
        "mend": diagnosis.fix,
        "product_checked": error is not None,
        # JSON has no NaN and no infinity, which a wrong product may give.
        "product_error_in_bounds": error if error is None or math.isfinite(error) else None,
    }


def _product_text(error: float | None) -> str:
    if error is None:
        return "not computed"
    return f"x @ weight + bias was computed; its largest error is {error:.3g} of its bound"


def _print_rows(rows: Mapping[str, str]) -> None:
    width = max(map(len, rows))
    group: dict[str, str] = {}
    for name, text in rows.items():
        if name in _FIRST_OF_GROUP and group:
            print_table(group)
            print_line("")
            group = {}
        group[f"{name:{width}}"] = text
    print_table(group)


def _host_facts() -> dict[str, Any]:
    """Return the versions of what computes on the CPU."""
    import numpy as np
    from threadpoolctl import threadpool_info

    import xpnet
    from xpnet.arrays.gpu.gpu_info import result_or_none

    blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {
        "xpnet": result_or_none(lambda: str(xpnet.__version__)),  # a source tree has no version
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": np.__version__,
        "blas": [
            f"{pool['internal_api']} {pool['version']}, kernel {pool.get('architecture')},"
            f" {pool['num_threads']} threads"
            for pool in blas
        ],
        "executable": sys.executable,
    }


def _as_text(fact: Any) -> str:
    if isinstance(fact, list | tuple):
        return "; ".join(map(_as_text, fact)) or "none"
    if isinstance(fact, dict):
        return ", ".join(f"{name} {_as_text(value)}" for name, value in fact.items()) or "none"
    return "unknown" if fact is None else str(fact)
