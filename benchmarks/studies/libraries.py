"""What runs on each array library: xpnet's functions, networks, training, exact bits, test kit.

    python benchmarks/studies/libraries.py --devices dpnp,torch:cpu --json results/libraries.json
    python benchmarks/studies/libraries.py --table libraries.json --page docs/reference/libraries.md

Each word of `--devices` replaces its entry in the file of `--json`, so that libraries in several
environments fill one table. A library that is not known to xpnet is registered here. CuPy needs a
GPU; without one, its entry tells that.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.options import write_json
from harness.provenance import about
from harness.reporting import markdown_table, show_table

import xpnet
from xpnet.testing import parity

os.environ["JAX_ENABLE_X64"] = "1"  # for exact bits
WORDS = (
    *("cpu", "array-api-strict", "torch:cpu", "jax:cpu", "dask", "cupy", "dpnp"),
    *("ndonnx", "cubed", "mlx", "mparray"),
)
FAMILIES = (*("exponentials", "gelu", "losses", "piecewise", "rectifiers", "sigmoids", "softmax"),)
COLUMNS = ("functions", "forward", "predict", "train", "same bits", "test kit")
NOT_KNOWN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "ndonnx": ("ndonnx", lambda x: x.unwrap_numpy()),
    "cubed": ("cubed", lambda x: x.compute()),
    "mparray": ("mparray", lambda x: np.asarray(x._data, dtype=np.float64)),  # noqa: SLF001
}
X = np.linspace(-4.0, 4.0, 24, dtype=np.float32).reshape(4, 6)
IMAGES, LABELS = xpnet.sample()
IMAGES = IMAGES.reshape(len(IMAGES), -1)


def main() -> int:
    """Run the study."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    add = parser.add_argument
    add("--devices", metavar="A,B", default=",".join(WORDS), help="(default: %(default)s)")
    add("--json", metavar="FILE", help="add the results to FILE")
    add("--table", metavar="FILE", help="measure nothing; use the results in FILE")
    add("--page", metavar="FILE", help="replace the table in FILE")
    args = parser.parse_args()
    if args.table:
        found = json.loads(Path(args.table).read_text("utf-8"))
    else:
        known = args.json and Path(args.json).exists()
        found = json.loads(Path(args.json).read_text("utf-8")) if known else {}
        found |= {word: measure(word) for word in args.devices.split(",")}
        write_json(args.json, {word: found[word] for word in WORDS if word in found})
    show_table(args.page, "studies/libraries.py", table(found))
    return 0


def measure(word: str) -> dict[str, Any]:
    """Return the version of a device's library, and what runs on it."""
    facts = about()
    kept = ("date", "commit", "hardware")
    result = {name: facts[name] for name in kept} | {"python": platform.python_version()}
    if word in NOT_KNOWN:
        module, to_numpy = NOT_KNOWN[word]
        xpnet.register_library(word, module, to_numpy=to_numpy)
    try:
        device = xpnet.Device(word)
    except xpnet.DeviceError as error:
        return result | {"unusable": str(error)}
    result["version"] = importlib.metadata.version(device.library)
    checks = (_functions, _forward, _predict, _train, _same_bits, _kit)
    return result | {
        column: _answer(check, device) for column, check in zip(COLUMNS, checks, strict=True)
    }


def table(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table, and of the reasons in words."""
    rows: list[list[str]] = []
    reasons: list[str] = []
    for word, result in found.items():
        cells = []
        for column in COLUMNS:
            # For example "yes", "33 of 33", or "32 of 33: reason".
            answer, _, reason = result.get(column, "").partition(": ")
            text = f"`{word}`, {column}: {reason}" if reason else ""
            if "unusable" in result:
                answer, text = "not run", f"`{word}`: {result['unusable']}"
            if text:
                reasons += [text] * (text not in reasons)
                answer += f" ({reasons.index(text) + 1})"
            cells.append(answer)
        rows.append([f"`{word}`", result.get("version", "not run"), *cells])
    places = (f"{x['date']}, {x['hardware']}, commit {x['commit'][:12]}" for x in found.values())
    lines = markdown_table(["device", "version", *COLUMNS], rows, left=len(COLUMNS) + 2)
    notes = [f"{i}. {reason}" for i, reason in enumerate(reasons, 1)]
    return [f"{'; '.join(dict.fromkeys(places))}.", "", *lines, "", *notes]


def _answer(check: Callable[..., str], *arguments: Any) -> str:
    try:
        return check(*arguments)
    except Exception as error:  # noqa: BLE001 - the reason is the result
        return f"no: {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _close(found: Any, expected: Any, bound: float) -> str:
    error = np.max(np.abs(found - expected))
    return "yes" if error < bound else f"no: off by {error:.3g}"


def _functions(device: xpnet.Device) -> str:
    n_right, n, wrong = 0, 0, dict[str, str]()
    for family in FAMILIES:
        module = importlib.import_module(f"xpnet.functions.{family}")
        for name in module.__all__:
            function = vars(module)[name]
            try:
                expected = function(X)
            except TypeError:  # it needs two arrays
                continue
            if isinstance(expected, np.ndarray):
                answer = _answer(_one, device, function, expected)
                n, n_right = n + 1, n_right + (answer == "yes")
                wrong |= {} if answer == "yes" else {answer[4:]: name}
    reasons = "; ".join(f"{name}: {reason}" for reason, name in wrong.items())
    return f"{n_right} of {n}{f': {reasons}' if reasons else ''}"


def _one(device: xpnet.Device, function: Callable[[Any], Any], expected: Any) -> str:
    y = function(device.asarray(X))
    if xpnet.array_namespace(y) != device.xp:
        return "no: the result is of another library"
    return _close(device.to_numpy(y), expected, 1e-5)


def _forward(device: xpnet.Device) -> str:
    here, rows = xpnet.load("sample"), IMAGES[:200].astype(np.float32)
    return _close(device.to_numpy(here.to(device)(device.asarray(rows))), here(rows), 1e-3)


def _predict(device: xpnet.Device) -> str:
    network = xpnet.load("sample")
    labels = device.to_numpy(xpnet.predict(network.to(device), IMAGES))
    n = np.count_nonzero(labels != xpnet.predict(network, IMAGES))
    return "yes" if n == 0 else f"no: {n} of 1,000 labels differ"


def _train(device: xpnet.Device) -> str:
    scale = xpnet.Scale(1 / 255)
    start = xpnet.init_network([784, 20, 10], activation="sigmoid", preprocessing=scale)
    runs = [xpnet.train(start.to(place), IMAGES, LABELS, epochs=2) for place in ("cpu", device)]
    here, there = (xpnet.evaluate(run.network, IMAGES, LABELS).accuracy for run in runs)
    return "yes" if abs(there - here) <= 0.01 else f"no: accuracy {there:.3f} instead of {here:.3f}"


def _same_bits(device: xpnet.Device) -> str:
    network = xpnet.load("sample")
    here, there = (xpnet.result_hash(network.to(place), IMAGES) for place in ("cpu", device))
    return "yes" if there == here else f"no: hash {there} instead of {here}"


def _kit(device: xpnet.Device) -> str:
    """Test a right function, and one that converts to NumPy, with the kit."""
    name = {"cpu": "numpy"}.get(device.name, device.name)
    parity(backends=["numpy", name], lazy=False)(xpnet.softmax, X)
    if name == "numpy":
        return "yes"
    try:
        parity(backends=[name], lazy=False)(lambda x: np.asarray(device.to_numpy(x)), X)
    except AssertionError:
        return "yes"
    return "no: a function that converts to NumPy passes"


if __name__ == "__main__":
    sys.exit(main())
