"""Time of whole processes, from start to exit, until the first labels are there.

    python benchmarks/startup.py --json startup.json -o startup.png

`xpnet evaluate` is divided into Python itself, imports, the command line, loading, computing and
exit. Beside it run xpnet in Python, NumPy by hand, and what is installed of scikit-learn, torch,
ONNX Runtime, OpenVINO and JAX: each imports its library, loads the same network and classifies
the same 1,000 digits once, in a process of its own; the labels must be xpnet's. All are timed in
turn, round by round, after a warm-up: so this is the time of a second start, not of the first after
a reboot. The parts are those of the best round.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from harness.measuring import spread, turns
from harness.options import make_parser, parse, write_json
from harness.processes import run_python
from harness.provenance import about, headline, n_processors
from harness.registry import RIVALS, missing
from harness.reporting import draw
from harness.rivals.onnx import model_of
from harness.rivals.scikit_learn import classifier_of
from harness.workload import Shape, digits

import xpnet

BAR = 0.4  # seconds; `xpnet evaluate` must stay below
# Of 1,000: rounding decides between classes that are nearly equal; OpenVINO may use bfloat16.
MOST_DIFFERENT = 5
PACKAGES = ("scikit-learn", "torch", "onnxruntime", "openvino", "jax")
PYTHON, TYPED, OWN = "python -c pass", "xpnet evaluate, as typed", "xpnet evaluate"
PARTS = ("interpreter", "numpy", "library", "command", "loading", "computing", "exit")
PART_NAMES = {
    "interpreter": "Python itself",
    "numpy": "import of NumPy",
    "library": "import of the library",
    "command": "command line",
}
LIBRARIES = (
    "xpnet",
    "NumPy by hand",
    "scikit-learn",
    "torch",
    "ONNX Runtime",
    "OpenVINO",
    "JAX jit",
)
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
labels = label(workload.images)
print("computing", time.perf_counter())
print("differ", (labels != numpy.load(folder + "/labels.npy")).sum())
"""
# The command imports most of xpnet when it needs it, so "command" includes these imports.
_EVALUATE = """
from xpnet.cli.main import main
print("library", time.perf_counter())
main(["evaluate", "--json", "--device", sys.argv[1]])
print("command", time.perf_counter())
"""


def main() -> int:
    """Run the benchmark."""
    args = parse(make_parser(str(__doc__), 7, picture=True))
    rounds = 1 if args.quick else args.rounds
    facts = about(*PACKAGES, device=args.device)
    print(headline(facts))
    if args.device == "cpu":
        os.environ |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    absent = missing({name: RIVALS[name] for name in LIBRARIES}, args.device)
    rivals = [name for name in LIBRARIES if name not in absent]
    with tempfile.TemporaryDirectory() as folder:
        _write_files(Path(folder), rivals)
        words = {
            PYTHON: ["-c", "pass"],
            TYPED: ["-m", "xpnet", "evaluate", "--device", args.device],
            OWN: ["-c", _BEGIN + _EVALUATE, args.device],
            **{name: _words(name, folder, args.device) for name in rivals},
        }
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in words}
        for _, name in turns(range(1 + rounds), list(words)):
            runs[name].append(_start(words[name]))
    seconds = {
        name: {
            **spread([run["seconds"] for run in each]),
            "parts": min(each, key=lambda run: float(run["seconds"]))["parts"],
        }
        for name, (_, *each) in runs.items()
    }
    result = {"about": facts, "rounds": rounds, "bar": BAR, "seconds": seconds, "missing": absent}
    _print_all(result)
    write_json(args.json, result)
    if args.output:
        draw_result(args.output, result)
    return 0


def draw_result(path: str | os.PathLike[str], result: Mapping[str, Any]) -> None:
    """Draw the results, as those of a JSON file of this script."""
    found = sorted(result["seconds"].items(), key=lambda item: -item[1]["best"])
    parts = {
        PART_NAMES.get(part, part): {
            x: 1e3 * each["parts"].get(part, 0) for x, each in found if each["parts"]
        }
        for part in PARTS
    }
    title = f"From nothing to 1,000 labels, whole processes; best of {result['rounds']} rounds"
    draw(path, result, title, "milliseconds", parts)


def _write_files(folder: Path, rivals: list[str]) -> None:
    """Write the images, and the network in the formats of the rivals."""
    network = xpnet.load("sample")
    images, _ = digits(1000)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", xpnet.predict(network, images))
    xpnet.save(network, folder / "network.safetensors")
    xpnet.save(network, folder / "network.npz")
    if {"ONNX Runtime", "OpenVINO"} & {*rivals}:
        parameters = [(layer.weight, layer.bias) for layer in network.layers]
        shape = Shape.parse("784-50-100-10:sigmoid")
        model = model_of(SimpleNamespace(shape=shape, parameters=parameters))
        (folder / "network.onnx").write_bytes(model)
    if "scikit-learn" in rivals:
        (folder / "classifier.pickle").write_bytes(classifier_of(network))


def _words(name: str, folder: str, device: str) -> list[str]:
    """Return Python's arguments for a rival."""
    entry = RIVALS[name]
    modules, code = entry.modules.removesuffix(" onnx"), entry.path.split(":")
    given = [repr(entry.options), folder, device, str(n_processors())]
    return ["-c", _BEGIN + _RIVAL, modules, *code, *given]


def _start(words: list[str]) -> dict[str, Any]:
    """Run a process; return its seconds, in all and by part."""
    # Bytecode that a tree of sources lacks is written by the warm-up, as pip does.
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    environment = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": path}
    begun = time.perf_counter()
    # -P: modules in the current folder are not what is measured.
    output = run_python("-P", *words, environment=environment)
    end = time.perf_counter()
    parts: dict[str, float] = {}
    since = begun
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word in PARTS:
            parts[word], since = float(rest) - since, float(rest)
        elif word == "differ" and int(rest) > MOST_DIFFERENT:
            sys.exit(f"{rest} labels differ from xpnet's: {' '.join(words[2:])}")
        elif line.startswith("{"):
            report = json.loads(line)["seconds"]
            parts |= {name: report[name] for name in ("loading", "computing")}
    if "command" in parts:  # which includes these two
        parts["command"] -= parts["loading"] + parts["computing"]
    if parts:
        parts["exit"] = end - since
    return {"seconds": end - begun, "parts": parts}


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
    median = seconds[TYPED]["median"]
    verdict = "below" if median < BAR else "NOT below"
    print(f"xpnet evaluate takes {median:.3f} s by median: {verdict} {BAR} s")


if __name__ == "__main__":
    sys.exit(main())
