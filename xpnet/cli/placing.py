"""Where a command computes, and in which precision: what was asked for, or is worth it."""

import argparse
from functools import partial
from typing import TYPE_CHECKING

from xpnet.cli.arguments import UsageError

if TYPE_CHECKING:
    from xpnet.arrays.device import Device
    from xpnet.cli.stopwatch import Stopwatch
    from xpnet.inference.crossover import Crossover
    from xpnet.networks.network import Network

__all__ = ["PRECISIONS", "count_rows", "crossover_of", "in_precision", "open_device"]

PRECISIONS = ("float16", "bfloat16", "float32", "tf32", "float64")
# Of a pixel in a CSV file, as MNIST's take them.
_CSV_BYTES = 2.4


def open_device(
    args: argparse.Namespace,
    stopwatch: "Stopwatch",
    network: "Network | None" = None,
    *,
    n_rows: int | None = None,
    passes: int = 1,
) -> "Device":
    """Return the device of --device; with auto, the one that takes less time.

    Parameters
    ----------
    network : Network, optional
        Of NumPy. Without it, auto does not weigh: the GPU, if it is usable.
    n_rows : int, optional
        None where nobody knows.
    passes : int, default 1
        As for `xpnet.inference.crossover.estimate`.

    Raises
    ------
    DeviceError
        If there is no such device.
    UsageError
        If --threads or --precision does not go with it.
    """
    from xpnet.arrays.device import Device
    from xpnet.arrays.precision import matmul_precision

    precision = getattr(args, "precision", None)
    is_on_cpu = args.device == "cpu" and not getattr(args, "devices", None)
    if precision == "tf32" and is_on_cpu:
        msg = f"--precision tf32 is for a GPU; got --device {args.device}"
        raise UsageError(msg)
    if precision in {"float32", "tf32"} and not is_on_cpu:
        args.settings.enter_context(matmul_precision(precision))
    weigh = None if network is None else partial(_weigh, args, network, n_rows, passes)
    with stopwatch.measure("startup" if args.device == "cpu" else "device"):
        device = Device(args.device, weigh=weigh)
    if device.name == "cpu" and args.device == "auto":
        stopwatch.move("device", "startup")  # no GPU has started
    if getattr(args, "threads", None) is not None and device.library != "numpy":
        msg = f"--threads is for the CPU; got --device {args.device}"
        raise UsageError(msg)
    return device


def _weigh(
    args: argparse.Namespace, network: "Network", n_rows: int | None, passes: int
) -> tuple[bool, str]:
    """Tell whether the first GPU takes less time, and why."""
    crossover = crossover_of(args, network, index=0, passes=passes)
    is_worth_it = n_rows is not None and crossover.favours_gpu(n_rows)
    return is_worth_it, crossover.sentence(n_rows)


def crossover_of(
    args: argparse.Namespace, network: "Network", *, index: int | None, passes: int = 1
) -> "Crossover":
    """Return what rows cost on the CPU and on the GPU of this number, or on none in particular."""
    from xpnet.arrays.facts import peak_rate
    from xpnet.inference.crossover import estimate

    rate = None if index is None else peak_rate(index)
    return estimate(network, batch_size=args.batch_size, card_rate=rate, passes=passes)


def count_rows(args: argparse.Namespace, n_in: int) -> int | None:
    """Return how many rows of DATA there are, about; None where only its end tells."""
    from xpnet.datasets.preview import count_images

    counted = count_images(args.data, row_bytes=_CSV_BYTES * n_in)
    if counted is None or args.rows is None:
        return args.rows if counted is None else counted
    return min(counted, args.rows)


def in_precision(args: argparse.Namespace, network: "Network") -> "Network":
    """Return the network in the dtype of --precision."""
    precision = args.precision
    if precision is None:
        return network
    try:
        return network.astype("float32" if precision == "tf32" else precision)
    except TypeError as error:
        msg = f"--precision {precision}: {error}"
        raise UsageError(msg) from error
