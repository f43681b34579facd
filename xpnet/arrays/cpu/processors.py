"""Processors: their name, their kind, and the products in blocks that suit the kind.

Whole products are the default. Nothing is timed at run time, so the same machine always gives the
same bits.
"""

import functools
import os
import platform
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

from xpnet.arrays.cpu.blas_threads import openblas_kernel

__all__ = ["cpu_facts", "processor_name", "rows_in_blocks"]


@functools.cache
def cpu_facts() -> Mapping[str, str]:
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


# By the kernel that OpenBLAS chose, and the vendor and family of the processor. All figures are
# GFLOP/s of one thread in float32: whole products, then blocks (see `blocked_matmul`).
_ROWS_IN_BLOCKS = {
    # Zen 4. 784 x 1024: 18 and 102 for 4 rows, 89 and 112 for 100. 784 x 50: 91 and 100 for 1,000.
    ("SkylakeX", "AuthenticAMD", "25"): 1024,
    # Zen 5. 784 x 1024: 22 and 200 for 4 rows, 190 and 250 for 100, 218 and 235 for 512. 784 x 128:
    # 228 and 246 for 1,000. 784 x 50: 180 and 187 for 1,000.
    ("SkylakeX", "AuthenticAMD", "26"): 1024,
    # Sapphire Rapids. 784 x 1024: 18 and 52 for 4 rows, but 119 and 99 for 100.
    ("SkylakeX", "GenuineIntel", "6"): 12,
}


@functools.cache
def rows_in_blocks() -> int:
    """Return the largest number of rows to multiply in blocks, 0 unless it was measured."""
    facts = cpu_facts()
    kind = (openblas_kernel(), facts.get("vendor_id", ""), facts.get("cpu family", ""))
    return _ROWS_IN_BLOCKS.get(kind, 0)
