"""The machine's processors."""

import os
import platform
from itertools import takewhile
from pathlib import Path

__all__ = ["cpu_facts", "processor_name"]


def cpu_facts() -> dict[str, str]:
    """Return the fields of the first processor in Linux's /proc/cpuinfo, such as "cpu family"."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            pairs = [line.partition(":") for line in takewhile(str.strip, lines)]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in pairs}


def processor_name() -> str:
    """Return the number and the name of the machine's processors."""
    name = cpu_facts().get("model name") or platform.processor() or platform.machine()
    return f"{os.cpu_count()} x {name}"
