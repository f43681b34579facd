"""The machine's processors."""

import os
import platform
from contextlib import suppress
from pathlib import Path

__all__ = ["processor_name"]


def processor_name() -> str:
    """Return the number and the name of the machine's processors."""
    name = platform.processor() or platform.machine()
    with suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8") as lines:  # Linux
        found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        name = next(found, name)
    return f"{os.cpu_count()} x {name}"
