"""Choice of the device, the precision and the batches of a computation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError, add_option, positive_integer
from xpnet.cli.device_argument import add_device_argument

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from xpnet.arrays.device import Device
    from xpnet.cli.report import Stopwatch
    from xpnet.networks.network import Network

_PRECISIONS = ("float16", "bfloat16", "float32", "float64")


def add_device_arguments(
    parser: "ArgumentParser",
    *,
    batch_size: bool = True,
    threads: bool = True,
    reproducible: bool = False,
    hashes: bool = False,
) -> None:
    """Add --device, --precision and the options for batches and bits that a command has."""
    add_device_argument(parser)
    add = partial(add_option, parser)
    text = "dtype of the computation (default: that of the file)"
    add("--precision", str, text, choices=_PRECISIONS)
    if batch_size:
        text = "images computed at a time (default: chosen for the device)"
        add("--batch-size N", positive_integer, text)
    if threads:
        text = "batches computed at a time on a CPU (default: as many as cores, for 8 or more)"
        add("--threads N", positive_integer, text)
    if reproducible:
        text = "compute results that have the same bits on every device and library, in any batch"
        parser.add_argument("--reproducible", action="store_true", help=text)
    if hashes:
        text = "print a hash of the outputs, such as 9f3c-02ab-77d1-e05b, to compare with that of"
        text += " another device or machine; implies --reproducible"
        parser.add_argument("--hash", action="store_true", help=text)


@dataclass(frozen=True)
class DeviceOptions:
    """The values of `add_device_arguments`, and those of --devices of ``xpnet parity``."""

    device: str = "cpu"
    devices: Sequence[str] = ()
    precision: str | None = None
    batch_size: int | None = None
    threads: int | None = None
    reproducible: bool = False
    hash: bool = False

    @property
    def is_reproducible(self) -> bool:
        """Whether the bits of results are the same everywhere, by --reproducible or --hash."""
        return self.reproducible or self.hash

    def batching(self) -> dict[str, Any]:
        """Return the options of `xpnet.predict` for batches."""
        return {"batch_size": self.batch_size, "threads": self.threads}

    def used_batch_size(self, network: "Network") -> int:
        """Return how many images are computed at a time."""
        from xpnet.inference.chunks import chunk_rows

        return chunk_rows(network, self.batch_size)


def open_device(options: DeviceOptions, stopwatch: "Stopwatch") -> "Device":
    """Return the device of --device; with --threads, auto is the CPU and a GPU is an error."""
    from xpnet.arrays.device import Device

    is_auto = options.device == "auto"
    wants_threads = options.threads is not None
    with stopwatch.measure("startup" if options.device == "cpu" else "device"):
        device = Device("cpu" if is_auto and wants_threads else options.device)
    if is_auto and wants_threads:
        device.reason = "auto chose cpu: --threads is for it"
    if is_auto and device.name == "cpu":
        stopwatch.move("device", "startup")  # no GPU was started
    if wants_threads and device.library != "numpy":
        msg = f"--threads is for the CPU; got --device {options.device}"
        raise UsageError(msg)
    return device


def on_device(network: "Network", device: "Device") -> "Network":
    """Return the network on a device; raise UsageError if the device lacks its dtype."""
    try:
        return network.to(device)
    except TypeError as error:
        msg = f"--device {device}: {error}"
        raise UsageError(msg) from error


def exact_if_asked(network: "Network", options: DeviceOptions) -> "Network":
    """Return the network, reproducible if the options ask for it; UsageError if it cannot be."""
    if not options.is_reproducible:
        return network
    from xpnet.networks.reproducible import reproducible

    try:
        return reproducible(network)
    except (TypeError, ValueError) as error:
        option = "--hash" if options.hash else "--reproducible"
        text = str(error).replace("network.astype('float32')", "--precision float32")
        msg = f"{option}: {text}"
        raise UsageError(msg) from error


def in_precision(network: "Network", precision: str | None) -> "Network":
    """Return the network in the dtype of --precision; raise UsageError if that is impossible."""
    if precision is None:
        return network
    try:
        return network.astype(precision)
    except (TypeError, ValueError) as error:
        msg = f"--precision {precision}: {error}"
        raise UsageError(msg) from error
