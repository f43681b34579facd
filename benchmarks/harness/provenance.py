"""Provenance of results: machine, versions, commit and date."""

import datetime as dt
import json
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import introspect

import xpnet
from harness.processes import run_python

_CGROUP = Path("/sys/fs/cgroup")  # limits of a container, on Linux


def about(*packages: str, device: str = "cpu") -> dict[str, Any]:
    """Return the provenance of a run: xpnet, NumPy, other packages, and the GPU if it is used."""
    found: dict[str, Any] = {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "commit": _commit(),
        "system": platform.system(),
        "machine": platform.machine(),
        "hardware": xpnet.Device("cpu").hardware,
        "cpu features": _cpu_features(),
        "versions": _versions("xpnet", "numpy", *packages),
    }
    return found if device == "cpu" else found | {"gpu": gpu_facts()}


def headline(facts: dict[str, Any]) -> str:
    """Return the provenance in one line."""
    features = " ".join(facts["cpu features"]["numpy"])
    names = ", ".join(f"{name} {value}" for name, value in facts["versions"].items())
    gpu = f"{facts['gpu']['card']}, driver {facts['gpu']['driver']}, " if "gpu" in facts else ""
    machine = f"{gpu}{facts['hardware']} ({features})"
    return f"{facts['date']}, {machine}, commit {facts['commit']}; {names}."


def is_installed(package: str) -> bool:
    """Return whether a distribution is installed."""
    return _versions(package)[package] != "missing"


def gpu_facts() -> dict[str, Any]:
    """Return card, driver and CUDA versions, as ``xpnet doctor --json`` finds them."""
    # Exit code 5 means that the GPU is unusable, which is a result here.
    found = json.loads(run_python("-m", "xpnet", "doctor", "--json", codes=(0, 5)))["facts"]
    cards = [card or {"name": "unknown"} for card in found["devices"]] or [{"name": "none"}]
    driver = _read(Path("/sys/module/nvidia/version")) or _driver_by_nvidia_smi()
    return {
        "card": cards[0]["name"],
        "driver": f"{driver} (CUDA {found['driver_version']})",
        "cupy": found["cupy_version"] or "missing",
        "cuda": found["runtime_version"] or "missing",
        "cards": found["devices"],
    }


def n_processors() -> int:
    """Return the number of processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def n_cores() -> int:
    """Return the number of processors that this process may keep busy under a container's quota."""
    quota, _, period = _read(_CGROUP / "cpu.max").partition(" ")
    if not quota.isdigit() or not period.isdigit():
        return n_processors()
    return max(min(n_processors(), round(int(quota) / int(period))), 1)


def free_host_bytes() -> int:
    """Return the host memory that is free, 2 GiB if the system does not report it."""
    free = _memory("MemAvailable") or 2**31
    limit, used = _read(_CGROUP / "memory.max"), _read(_CGROUP / "memory.current")
    if limit.isdigit() and used.isdigit():
        free = min(free, max(int(limit) - int(used), 0))
    return free


def total_host_bytes() -> int:
    """Return the host memory, 0 if the system does not report it."""
    return _memory("MemTotal")


def _versions(*packages: str) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def _cpu_features() -> dict[str, Any]:
    """Return the CPU features that NumPy uses, and the loops it selected for its primitives."""
    config: Any = np.show_config(mode="dicts")
    extensions = config["SIMD Extensions"]
    names = "^(exp|expm1|log|log1p|tanh)$"
    functions = introspect.opt_func_info(func_name=names, signature="float32")
    return {
        "numpy": [*extensions["baseline"], *extensions.get("found", [])],
        "loops": {
            name: loop["current"] for name, found in functions.items() for loop in found.values()
        },
    }


def _commit() -> str:
    """Return the commit of the sources, marked if files differ from it."""
    words = ["describe", "--always", "--exclude=*", "--abbrev=40", "--dirty= with changes"]
    return _output("git", "-C", str(Path(__file__).parent), *words) or "unknown"


def _driver_by_nvidia_smi() -> str:
    words = ("--query-gpu=driver_version", "--format=csv,noheader", "--id=0")
    return _output("nvidia-smi", *words) or "unknown"


def _output(program: str, *words: str) -> str:
    """Return what a program prints; an empty string if it is missing or fails."""
    path = shutil.which(program)
    if path is None:
        return ""
    done = subprocess.run(  # noqa: S603 (fixed commands)
        [path, *words], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _memory(name: str) -> int:
    """Return a number of bytes from /proc/meminfo, 0 if it is missing."""
    lines = _read(Path("/proc/meminfo")).splitlines()
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith(f"{name}:")), 0)
