"""What --device auto would choose, and why: ``xpnet doctor --explain``."""

import argparse
from typing import Any

from xpnet.cli.arguments import DATA_HELP, file_name, not_negative, positive
from xpnet.cli.device_choice import count_rows, crossover_of
from xpnet.cli.models import add_file_arguments, read_model
from xpnet.cli.report import network_text

__all__ = ["add_explain_arguments", "explain", "explanation_rows"]


def add_explain_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --explain, and which work it is about."""
    parser.add_argument(
        "--explain",
        nargs="?",
        const="sample",
        type=file_name,
        dest="data",
        metavar="DATA",
        help="tell what --device auto would choose for DATA, and from how many rows on a GPU takes"
        f" less time: {DATA_HELP}",
    )
    parser.add_argument(
        "--model",
        type=file_name,
        default="sample",
        metavar="MODEL",
        help="by which network (default: sample)",
    )
    parser.add_argument(
        "--seed", type=not_negative, default=0, metavar="N", help="of --model random (default: 0)"
    )
    parser.add_argument(
        "--rows", type=not_negative, metavar="N", help="only the first N images (default: all)"
    )
    parser.add_argument("--batch-size", type=positive, metavar="N", help="images at a time")
    add_file_arguments(parser)


def explain(args: argparse.Namespace, *, usable: bool) -> dict[str, Any]:
    """Return what auto would choose, as JSON knows it."""
    network = read_model(args).network
    n_rows, itemsize = count_rows(args)
    index = args.device if usable else None
    crossover = crossover_of(args, network, index=index, itemsize=itemsize)
    is_worth_it = n_rows is not None and crossover.favours_gpu(n_rows)
    return {
        "data": args.data,
        "model": args.model,
        "network": repr(network),
        "rows": n_rows,
        "auto": "gpu" if usable and is_worth_it else "cpu",
        "reason": crossover.sentence(n_rows),
        "gpu_from_rows": crossover.n_rows,
        "cpu_seconds_per_row": crossover.cpu_seconds,
        "gpu_seconds_per_row": crossover.gpu_seconds,
        "gpu_start_seconds": crossover.start_seconds,
        "gpu_limit": crossover.limit,
        "gpu_is_assumed": not usable,
    }


def explanation_rows(explained: dict[str, Any]) -> dict[str, str]:
    """Return the same as rows of text."""
    start = explained["reason"]
    if explained["gpu_is_assumed"]:
        start = f"no GPU is usable; of a small one (12 GB/s, 5 TFLOP/s): {start}"
    per_row = {name: 1e6 * explained[f"{name}_seconds_per_row"] for name in ("cpu", "gpu")}
    return {
        "auto": f"{explained['auto']} (data: {explained['data']}, model: {explained['model']})",
        "because": start,
        "network": network_text(explained["network"]),
        "a row takes": f"the CPU {per_row['cpu']:.3g} us, as measured now; the GPU"
        f" {per_row['gpu']:.3g} us, as estimated: it waits for its {explained['gpu_limit']}",
    }
