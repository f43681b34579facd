"""One process, from its start to its exit, and the parts of its time."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PARTS", "TYPED", "Run", "Runner"]

# In the order in which they come.
PARTS = {
    "interpreter": "Python itself",
    "numpy": "import of NumPy",
    "library": "import of the library",
    "command": "command line",
    "loading": "loading",
    "computing": "computing",
    "exit": "exit",
}
# What has no parts.
TYPED = {
    "python -c pass": ["-c", "pass"],
    "xpnet evaluate, as typed": ["-m", "xpnet", "evaluate"],
}

# The clock is one for all processes of a machine, so the first part ends by it as well.
_IN_PARTS = """
import time
print("interpreter", time.perf_counter())
import numpy
print("numpy", time.perf_counter())
import sys
from launch.contenders import CONTENDERS
for part in CONTENDERS[sys.argv[1]](sys.argv[2]):
    print(part, time.perf_counter())
"""


@dataclass(frozen=True)
class Run:
    """The seconds of a process, by part where it has parts, and what it found out."""

    seconds: float
    parts: dict[str, float]
    labels: list[int] | None = None
    n_correct: int | None = None


class Runner:
    """Starts processes that import what is in a folder, before anything else of that name.

    They may write bytecode, as is usual, and see no GPU.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = [str(folder), os.environ.get("PYTHONPATH", "")]
        self._environment = {
            **{key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "CUDA_VISIBLE_DEVICES": "",
            "JAX_PLATFORMS": "cpu",
        }

    def run(self, name: str) -> Run:
        """Run what has this name."""
        words = TYPED.get(name) or ["-c", _IN_PARTS, name, str(self.folder)]
        start = time.perf_counter()
        output = self.python(*words)
        end = time.perf_counter()
        return Run(end - start, {}) if name in TYPED else _taken_apart(start, end, output)

    def python(self, *words: str) -> str:
        """Run Python; return its output."""
        # -P: what lies in the current folder is not what is measured.
        done = subprocess.run(  # noqa: S603 (our own code)
            [sys.executable, "-P", *words],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment,
        )
        if done.returncode:
            msg = f"{words[-2:]} failed with exit code {done.returncode}:\n{done.stderr}"
            raise RuntimeError(msg)
        return done.stdout


def _taken_apart(start: float, end: float, output: str) -> Run:
    """Return a process from what it printed: names of parts with their ends, and its result."""
    parts: dict[str, float] = {}
    found: dict[str, Any] = {}
    since = start
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word in PARTS:
            parts[word], since = float(rest) - since, float(rest)
        elif word == "labels":
            found["labels"] = [int(label) for label in rest.split()]
        else:
            report = json.loads(line)
            found["n_correct"] = report["correct"]
            parts |= {name: report["seconds"][name] for name in ("loading", "computing")}
    if "command" in parts:  # the two are inside
        parts["command"] -= parts["loading"] + parts["computing"]
    parts["exit"] = end - since
    return Run(end - start, parts, **found)
