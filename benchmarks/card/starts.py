"""A cold start: from a fresh process to the first labels, taken apart."""

import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from card.running import Run, spread

__all__ = ["PARTS", "measure_starts"]

# In the order in which they come; the first labels are there when the last one ends.
PARTS = ("imports", "context", "first product", "loading", "first predict")
_LONGEST = 120.0  # seconds

# The clock is one for all processes of a machine, so the first part ends by it as well.
_IN_PARTS = """
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


def measure_starts(run: Run) -> None:
    """Start pairs of processes: one that must compile its kernels, and one that finds them."""
    found: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for i in run.rounds("cold_start", run.plan.starts):
        with tempfile.TemporaryDirectory(dir=run.folder) as cache:
            for kind, each in found.items():
                try:
                    each.append(_started(run.rig.word, cache))
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    run.document.skip(f"{kind} start {i + 1}", str(error))
    for kind, each in found.items():
        if not each:
            continue
        parts = {name: spread([x[name] for x in each]) for name in each[0]}
        run.document.content["cold_start"][kind] = {"starts": len(each), "seconds": parts}
        told = ", ".join(f"{name} {part['median']:.3f}" for name, part in parts.items())
        run.say(f"{kind} start, median seconds: {told}")


def _started(word: str, cache: str) -> dict[str, float]:
    """Return the seconds of each part of a process, and of all up to the first labels."""
    environment: dict[str, Any] = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, sys.path)),
        "CUPY_CACHE_DIR": os.path.join(cache, "cupy"),  # noqa: PTH118 (a variable's text)
        "CUDA_CACHE_PATH": os.path.join(cache, "cuda"),  # noqa: PTH118
    }
    start = time.perf_counter()
    done = subprocess.run(  # noqa: S603 (our own code)
        [sys.executable, "-c", _IN_PARTS, word],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=_LONGEST,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        msg = f"exit code {done.returncode}: {lines[-1]}"
        raise RuntimeError(msg)
    return parts_of(start, done.stdout)


def parts_of(start: float, output: str) -> dict[str, float]:
    """Return the seconds of each part from the lines that tell when it ended."""
    parts, since = {}, start
    for line in output.splitlines():
        name, _, end = line.rpartition(" ")
        parts[name], since = float(end) - since, float(end)
    return {**parts, "in all": sum(parts[name] for name in PARTS)}
