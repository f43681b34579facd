"""``xpnet doctor``: is a GPU usable, and if not, why."""

import argparse
import platform
import sys
from typing import Any

from xpnet.cli.arguments import Subparsers, add_common_arguments
from xpnet.cli.report import print_json, print_table
from xpnet.cli.stopwatch import Stopwatch

__all__ = ["add_parser"]


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="tell whether a GPU is usable, and if not, why",
        description="Tell whether a GPU is usable, and if not, why and how to mend it. The exit"
        " code is 0 if one is, and 5 if not.",
        allow_abbrev=False,
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, _: Stopwatch) -> int:
    """Run the command."""
    from xpnet.arrays.diagnosis import diagnose, gpu_facts

    diagnosis = diagnose(check=True)
    facts = {**_host_facts(), **gpu_facts()}
    verdict = {
        "usable": diagnosis.usable,
        "code": diagnosis.code,
        "message": diagnosis.message,
        "mend": diagnosis.mend,
    }
    if args.json:
        print_json({**verdict, "facts": facts})
    else:
        print_table(
            {
                "gpu": "usable" if diagnosis.usable else "not usable",
                "why": diagnosis.message,
                "mend": diagnosis.mend or "nothing to mend",
                **{
                    # Names in capitals are variables of the environment.
                    name: "not set" if name.isupper() and fact is None else _as_text(fact)
                    for name, fact in facts.items()
                },
            }
        )
    return 0 if diagnosis.usable else 5


def _host_facts() -> dict[str, Any]:
    """Return the versions of what computes on the CPU."""
    import numpy as np
    from threadpoolctl import threadpool_info

    import xpnet

    blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {
        "xpnet": xpnet.__version__,
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
        return ", ".join(f"{name} {value}" for name, value in fact.items())
    return "unknown" if fact is None else str(fact)
