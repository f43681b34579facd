"""Choice of the device, the precision and the batches of a computation."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

from xpnet.cli.arguments import UsageError, positive

if TYPE_CHECKING:
    from collections.abc import Callable

    from xpnet.arrays.device import Device
    from xpnet.cli.report import Stopwatch
    from xpnet.inference.cost_model import Crossover
    from xpnet.networks.network import Network

__all__ = [
    "DeviceOptions",
    "add_device_arguments",
    "chosen_precision",
    "crossover_of",
    "in_precision",
    "open_device",
]

_PRECISIONS = ("float16", "bfloat16", "float32", "tf32", "float64")


def add_device_arguments(
    parser: argparse.ArgumentParser,
    *,
    batch_size: bool = True,
    threads: bool = True,
    batch_invariant: bool = False,
) -> None:
    """Add --device, --precision and the options for batches that a command has."""
    from xpnet.arrays.device import add_device_argument

    add_device_argument(parser)
    parser.add_argument(
        "--precision",
        choices=_PRECISIONS,
        help="dtype of the computation (default: that of the file); tf32 rounds the factors of"
        " float32 products to 10 bits, on a GPU",
    )
    # The values of options that the command lacks.
    parser.set_defaults(batch_size=None, threads=None, batch_invariant=False)
    if batch_size:
        parser.add_argument(
            "--batch-size",
            type=positive,
            metavar="N",
            help="images computed at a time (default: chosen for the device)",
        )
    if threads:
        parser.add_argument(
            "--threads",
            type=positive,
            metavar="N",
            help="batches computed at a time on a CPU (default: the number of cores)",
        )
    if batch_invariant:
        parser.add_argument(
            "--batch-invariant",
            action="store_true",
            help="make the result of an image independent of the rest of its batch, to the bit",
        )


@dataclass(frozen=True)
class DeviceOptions:
    """The values of `add_device_arguments`; a batch size excludes `batch_invariant`."""

    device: str = "cpu"
    precision: str | None = None
    batch_size: int | None = None
    threads: int | None = None
    batch_invariant: bool = False

    def __post_init__(self) -> None:
        if self.batch_invariant and self.batch_size is not None:
            msg = (
                "--batch-invariant chooses how many images are computed at a time: leave out"
                f" --batch-size {self.batch_size}"
            )
            raise UsageError(msg)

    def used_batch_size(self, network: "Network") -> int:
        """Return how many images are computed at a time."""
        from xpnet.inference.batch_invariance import rows_at_a_time
        from xpnet.inference.batches import check_batch_size

        if self.batch_invariant:
            return rows_at_a_time(network)
        return check_batch_size(network, self.batch_size)


@contextmanager
def chosen_precision(options: DeviceOptions, words: Sequence[str] = ()) -> Iterator[None]:
    """Set the precision of matrix products on GPUs to --precision in a ``with`` block.

    `words` are the devices that compute, if not `options.device` alone. Raises UsageError for TF32
    on a CPU alone.
    """
    from xpnet.arrays.matmul_precision import matmul_precision

    is_on_cpu = set(words or [options.device]) == {"cpu"}
    if options.precision == "tf32" and is_on_cpu:
        msg = f"--precision tf32 is for a GPU; got --device {options.device}"
        raise UsageError(msg)
    if options.precision not in {"float32", "tf32"} or is_on_cpu:
        yield
        return
    with matmul_precision(cast("Literal['float32', 'tf32']", options.precision)):
        yield


def open_device(
    options: DeviceOptions,
    stopwatch: "Stopwatch",
    network: "Network | None" = None,
    *,
    rows: tuple[int | None, int] = (None, 1),
    passes: int = 1,
) -> "Device":
    """Return the device of --device; raise DeviceError if it is not usable.

    For auto, it is the one that takes less time for a NumPy `network` and `rows` (their number,
    None if unknown, and bytes per value), in that many `passes` over the layers; without a network,
    the GPU if that is usable. Raises UsageError if --threads is given for a GPU.
    """
    from xpnet.arrays.device import Device

    weigh: Callable[[], tuple[bool, str]] | None = None
    if options.threads is not None:
        weigh = _choose_cpu
    elif network is not None:
        weigh = partial(_weigh, options, network, rows, passes)
    with stopwatch.measure("startup" if options.device == "cpu" else "device"):
        device = Device(options.device, weigh=weigh)
    if device.name == "cpu" and options.device == "auto":
        stopwatch.move("device", "startup")  # no GPU was started
    if options.threads is not None and device.library != "numpy":
        msg = f"--threads is for the CPU; got --device {options.device}"
        raise UsageError(msg)
    return device


def _choose_cpu() -> tuple[bool, str]:
    return False, "--threads is for it"


def _weigh(
    options: DeviceOptions, network: "Network", rows: tuple[int | None, int], passes: int
) -> tuple[bool, str]:
    """Return whether the first GPU takes less time, and the reason."""
    n_rows, itemsize = rows
    crossover = crossover_of(
        network, index=0, itemsize=itemsize, batch_size=options.batch_size, passes=passes
    )
    is_worth_it = n_rows is not None and crossover.favours_gpu(n_rows)
    return is_worth_it, crossover.sentence(n_rows)


def crossover_of(
    network: "Network",
    *,
    index: int | None,
    itemsize: int = 1,
    batch_size: int | None = None,
    passes: int = 1,
) -> "Crossover":
    """Return the cost of a row on the CPU and on GPU `index`, None for a typical GPU."""
    from xpnet.arrays.gpu.gpu_info import peak_rate
    from xpnet.inference.cost_model import estimate

    rate = None if index is None else peak_rate(index)
    return estimate(
        network, itemsize=itemsize, batch_size=batch_size, card_rate=rate, passes=passes
    )


def in_precision(network: "Network", precision: str | None) -> "Network":
    """Return the network in the dtype of --precision; raise UsageError if that is impossible."""
    if precision is None:
        return network
    try:
        return network.astype("float32" if precision == "tf32" else precision)
    except (TypeError, ValueError) as error:
        msg = f"--precision {precision}: {error}"
        raise UsageError(msg) from error
