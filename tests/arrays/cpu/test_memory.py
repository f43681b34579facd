"""Reuse of freed host memory."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from xpnet.arrays.cpu.memory import keep_freed_memory

sys.argv[1] == "plain" or keep_freed_memory()
np.ones(3 << 20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(3 << 20, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the malloc of glibc")
@pytest.mark.parametrize("variables", [{}, {"MALLOC_TRIM_THRESHOLD_": "65536"}], ids=str)
def test_pages_of_freed_arrays_do_not_fault_again(variables):  # as in a worker of Dask
    environment = {name: x for name, x in os.environ.items() if not name.startswith("MALLOC_")}
    kept, plain = (
        int(
            subprocess.check_output(
                [sys.executable, "-c", FAULTS, word], env=environment | variables
            )
        )
        for word in ("kept", "plain")
    )
    assert kept < 100
    assert plain > 500
