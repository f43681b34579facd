"""Provenance of results: machine, processor, BLAS kernel, versions, commit and date."""

import datetime as dt
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

import xpnet
from harness.processes import Worker
from xpnet.arrays.cpu.processors import cpu_facts

# Environment variables that may change the speed of products or functions, by how they begin.
VARIABLES = ("OMP_NUM_THREADS", "NPY_DISABLE_CPU_FEATURES", "OPENBLAS_", "MKL_")


def about(*packages: str, device: str = "cpu") -> dict[str, Any]:
    """Return the provenance of a run: xpnet, NumPy, other packages, and the GPU if it is used."""
    config: Any = np.show_config(mode="dicts")
    extensions = config["SIMD Extensions"]
    found: dict[str, Any] = {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "commit": _commit(),
        "system": platform.system(),
        "machine": platform.machine(),
        "hardware": xpnet.Device("cpu").hardware,
        "processor": processor(),
        "cpu features": {"numpy": [*extensions["baseline"], *extensions.get("found", [])]},
        "blas": blas(),
        "environment": {x: os.environ[x] for x in sorted(os.environ) if x.startswith(VARIABLES)},
        "versions": _versions("xpnet", "numpy", *packages),
    }
    return found if device == "cpu" else found | {"gpu": gpu_facts()}


def about_workers(*packages: str, device: str = "cpu") -> dict[str, Any]:
    """Return the provenance of a run in worker processes, with the BLAS kernel that they have."""
    with Worker("blas", blas, threads=1) as worker:
        return about(*packages, device=device) | {"blas": worker.ask("copy")}


def headline(facts: dict[str, Any]) -> str:
    """Return the provenance in one line."""
    features = " ".join(facts["cpu features"]["numpy"])
    names = ", ".join(f"{name} {value}" for name, value in facts["versions"].items())
    gpu = f"{facts['gpu']['card']}, driver {facts['gpu']['driver']}, " if "gpu" in facts else ""
    kernel = "{library} {version}, kernel {kernel}".format_map(facts["blas"])
    machine = f"{gpu}{facts['hardware']} ({processor_kind(facts)}; {kernel}; {features})"
    return f"{facts['date']}, {machine}, commit {facts['commit']}; {names}."


def processor() -> dict[str, str]:
    """Return vendor, family and model of the processor."""
    found = cpu_facts()
    return {
        "vendor": found.get("vendor_id") or platform.processor() or "unknown",
        "family": found.get("cpu family", "unknown"),
        "model": found.get("model", "unknown"),
    }


def processor_kind(facts: dict[str, Any]) -> str:
    """Return the kind of processor as a part of file names, such as ``amd-family-26-model-2``."""
    found = facts["processor"]
    vendor = {"AuthenticAMD": "amd", "GenuineIntel": "intel"}.get(found["vendor"], found["vendor"])
    known = [f"{key} {found[key]}" for key in ("family", "model") if found[key] != "unknown"]
    return file_name(" ".join([vendor, *known]))


def file_name(text: str) -> str:
    """Return a string with only letters, digits and hyphens, as in ``nvidia-h100``."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def blas() -> dict[str, str]:
    """Return library, version and kernel of the BLAS that this process loaded first: NumPy's."""
    found = [each for each in threadpool_info() if each["user_api"] == "blas"]
    keys = {"library": "internal_api", "version": "version", "kernel": "architecture"}
    return {name: str((found or [{}])[0].get(key, "unknown")) for name, key in keys.items()}


def gpu_facts() -> dict[str, Any]:
    """Return card, driver and CuPy's version, as ``xpnet doctor`` finds them."""
    command = [sys.executable, "-m", "xpnet", "doctor", "--device", "gpu", "--json"]
    # Exit code 5 means that the GPU is unusable, which is a result here.
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 (our own)
    found = json.loads(done.stdout)["devices"]["gpu"]
    file = Path("/sys/module/nvidia/version")
    return {
        "card": found.get("hardware", "none"),
        "driver": file.read_text("utf-8").strip() if file.exists() else "unknown",
        "cupy": found.get("library_version", "missing"),
    }


def _versions(*packages: str) -> dict[str, str]:
    found = {"python": platform.python_version(), **dict.fromkeys(packages, "missing")}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _commit() -> str:
    """Return the commit of the sources, marked if files differ from it."""
    words = ["describe", "--always", "--exclude=*", "--abbrev=40", "--dirty= with changes"]
    if (git := shutil.which("git")) is None:
        return "unknown"
    done = subprocess.run(  # noqa: S603 (a fixed command)
        [git, "-C", str(Path(__file__).parent), *words], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
