"""``xpnet doctor``: devices that are usable here, and why others are not."""

import platform
import sys
import warnings
from contextlib import suppress
from typing import Any

from xpnet.cli.device_argument import device_word
from xpnet.cli.options import JSON, Option
from xpnet.cli.report import Outcome, device_facts, device_text

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
    from xpnet.arrays.gpu import cupy_config
    from xpnet.arrays.libraries import libraries

    words = {"numpy": "cpu", "cupy": "gpu"}
    named = [words.get(library, library) for library in libraries()] if device is None else [device]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that import each other
        verdicts = {word: _verdict(word) for word in named}
    host, config = _host_facts(), None
    if device is not None and device.partition(":")[0] in {"cuda", "cupy", "gpu"}:
        config = cupy_config()
    facts = {"devices": verdicts, "facts": host, "cupy_config": config}
    rows = {word: "; ".join(filter(None, (x["message"], x["fix"]))) for word, x in verdicts.items()}
    lines = ["", *config.splitlines()] if config else []
    return Outcome(facts, rows | host, lines, 0 if verdicts[device or "cpu"]["usable"] else 5)


def _verdict(word: str) -> dict[str, Any]:
    """Return whether and why a device is usable."""
    from xpnet.arrays.device import Device
    from xpnet.arrays.device_errors import DeviceError

    try:
        device = Device(word)
    except DeviceError as e:
        return {"usable": False, "code": e.code, "message": e.message, "fix": e.fix}
    facts = device_facts(device)
    message = f"usable: {device_text(facts)}" + f"; {device.reason}" * (word == "auto")
    return {"usable": True, "code": "usable", "message": message, "fix": "", **facts}


def _host_facts() -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

    import numpy as np
    from threadpoolctl import threadpool_info

    facts: dict[str, str | None] = {"xpnet": None}
    with suppress(PackageNotFoundError):  # a source tree has no version
        facts["xpnet"] = version("xpnet")
    blas = [
        f"{x['internal_api']} {x['version']}, kernel {x.get('architecture')},"
        f" {x['num_threads']} threads"
        for x in threadpool_info()
        if x["user_api"] == "blas"
    ]
    return facts | {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": np.__version__,
        "blas": "; ".join(blas),
        "executable": sys.executable,
    }
