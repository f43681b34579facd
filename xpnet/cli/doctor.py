"""``xpnet doctor``: devices that are usable here, and the diagnosis of one."""

import platform
import sys
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from xpnet.cli.device_argument import device_word
from xpnet.cli.options import JSON, Option
from xpnet.cli.report import Outcome

if TYPE_CHECKING:
    from xpnet.arrays.device import Device

HELP = (
    "Show which devices are usable here, and why others are not. A GPU is usable if a matrix"
    " product on it agrees with that of the CPU. The exit code is 0 if the CPU, or the device of"
    " --device, is usable; otherwise 5. To compare more: xpnet parity --devices cpu,DEVICE."
)
EXAMPLES = ("doctor", "doctor --device gpu", "doctor --device torch:cuda")
_DEVICE = "device to diagnose, as in other commands (default: that of each library)"
OPTIONS = [Option("--device DEVICE", device_word, _DEVICE), JSON]


def run(device: str | None = None, **_: object) -> Outcome:
    """Run the command."""
    if device is None:
        verdicts = _listed()
        texts = {x: "; ".join(filter(None, (y["message"], y["fix"]))) for x, y in verdicts.items()}
        return _outcome({"devices": texts}, texts, {}, is_usable=verdicts["cpu"]["usable"])
    from xpnet.arrays.gpu import cupy_config
    from xpnet.arrays.library import library_version

    verdict, found = _examined(device)
    facts: dict[str, Any] = {"device": device, **verdict}
    rows = {
        "device": f"{device}: {'usable' if found else 'not usable'}",
        "why": verdict["message"],
        "fix": verdict["fix"] or None,
    }
    about = {}
    if found is not None:
        about = {"library": found.library, "version": library_version(found.xp)}
        about["hardware"] = found.hardware
    if device.partition(":")[0] in {"cuda", "cupy", "gpu"}:
        facts["cupy_config"] = cupy_config()
    return _outcome(facts, rows, about, is_usable=verdict["usable"])


def _outcome(
    facts: dict[str, Any], rows: dict[str, Any], about: dict[str, Any], *, is_usable: bool
) -> Outcome:
    """Return the report: a verdict, and facts about the device and this machine."""
    about |= _host_facts()
    texts = {name: "; ".join(x) if isinstance(x, list) else x for name, x in about.items()}
    config = facts.get("cupy_config")
    lines = ["", *config.splitlines()] if config else []
    return Outcome({**facts, "facts": about}, rows | texts, lines, 0 if is_usable else 5)


def _listed() -> dict[str, dict[str, Any]]:
    """Return the verdicts on the default devices of all libraries."""
    from xpnet.arrays.libraries import libraries

    words = {"numpy": "cpu", "cupy": "gpu"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that import each other
        return {word: _examined(word)[0] for word in (words.get(x, x) for x in libraries())}


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


def _host_facts() -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    import numpy as np
    from threadpoolctl import threadpool_info

    facts: dict[str, Any] = {"xpnet": None}
    with suppress(PackageNotFoundError):  # a source tree has no version
        facts["xpnet"] = version("xpnet")
    blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return facts | {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": np.__version__,
        "blas": [
            f"{x['internal_api']} {x['version']}, kernel {x.get('architecture')},"
            f" {x['num_threads']} threads"
            for x in blas
        ],
        "executable": sys.executable,
    }
