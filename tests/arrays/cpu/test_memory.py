"""Reuse of freed host memory."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from xpnet.arrays.cpu.memory import keep_freed_memory

if {keeps}:
    keep_freed_memory()
np.ones(3 << 20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(3 << 20, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the malloc of glibc")
@pytest.mark.parametrize("threshold", [None, "65536"], ids=["plain", "as in a worker of Dask"])
def test_pages_of_freed_arrays_do_not_fault_again(threshold):
    environment = {name: x for name, x in os.environ.items() if not name.startswith("MALLOC_")}
    environment |= {"MALLOC_TRIM_THRESHOLD_": threshold} if threshold else {}
    commands = [[sys.executable, "-c", FAULTS.format(keeps=keeps)] for keeps in (True, False)]
    kept, usual = (subprocess.check_output(x, env=environment, timeout=60) for x in commands)
    assert int(kept) < 100
    assert int(usual) > 500
