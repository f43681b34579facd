"""The machine: card, driver, versions, memory; and the name of the file for it."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from provenance import about

from xpnet.arrays.gpu.diagnosis import gpu_facts

__all__ = ["REHEARSED", "default_path", "facts", "free_host_bytes", "n_cores"]
__all__ += ["n_processors", "slug"]

# What a rehearsal says in place of the card.
REHEARSED = "none (rehearsal)"
# Where Linux tells what a container may take.
_CGROUP = Path("/sys/fs/cgroup")
_PACKAGES = ("xpnet", "numpy", "torch", "jax")


def facts(*, is_rehearsal: bool) -> dict[str, Any]:
    """Return what is said of the machine at the top of a result."""
    found, gpu = about(*_PACKAGES), gpu_facts()
    commit = found["commit"]
    return {
        "card": REHEARSED if is_rehearsal else _cards(gpu)[0]["name"],
        "rehearsal": is_rehearsal,
        "driver": "none" if is_rehearsal else _driver(gpu),
        "versions": {
            **found["versions"],
            "cupy": gpu["cupy_version"] or "missing",
            "cuda": gpu["runtime_version"] or "missing",
        },
        "commit": commit,
        "has_changes": commit.endswith(" with changes"),
        "date": found["date"],
        "machine": {
            "system": found["system"],
            "release": platform.release(),
            "hardware": found["hardware"],
            "processors": n_processors(),
            "cores": n_cores(),
            "memory_bytes": _memory("MemTotal"),
            "cards": gpu["devices"],
        },
    }


def n_processors() -> int:
    """Return on how many processors this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def n_cores() -> int:
    """Return how many of them it may keep busy: in a container, these may be fewer."""
    quota, _, period = _told(_CGROUP / "cpu.max").partition(" ")
    if not quota.isdigit() or not period.isdigit():
        return n_processors()
    return max(min(n_processors(), round(int(quota) / int(period))), 1)


def slug(name: str) -> str:
    """Return a name as a part of a file's name.

    Examples
    --------
    >>> slug("NVIDIA H100 80GB HBM3")
    'nvidia-h100-80gb-hbm3'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def default_path(content: dict[str, Any]) -> Path:
    """Return the file in `benchmarks/results` for a result."""
    folder = Path(__file__).parent.parent / "results"
    return folder / f"gpu-{slug(content['card'])}-{content['date']}.json"


def free_host_bytes() -> int:
    """Return how much memory of the host can be taken; a small number where nobody tells."""
    free = _memory("MemAvailable") or 2**31
    limit, used = _told(_CGROUP / "memory.max"), _told(_CGROUP / "memory.current")
    if limit.isdigit() and used.isdigit():
        free = min(free, max(int(limit) - int(used), 0))
    return free


def _cards(gpu: dict[str, Any]) -> list[dict[str, Any]]:
    return [card or {"name": "unknown"} for card in gpu["devices"]] or [{"name": "unknown"}]


def _driver(gpu: dict[str, Any]) -> str:
    """Return the version of the driver, and the newest CUDA that it knows."""
    version = _told(Path("/sys/module/nvidia/version")) or _asked_driver()
    return f"{version} (CUDA {gpu['driver_version']})"


def _told(path: Path) -> str:
    """Return what the system tells in a small file; nothing where it has none."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _asked_driver() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return "unknown"
    words = [program, "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 (fixed)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _memory(name: str) -> int:
    """Return a number of bytes that Linux tells of its memory; 0 where it does not."""
    try:
        with Path("/proc/meminfo").open(encoding="utf-8") as lines:
            return next(int(x.split()[1]) * 1024 for x in lines if x.startswith(f"{name}:"))
    except (OSError, StopIteration):
        return 0
