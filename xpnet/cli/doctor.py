"""``xpnet doctor``: devices that are usable here, and the diagnosis of a GPU."""

import argparse
import platform
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING, Any, Final

from xpnet.cli import exit_codes
from xpnet.cli.arguments import add_common_arguments, add_option
from xpnet.cli.device_argument import device_word
from xpnet.cli.report import Outcome, Stopwatch, table

if TYPE_CHECKING:
    from xpnet.arrays.device import Device

# A group of rows starts with each of these.
_FIRST_OF_GROUP: Final = frozenset({"cpu", "device", "library", "transfers", "xpnet"})


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "doctor",
        help="show which devices are usable, and if a GPU is not, why",
        description="Show which devices are usable here, whether a GPU is, and if not, why and how"
        " to fix it. A GPU is usable if a matrix product on it agrees with that of the CPU."
        " To compare more: xpnet parity --devices cpu,DEVICE.",
        epilog="Exit codes: 0 usable, 5 not usable, 2 usage.",
        examples=("doctor", "doctor --device torch:cuda"),
    )
    text = "device to diagnose, as in other commands"
    add_option(parser, "--device DEVICE", device_word, text, default="gpu")
    add_common_arguments(parser, run)


def run(args: argparse.Namespace, _: Stopwatch) -> Outcome:
    """Run the command."""
    from xpnet.arrays.gpu import cupy_config
    from xpnet.arrays.library import library_version

    verdict, device = _examined(args.device)
    facts: dict[str, Any] = {}
    if device is not None:
        facts = {"library": device.library, "version": library_version(device.xp)}
        facts["hardware"] = device.hardware
    is_gpu = args.device.partition(":")[0] in {"cuda", "cupy", "gpu"}
    report: dict[str, Any] = {"device": args.device, **verdict, "devices": _listed()}
    report["facts"] = {**facts, **_host_facts()}
    if is_gpu:
        report["cupy_config"] = cupy_config()
    code = exit_codes.DEVICE if device is None else exit_codes.DONE
    return Outcome(report, lines=_lines(report), code=code)


def _examined(word: str) -> "tuple[dict[str, Any], Device | None]":
    """Return whether and why a device is usable, as facts, and the device if it is."""
    from xpnet.arrays.device import Device
    from xpnet.arrays.device_errors import DeviceError

    try:
        device = Device(word)
    except DeviceError as e:
        return {"usable": False, "code": e.code, "message": e.message, "fix": e.fix}, None
    message = f"usable: {device.hardware}" + f"; {device.reason}" * (word == "auto")
    return {"usable": True, "code": "usable", "message": message, "fix": ""}, device


def _listed() -> dict[str, str]:
    """Return whether the default device of each library is usable, as text."""
    from xpnet.arrays.libraries import libraries

    words = {"numpy": "cpu", "cupy": "gpu"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that import each other
        found = [words.get(name, name) for name in libraries()]
        verdicts = {word: _examined(word)[0] for word in found}
        return {
            word: "; ".join(filter(None, (x["message"], x["fix"]))) for word, x in verdicts.items()
        }


def _host_facts() -> dict[str, Any]:
    import numpy as np
    from threadpoolctl import threadpool_info

    import xpnet

    version = None
    with suppress(PackageNotFoundError):  # a source tree has no version
        version = xpnet.__version__
    return {
        "xpnet": version,
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
    rows = {
        "device": f"{report['device']}: {'usable' if report['usable'] else 'not usable'}",
        "why": report["message"],
        "fix": report["fix"] or "nothing to fix",
    }
    rows.update(report["devices"])
    rows.update({name: _as_text(fact) for name, fact in report["facts"].items()})
    for i, line in enumerate(table(rows)):
        if i and line.split(maxsplit=1)[0] in _FIRST_OF_GROUP:
            yield ""
        yield line
    if report.get("cupy_config"):
        yield ""
        yield from report["cupy_config"].splitlines()


def _as_text(fact: Any) -> str:
    if isinstance(fact, list | tuple):
        return "; ".join(map(_as_text, fact)) or "none"
    return "unknown" if fact is None else str(fact)
