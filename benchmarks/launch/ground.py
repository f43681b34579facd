"""What must lie ready before a clock runs."""

import compileall
import pickle
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import xpnet
from launch.contenders import CONTENDERS, NEEDS
from launch.processes import Runner

__all__ = ["missing", "prepare"]

_EVALUATE = """
import sys, numpy
from xpnet.cli.main import main
main(["evaluate", "--json"])
print(*(name for name, module in sys.modules.items() if getattr(module, "__spec__", None)))
"""


def missing() -> dict[str, str]:
    """Return who cannot run here, and the modules that are not installed."""
    found = {
        name: ", ".join(module for module in modules if find_spec(module) is None)
        for name, modules in NEEDS.items()
    }
    return {name: modules for name, modules in found.items() if modules}


def prepare(folder: Path) -> Runner:
    """Fill a folder with code, network and images; return who runs processes on it."""
    # As pip installs a package: with its bytecode, which a tree of sources may be without.
    for source in (Path(xpnet.__file__).parent, Path(__file__).parent):
        shutil.copytree(source, folder / source.name)
    compileall.compile_dir(folder, quiet=2)
    images, _ = xpnet.sample()
    np.save(folder / "images.npy", images.reshape(len(images), -1))
    network = xpnet.load("sample")
    absent = missing()
    xpnet.save(network, folder / "network.safetensors")
    xpnet.save(network, folder / "network.npz")
    if {"ONNX Runtime", "OpenVINO"} & (CONTENDERS.keys() - absent.keys()):
        xpnet.save(network, folder / "network.onnx")
    if "scikit-learn" not in absent:
        content = pickle.dumps(xpnet.to_sklearn(network))
        (folder / "pipeline.pickle").write_bytes(content)
    runner = Runner(folder)
    *_, names = runner.python("-c", _EVALUATE).splitlines()
    (folder / "modules.txt").write_text(names, encoding="utf-8")
    return runner
