"""Time from the start of a process to the first labels, with and without compiled kernels."""

import subprocess
import tempfile
import time

from harness.measuring import spread
from harness.processes import run_python
from harness.session import Session

PARTS = ("imports", "context", "first product", "loading", "first predict")
LONGEST_START = 120.0  # seconds
_START = """
import sys, time
import numpy as np
import xpnet
if sys.argv[1] != "cpu":
    import cupy
print("imports", time.perf_counter())
device = xpnet.Device(sys.argv[1])
x = device.to_device(np.ones((64, 64), np.float32))
device.synchronize()
print("context", time.perf_counter())
y = x @ x
device.synchronize()
print("first product", time.perf_counter())
images, _ = xpnet.sample()
network = xpnet.load("sample", device=device)
print("loading", time.perf_counter())
xpnet.predict(network, images)
print("first predict", time.perf_counter())
xpnet.predict(network, images)
print("second predict", time.perf_counter())
"""


def measure_starts(session: Session) -> None:
    """Start pairs of processes: one that must compile its kernels, and one that finds them."""
    found: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for i in session.rounds("cold_start", session.plan.starts):
        with tempfile.TemporaryDirectory(dir=session.folder) as cache:
            caches = {"CUPY_CACHE_DIR": f"{cache}/cupy", "CUDA_CACHE_PATH": f"{cache}/cuda"}
            for kind, each in found.items():
                # The clock is the same for all processes of a machine.
                start, words = time.perf_counter(), ("-c", _START, session.device.name)
                try:
                    output = run_python(*words, environment=caches, timeout=LONGEST_START)
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    session.skip(f"{kind} start {i + 1}", str(error))
                else:
                    each.append(parts_of(start, output))
    for kind, each in found.items():
        if each:
            parts = {name: spread([x[name] for x in each]) for name in each[0]}
            session.content["cold_start"][kind] = {"starts": len(each), "seconds": parts}
            shown = ", ".join(f"{name} {part['median']:.3f}" for name, part in parts.items())
            session.log(f"{kind} start, median seconds: {shown}")


def parts_of(start: float, output: str) -> dict[str, float]:
    """Return the seconds of each part of a start from the lines that name its end."""
    parts, since = {}, start
    for line in output.splitlines():
        name, _, end = line.rpartition(" ")
        parts[name], since = float(end) - since, float(end)
    return {**parts, "in all": sum(parts[name] for name in PARTS)}
