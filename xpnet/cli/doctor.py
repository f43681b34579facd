"""``xpnet doctor``: diagnosis of a GPU, and the choice of --device auto."""

import argparse
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from xpnet.cli.arguments import add_common_arguments, add_option, file_name, not_negative, positive
from xpnet.cli.data_arguments import DATA_HELP, Data
from xpnet.cli.device_choice import crossover_of
from xpnet.cli.models import ModelOptions, add_file_arguments, read_model
from xpnet.cli.report import Outcome, Stopwatch, network_text, table

# A group of rows starts with each of these.
_FIRST_OF_GROUP: Final = frozenset({"gpu", "device_count", "cupy_version", "tf32", "xpnet"})


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "doctor",
        help="show whether a GPU is usable, and if not, why",
        description="Show whether a GPU is usable, and if not, why and how to fix it. A GPU that"
        " seems usable computes a matrix product, which is compared with that of the CPU.",
        epilog="Exit codes: 0 the GPU is usable, 5 it is not, 2 usage; 3 data and 4 weights,\n"
        "which --explain reads.",
        examples=(
            "doctor",
            "doctor --explain train.csv",
        ),
        common="--device --explain --model --rows --json",
    )
    add = partial(add_option, parser)
    text = "GPU to diagnose, N counts from 0; gpu is gpu:0"
    add("--device gpu|gpu:N", _gpu_index, text, default="gpu")
    text = "show what --device auto would choose for DATA, and from how many rows on a GPU takes"
    text += f" less time: {DATA_HELP}"
    add("--explain DATA", file_name, text, dest="path", nargs="?", const="sample")
    add("--model MODEL", file_name, "network for --explain", default="sample")
    add("--seed N", not_negative, "random seed for --model random", default=0)
    add("--rows N", not_negative, "count the first N images only (default: all)")
    add("--batch-size N", positive, "images computed at a time")
    add_file_arguments(parser)
    add_common_arguments(parser, run)


def _gpu_index(word: str) -> int:
    match = re.fullmatch(r"(?:gpu|cuda)(?::([0-9]{1,9}))?", word)
    if match is None:
        msg = f"must be gpu or gpu:N (N counts from 0); got {word!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(match[1] or 0)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.arrays.gpu.diagnosis import diagnose, gpu_facts

    index: int = args.device
    diagnosis = diagnose(index, check=True)
    report: dict[str, Any] = {
        "usable": diagnosis.usable,
        "code": diagnosis.code,
        "message": diagnosis.message,
        "fix": diagnosis.fix,
        "product_checked": diagnosis.product_error is not None,
        "product_error_in_bounds": diagnosis.product_error,
    }
    if args.path is not None:
        report["explanation"] = _explain(args, index if diagnosis.usable else None)
    report["facts"] = {**gpu_facts(checked=index), **_host_facts()}
    return Outcome(report, _lines(report), 0 if diagnosis.usable else 5)


def _explain(args: argparse.Namespace, gpu: int | None) -> dict[str, Any]:
    """Return what --device auto would choose, and why; `gpu` is None if no GPU is usable."""
    network = read_model(ModelOptions.from_args(args)).network
    n_rows, itemsize = Data(args.path, rows=args.rows).count()
    crossover = crossover_of(network, index=gpu, itemsize=itemsize, batch_size=args.batch_size)
    is_worth_it = n_rows is not None and crossover.favours_gpu(n_rows)
    return {
        "data": args.path,
        "model": args.model,
        "network": network_text(network),
        "rows": n_rows,
        "auto": "gpu" if gpu is not None and is_worth_it else "cpu",
        "reason": crossover.sentence(n_rows),
        "gpu_from_rows": crossover.n_rows,
        "cpu_seconds_per_row": crossover.cpu_seconds,
        "gpu_seconds_per_row": crossover.gpu_seconds,
        "gpu_start_seconds": crossover.start_seconds,
        "gpu_limit": crossover.limit,
        "gpu_is_assumed": gpu is None,
    }


def _host_facts() -> dict[str, Any]:
    """Return the versions of Python, NumPy and its BLAS."""
    import numpy as np
    from threadpoolctl import threadpool_info

    import xpnet
    from xpnet.arrays.gpu.gpu_info import result_or_none

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
        **(_explanation_rows(report["explanation"]) if "explanation" in report else {}),
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


def _explanation_rows(explained: Mapping[str, Any]) -> dict[str, str]:
    reason = explained["reason"]
    if explained["gpu_is_assumed"]:
        reason = f"no GPU is usable; for a small one (12 GB/s, 5 TFLOP/s): {reason}"
    per_row = {name: 1e6 * explained[f"{name}_seconds_per_row"] for name in ("cpu", "gpu")}
    return {
        "auto": f"{explained['auto']} (data: {explained['data']}, model: {explained['model']})",
        "because": reason,
        "network": explained["network"],
        "time per row": f"CPU {per_row['cpu']:.3g} us, measured now; GPU {per_row['gpu']:.3g} us,"
        f" estimated, limited by its {explained['gpu_limit']}",
    }


def _as_text(fact: Any) -> str:
    if isinstance(fact, list | tuple):
        return "; ".join(map(_as_text, fact)) or "none"
    if isinstance(fact, dict):
        return ", ".join(f"{name} {_as_text(value)}" for name, value in fact.items()) or "none"
    return "unknown" if fact is None else str(fact)
