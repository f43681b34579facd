"""What runs on each array library: xpnet's functions, networks, training, exact bits, test kit.

    python benchmarks/libraries.py --devices dpnp,torch:cpu --json benchmarks/results/libraries.json
    python benchmarks/libraries.py --table libraries.json --page docs/reference/libraries.md

Each word of `--devices` replaces its entry in the file of `--json`, so that libraries in several
environments fill one table.
"""

import argparse
import json
import os
from collections.abc import Callable
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
from harness import about, make_parser, markdown_table, run

import xpnet
from xpnet.functions.activations import ACTIVATIONS
from xpnet.testing import parity

os.environ["JAX_ENABLE_X64"] = "1"  # for exact bits
WORDS = "cpu,array-api-strict,torch:cpu,jax:cpu,dask,cupy,dpnp,ndonnx,cubed,mlx,mparray"
REGISTERED: dict[str, Callable[[Any], Any]] = {  # to NumPy
    "ndonnx": lambda x: x.unwrap_numpy(),
    "cubed": lambda x: x.compute(),
    "mparray": lambda x: np.asarray(vars(x)["_data"], dtype=np.float64),
}
X = np.linspace(-4.0, 4.0, 24, dtype=np.float32).reshape(4, 6)
NETWORK, (IMAGES, LABELS) = xpnet.load("sample"), xpnet.sample()
ROWS = IMAGES[:200].reshape(200, -1).astype(np.float32)
CPU, SCALE = xpnet.Device("cpu"), xpnet.Scale(1 / 255)


def _apply(name: str, device: xpnet.Device) -> Any:
    y = getattr(xpnet, name)(device.asarray(X))
    if xpnet.array_namespace(y) != device.xp:
        msg = "the result is of another library"
        raise TypeError(msg)
    return y


def _accuracy(device: xpnet.Device) -> Any:
    start = xpnet.init_network([784, 20, 10], activation="sigmoid", preprocessing=SCALE)
    trained = xpnet.train(start.to(device), IMAGES, LABELS, epochs=2).network
    return np.asarray(xpnet.evaluate(trained, IMAGES, LABELS).accuracy)


# What is computed on a device and on NumPy, and how much the results may differ.
FUNCTIONS = {x: (partial(_apply, x), 1e-5) for x in {*ACTIVATIONS, "logsumexp"} - {"linear"}}
CHECKS: dict[str, tuple[Callable[[xpnet.Device], Any], float]] = {
    "forward": (lambda device: NETWORK.to(device)(device.asarray(ROWS)), 1e-3),
    "predict": (lambda device: xpnet.predict(NETWORK.to(device), ROWS), 0.5),
    "train": (_accuracy, 0.01),
    "same bits": (lambda device: xpnet.result_hash(NETWORK.to(device), IMAGES), 0.0),
}
COLUMNS = ["functions", *CHECKS, "test kit"]


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(str(__doc__))
    parser.add_argument("--devices", metavar="A,B", default=WORDS, help="(default: %(default)s)")
    run("libraries.py", parser.parse_args(), measure, markdown)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return the version of each device's library, and what runs on it."""
    is_known = args.json and args.json.exists()
    found: dict[str, Any] = json.loads(args.json.read_text("utf-8")) if is_known else {}
    for word in ["cpu"] if args.quick else args.devices.split(","):
        if word in REGISTERED:
            xpnet.register_library(word, word, to_numpy=REGISTERED[word])
        found[word] = {x: y for x, y in about().items() if x in {"date", "commit", "hardware"}}
        try:
            device = xpnet.Device(word)
        except xpnet.DeviceError as error:
            found[word]["unusable"] = str(error)
            continue
        found[word]["version"] = metadata.version(device.library)
        answers = {x: _answer(_compare, device, *FUNCTIONS[x]) for x in sorted(FUNCTIONS)}
        wrong = "; ".join(f"{x}{answer[2:]}" for x, answer in answers.items() if answer != "yes")
        n, n_right = len(answers), list(answers.values()).count("yes")
        found[word]["functions"] = f"{n_right} of {n}" + (f": {wrong}" if wrong else "")
        found[word] |= {x: _answer(_compare, device, *given) for x, given in CHECKS.items()}
        found[word]["test kit"] = _answer(_kit, device)
    return found


def _answer(check: Callable[..., str], *arguments: Any) -> str:
    try:
        return check(*arguments)
    except Exception as error:  # noqa: BLE001 (the reason is the result)
        text = " ".join(str(error).split())[:200]
        return f"no: {type(error).__name__}" + (f": {text}" if text else "")


def _compare(device: xpnet.Device, compute: Callable[[xpnet.Device], Any], bound: float) -> str:
    here, there = compute(CPU), compute(device)
    if isinstance(here, str):
        return "yes" if there == here else f"no: {there} instead of {here}"
    error = np.max(np.abs(device.to_numpy(there) - here))
    return "yes" if error <= bound else f"no: off by {error:.3g}"


def _kit(device: xpnet.Device) -> str:
    name = "numpy" if device.name == "cpu" else device.name
    parity(backends=["numpy", name], lazy=False)(xpnet.softmax, X)
    try:
        parity(backends=[name], lazy=False)(lambda x: np.asarray(device.to_numpy(x)), X)
    except AssertionError:
        return "yes"
    return "yes" if name == "numpy" else "no: a function that converts to NumPy passes"


def markdown(found: dict[str, Any]) -> list[str]:
    """Return the provenance, the table, and the reasons."""
    rows, notes = [], []
    for word, result in found.items():
        if "unusable" in result:
            notes.append(f"- `{word}`: {result['unusable']}")
        # For example "yes", "23 of 23", or "22 of 23: reason".
        answers = {x: result.get(x, "not run").partition(": ") for x in COLUMNS}
        notes += [f"- `{word}`, {x}: {reason}" for x, (*_, reason) in answers.items() if reason]
        rows.append(
            [f"`{word}`", result.get("version", "not run"), *(x[0] for x in answers.values())]
        )
    places = (f"{x['date']}, {x['hardware']}, commit {x['commit'][:12]}" for x in found.values())
    table = markdown_table(["device", "version", *COLUMNS], rows, n_left=len(COLUMNS) + 2)
    return [f"{'; '.join(dict.fromkeys(places))}.", "", *table, "", *notes]


if __name__ == "__main__":
    main()
