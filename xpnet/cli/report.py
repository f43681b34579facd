"""What a command says of its work, for people and for programs."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from xpnet.cli.stopwatch import Stopwatch
from xpnet.cli.streams import standard_output, tell

if TYPE_CHECKING:
    from xpnet.arrays.device import Device
    from xpnet.arrays.transfer_counts import Transfers
    from xpnet.networks.network import Network

_PHASES = {
    "startup": "start-up",
    "device": "start of the GPU",
    "loading": "loading",
    "computing": "computing",
}

__all__ = [
    "describe_work",
    "network_text",
    "print_json",
    "print_line",
    "print_table",
    "tell_of_nonfinite",
    "transfers_text",
    "work_rows",
]


def describe_work(
    args: argparse.Namespace,
    network: "Network",
    device: "Device",
    stopwatch: Stopwatch,
    n_images: int,
    *,
    transfers: "Transfers",
) -> dict[str, Any]:
    """Return what was computed where and how fast, as JSON knows it."""
    from xpnet.arrays.matmul_precision import compute_type
    from xpnet.inference.batch_invariance import rows_at_a_time
    from xpnet.inference.batches import check_batch_size

    seconds = stopwatch.seconds()
    computing = seconds["computing"]
    if args.batch_invariant:
        batch_size = rows_at_a_time(network)
    else:
        batch_size = check_batch_size(network, args.batch_size)
    return {
        "data": args.data,
        "model": args.model,
        "network": repr(network),
        "device": device.name,
        "library": device.library,
        "library_version": device.version,
        "hardware": device.hardware,
        "device_reason": device.reason,
        "compute_type": compute_type(network.layers[0].weight),
        "batch_size": batch_size,
        "batch_invariant": args.batch_invariant,
        "transfers": asdict(transfers),
        "images_per_second": n_images / computing if n_images and computing else None,
        "seconds": seconds,
    }


def network_text(representation: str) -> str:
    """Return what stands in the brackets of ``repr(network)``."""
    return representation.removeprefix("Network(").removesuffix(")")


def work_rows(work: Mapping[str, Any]) -> dict[str, str]:
    """Return the same as rows of text."""
    seconds = work["seconds"]
    shown = {name: seconds[name] for name in _PHASES if seconds[name] or name != "device"}
    rate = work["images_per_second"]
    rows = {
        "device": f"{work['device']} ({work['library']} {work['library_version']},"
        f" {work['hardware']})",
        "network": network_text(work["network"]),
        "speed": f"{'n/a' if rate is None else f'{rate:,.0f}'} images per second,"
        f" in batches of {work['batch_size']:,}",
        "seconds": ", ".join(f"{_PHASES[name]} {s:.3f}" for name, s in shown.items()),
    }
    if work["compute_type"].endswith("TF32"):
        rows["precision"] = work["compute_type"]
    if any(work["transfers"].values()):
        rows["transfers"] = transfers_text(work["transfers"])
    if work["device_reason"].startswith("auto"):
        rows["chosen"] = work["device_reason"]
    return rows


def transfers_text(transfers: Mapping[str, int]) -> str:
    """Return what crossed between host and device as text."""
    return (
        f"{transfers['bytes_to_device']:,} bytes to the device"
        f" in {transfers['copies_to_device']:,} copies,"
        f" {transfers['bytes_to_host']:,} bytes back in {transfers['copies_to_host']:,}"
    )


def print_table(rows: Mapping[str, str]) -> None:
    """Print rows of a name and a text."""
    width = max(map(len, rows))
    for name, text in rows.items():
        print_line(f"{name:{width}}  {text}")


def tell_of_nonfinite(network: "Network", n_nonfinite: int, total: int) -> None:
    """Print on stderr how many images have NaN or infinite outputs, if there are any."""
    from xpnet.inference.nonfinite import nonfinite_text

    if n_nonfinite:
        tell(nonfinite_text(network, n_nonfinite, total, "try --precision {}"))


def print_line(text: str) -> None:
    """Print a line; what the terminal cannot show, as in the names of files, is escaped."""
    from xpnet.files.errors import printable

    with standard_output() as output:
        encoding = getattr(output, "encoding", None) or "utf-8"
        shown = printable(text).encode(encoding, "backslashreplace").decode(encoding)
        print(shown, file=output)


def print_json(result: Mapping[str, Any]) -> None:
    """Print one JSON object; NaN and infinities, which JSON has not, are refused."""
    line = json.dumps(result, allow_nan=False)
    with standard_output() as output:
        print(line, file=output)
