"""The name of the machine's processors."""

import os
import platform
from itertools import takewhile
from pathlib import Path

__all__ = ["processor_name"]


def processor_name() -> str:
    """Return the number and the name of the machine's processors."""
    facts: dict[str, str] = {}
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            for line in takewhile(str.strip, lines):
                name, _, value = line.partition(":")
                facts[name.strip()] = value.strip()
    except OSError:
        pass
    name = facts.get("model name") or platform.processor() or platform.machine()
    return f"{os.cpu_count()} x {name}"
