"""Where a command computes, and in which precision: what was asked for, or is worth it."""

import argparse
from functools import partial
from typing import TYPE_CHECKING

from xpnet.cli.arguments import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from xpnet.arrays.device import Device
    from xpnet.cli.stopwatch import Stopwatch
    from xpnet.inference.cost_model import Crossover
    from xpnet.networks.network import Network

__all__ = ["PRECISIONS", "count_rows", "crossover_of", "in_precision", "open_device"]

PRECISIONS = ("float16", "bfloat16", "float32", "tf32", "float64")


def open_device(
    args: argparse.Namespace,
    stopwatch: "Stopwatch",
    network: "Network | None" = None,
    *,
    rows: tuple[int | None, int] = (None, 1),
    passes: int = 1,
) -> "Device":
    """Return the device of --device; with auto, the one that takes less time.

    Parameters
    ----------
    network : Network, optional
        Of NumPy. Without it, auto does not weigh: the GPU, if it is usable.
    rows : tuple of int
        How many there are, None where nobody knows, and the bytes of a value.
    passes : int, default 1
        As for `xpnet.inference.cost_model.estimate`.

    Raises
    ------
    DeviceError
        If there is no such device.
    UsageError
        If --threads or --precision does not go with it.
    """
    from xpnet.arrays.device import Device
    from xpnet.arrays.matmul_precision import matmul_precision

    precision = getattr(args, "precision", None)
    words = getattr(args, "devices", None) or [args.device]
    is_on_cpu = set(words) == {"cpu"}
    if precision == "tf32" and is_on_cpu:
        msg = f"--precision tf32 is for a GPU; got --device {args.device}"
        raise UsageError(msg)
    if precision in {"float32", "tf32"} and not is_on_cpu:
        args.settings.enter_context(matmul_precision(precision))
    weigh: Callable[[], tuple[bool, str]] | None = None
    if network is not None:
        weigh = partial(_weigh, args, network, rows, passes)
    if getattr(args, "threads", None) is not None:
        weigh = _for_threads
    with stopwatch.measure("startup" if args.device == "cpu" else "device"):
        device = Device(args.device, weigh=weigh)
    if device.name == "cpu" and args.device == "auto":
        stopwatch.move("device", "startup")  # no GPU has started
    if getattr(args, "threads", None) is not None and device.library != "numpy":
        msg = f"--threads is for the CPU; got --device {args.device}"
        raise UsageError(msg)
    return device


def _for_threads() -> tuple[bool, str]:
    return False, "--threads is for it"


def _weigh(
    args: argparse.Namespace, network: "Network", rows: tuple[int | None, int], passes: int
) -> tuple[bool, str]:
    """Tell whether the first GPU takes less time, and why."""
    n_rows, itemsize = rows
    crossover = crossover_of(args, network, index=0, itemsize=itemsize, passes=passes)
    is_worth_it = n_rows is not None and crossover.favours_gpu(n_rows)
    return is_worth_it, crossover.sentence(n_rows)


def crossover_of(
    args: argparse.Namespace,
    network: "Network",
    *,
    index: int | None,
    itemsize: int = 1,
    passes: int = 1,
) -> "Crossover":
    """Return what rows cost on the CPU and on the GPU of this number, or on none in particular."""
    from xpnet.arrays.gpu.gpu_info import peak_rate
    from xpnet.inference.cost_model import estimate

    rate = None if index is None else peak_rate(index)
    return estimate(
        network, itemsize=itemsize, batch_size=args.batch_size, card_rate=rate, passes=passes
    )


def count_rows(args: argparse.Namespace) -> tuple[int | None, int]:
    """Return how many rows DATA has, about, or None where only its end tells; and bytes a value."""
    from xpnet.datasets.preview import count_images

    counted, itemsize = count_images(
        args.data, max_data_bytes=getattr(args, "max_data_bytes", None)
    )
    itemsize = 4 if getattr(args, "floating", False) else itemsize
    if counted is None or args.rows is None:
        return args.rows if counted is None else counted, itemsize
    return min(counted, args.rows), itemsize


def in_precision(args: argparse.Namespace, network: "Network") -> "Network":
    """Return the network in the dtype of --precision; raise UsageError if it cannot be."""
    precision = args.precision
    if precision is None:
        return network
    try:
        return network.astype("float32" if precision == "tf32" else precision)
    except (TypeError, ValueError) as error:
        msg = f"--precision {precision}: {error}"
        raise UsageError(msg) from error
