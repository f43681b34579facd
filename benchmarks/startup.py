"""Time of whole processes, from start to exit, until the first labels are there.

    python benchmarks/startup.py --json startup.json -o startup.png

`xpnet evaluate` is divided into Python itself, imports, the command line, loading, computing and
exit. Beside it run xpnet in Python, NumPy by hand, and what is installed of scikit-learn, torch,
ONNX Runtime, OpenVINO and JAX: each imports its library, loads the same network and classifies
the same 1,000 digits once, in a process of its own. All are timed in turn, round by round, after a
warm-up in which their labels are compared and caches become warm: so this is the time of a second
start, not of the first after a reboot. The parts are those of the best round.
"""

import compileall
import json
import os
import pickle
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import harness
import numpy as np
from harness.measuring import spread, turns
from harness.options import make_parser, parse, write_json
from harness.processes import run_python
from harness.provenance import about, headline, n_processors
from harness.registry import RIVALS, missing
from harness.reporting import draw
from harness.rivals.onnx import model_of
from harness.workload import Shape, digits

import xpnet

BAR = 0.4  # seconds; `xpnet evaluate` must stay below
# Of 1,000: rounding decides between classes that are nearly equal; OpenVINO may use bfloat16.
MOST_DIFFERENT = 5
PACKAGES = ("scikit-learn", "torch", "onnxruntime", "openvino", "jax")
OWN = "xpnet evaluate"
NARROW = Shape.parse("784-50-100-10:sigmoid")
WHOLE = {
    "python -c pass": ["-c", "pass"],
    "xpnet evaluate, as typed": ["-m", "xpnet", "evaluate"],
}
PARTS = ("interpreter", "numpy", "library", "command", "loading", "computing", "exit")
# The rivals by their names in the registry.
RIVALS_OF = {
    "xpnet in Python": "xpnet",
    "NumPy by hand": "NumPy by hand",
    "scikit-learn": "scikit-learn",
    "torch": "torch",
    "ONNX Runtime": "ONNX Runtime",
    "OpenVINO": "OpenVINO",
    "JAX": "JAX jit",
}
# The clock is the same for all processes of a machine, so it ends the first part as well.
_BEGIN = """
import time
print("interpreter", time.perf_counter())
import numpy
print("numpy", time.perf_counter())
import importlib, sys
"""
_RIVAL = """
from harness.rivals.base import Folder
modules, file, name, options, folder, device, threads = sys.argv[1:]
for module in modules.split():
    importlib.import_module(module)
kind = getattr(importlib.import_module("harness.rivals." + file), name)
rival = kind(device, int(threads), **eval(options))
print("library", time.perf_counter())
workload = Folder(folder)
label = rival.labeller(workload)
print("loading", time.perf_counter())
print("labels", *label(workload.images).tolist())
print("computing", time.perf_counter())
"""
# Whatever the command imports on its way is imported before.
_EVALUATE = """
with open(sys.argv[1] + "/modules.txt") as names:
    for name in names.read().split():
        importlib.import_module(name)
main = importlib.import_module("xpnet.cli.main").main
print("library", time.perf_counter())
main(["evaluate", "--json", "--device", sys.argv[2]])
print("command", time.perf_counter())
"""
_MODULES = """
import sys, numpy
from xpnet.cli.main import main
main(["evaluate", "--json"])
print(*(name for name, module in sys.modules.items() if getattr(module, "__spec__", None)))
"""


def main() -> int:
    """Run the benchmark."""
    args = parse(make_parser(str(__doc__), 7, picture=True))
    rounds = 1 if args.quick else args.rounds
    facts = about(*PACKAGES, device=args.device)
    print(headline(facts))
    absent = missing({name: RIVALS[rival] for name, rival in RIVALS_OF.items()}, args.device)
    names = [*WHOLE, OWN, *(name for name in RIVALS_OF if name not in absent)]
    with tempfile.TemporaryDirectory() as folder:
        environment = _prepare(Path(folder), names, args.device)
        differing = {
            name: _n_different(name, _start(name, folder, environment, args.device))
            for name in names
        }
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for _, name in turns(range(rounds), names):
            runs[name].append(_start(name, folder, environment, args.device))
    seconds = {
        name: {
            **spread([run["seconds"] for run in each]),
            "parts": min(each, key=lambda run: float(run["seconds"]))["parts"],
        }
        for name, each in runs.items()
    }
    result = {
        "about": facts,
        "rounds": rounds,
        "bar": BAR,
        "seconds": seconds,
        "labels that differ": {name: n for name, n in differing.items() if name not in WHOLE},
        "missing": absent,
    }
    _print_all(result)
    write_json(args.json, result)
    if args.output:
        found = sorted(seconds.items(), key=lambda item: -item[1]["best"])
        parts = {
            part: {x: 1e3 * each["parts"].get(part, 0) for x, each in found if x not in WHOLE}
            for part in PARTS
        }
        title = f"From nothing to 1,000 labels, whole processes; best of {rounds} rounds"
        draw(args.output, result, title, {"milliseconds": parts}, is_stacked=True)
    return 0


def _prepare(folder: Path, names: Sequence[str], device: str) -> dict[str, str]:
    """Fill a folder with code, network and images; return the environment for processes."""
    # As pip installs a package: with its bytecode, which a tree of sources may lack.
    for module in (xpnet, harness):
        source = Path(str(module.__file__)).parent
        shutil.copytree(source, folder / source.name)
    compileall.compile_dir(folder, quiet=2)
    network = xpnet.load("sample")
    np.save(folder / "images.npy", digits(1000)[0])
    xpnet.save(network, folder / "network.safetensors")
    xpnet.save(network, folder / "network.npz")
    parameters = [(layer.weight, layer.bias) for layer in network.layers]
    workload: Any = SimpleNamespace(shape=NARROW, parameters=parameters)
    if {"ONNX Runtime", "OpenVINO"} & {*names}:
        (folder / "network.onnx").write_bytes(model_of(workload))
    if "scikit-learn" in names:
        classifier = xpnet.to_sklearn(xpnet.Network(network.layers))
        (folder / "classifier.pickle").write_bytes(pickle.dumps(classifier))
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    environment = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}
    if device == "cpu":
        environment |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    *_, modules = run_python("-P", "-c", _MODULES, environment=environment).splitlines()
    (folder / "modules.txt").write_text(modules, encoding="utf-8")
    return environment


def _start(name: str, folder: str, environment: dict[str, str], device: str) -> dict[str, Any]:
    """Run a process; return its seconds, in all and by part, and what it found."""
    if name in WHOLE:
        words = WHOLE[name] + ["--device", device] * ("evaluate" in name)
    elif name == OWN:
        words = ["-c", _BEGIN + _EVALUATE, folder, device]
    else:
        entry = RIVALS[RIVALS_OF[name]]
        words = ["-c", _BEGIN + _RIVAL, entry.modules.removesuffix(" onnx"), *entry.path.split(":")]
        words += [repr(entry.options), folder, device, str(n_processors())]
    begun = time.perf_counter()
    # -P: modules in the current folder are not what is measured.
    output = run_python("-P", *words, environment=environment)
    end = time.perf_counter()
    found: dict[str, Any] = {"seconds": end - begun, "parts": {}}
    if name not in WHOLE:
        found |= _divided(begun, end, output)
    return found


def _divided(begun: float, end: float, output: str) -> dict[str, Any]:
    """Return the seconds of each part, and labels or their number that are right."""
    parts: dict[str, float] = {}
    found: dict[str, Any] = {"parts": parts}
    since = begun
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word in PARTS:
            parts[word], since = float(rest) - since, float(rest)
        elif word == "labels":
            found["labels"] = np.asarray(rest.split(), int)
        else:
            report = json.loads(line)
            found["correct"] = report["correct"]
            parts |= {name: report["seconds"][name] for name in ("loading", "computing")}
    if "command" in parts:  # which includes these two
        parts["command"] -= parts["loading"] + parts["computing"]
    parts["exit"] = end - since
    return found


def _n_different(name: str, run: Mapping[str, Any]) -> int:
    """Return the number of labels that differ from xpnet's; raise if rounding cannot explain it."""
    images, truth = digits(1000)
    own = xpnet.predict(xpnet.load("sample"), images)
    n = 0
    if "labels" in run:
        n = int(np.count_nonzero(own != run["labels"]))
    elif "correct" in run:
        n = abs(int(np.count_nonzero(own == truth)) - run["correct"])
    if n > MOST_DIFFERENT:
        msg = f"{name}: {n} labels differ from xpnet's"
        raise RuntimeError(msg)
    return n


def _print_all(result: Mapping[str, Any]) -> None:
    """Print the table, the missing, and whether `xpnet evaluate` is below its bar."""
    seconds: Mapping[str, Any] = result["seconds"]
    print(f"\nmilliseconds; rounds: {result['rounds']}, parts of the best one")
    print(f"{'':26}{'best':>7}{'median':>8} " + "".join(f"{part:>12}" for part in PARTS))
    for name, found in sorted(seconds.items(), key=lambda item: item[1]["best"]):
        cells = (f"{1e3 * found['parts'][x]:.1f}" if x in found["parts"] else "" for x in PARTS)
        parts = "".join(f"{cell:>12}" for cell in cells)
        print(f"{name:26}{1e3 * found['best']:7.0f}{1e3 * found['median']:8.0f} {parts}".rstrip())
    for name, modules in result["missing"].items():
        print(f"{name:26}missing: {modules}")
    differing = {name: n for name, n in result["labels that differ"].items() if n}
    print(f"labels that differ from xpnet's: {differing or 'none'}")
    median = seconds["xpnet evaluate, as typed"]["median"]
    verdict = "below" if median < BAR else "NOT below"
    print(f"xpnet evaluate takes {median:.3f} s by median: {verdict} {BAR} s")


if __name__ == "__main__":
    sys.exit(main())
