"""Fuzzing of the readers of ``.keras`` and ``.pt`` against Keras and torch themselves.

    KERAS_BACKEND=torch python tests/fuzzing/fuzz_originals.py --seconds 60

Each round makes a random model with one of these libraries, saves it, and damages copies of the
file. A file that `xpnet.load` reads must give the outputs that the library gives after it has read
the same file; all others must raise WeightsError. Files that are kept have the seed and the number
of the round in their names.
"""

import argparse
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, takewhile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from damage import damaged
from originals import Original, keras_model, torch_model

import xpnet

_MAKERS = (keras_model, torch_model)
_N_ROWS, _N_DAMAGED = 7, 30
OUTCOMES = ("refused", "read alike", "read, refused by the original")


def difference(network: xpnet.Network, outputs: Callable[[Any], Any], epsilon: float) -> str:
    """Return how the outputs of a network differ from the original ones, "" if they agree.

    A sum of n products differs by at most n roundings of its terms; a few more come from the bias,
    the activation and folded layers. The weights are of size 1 / sqrt(n), so that layers hardly
    amplify them: the roundings of all layers are added, relative to the largest output, or to 1,
    since activations such as torch's gelu subtract numbers of that size. The network computes in
    float64, so that the roundings are those of the original, of relative size `epsilon`.
    """
    # Multiples of 1/8, which are exact in every dtype.
    rows = np.random.default_rng(0).integers(-16, 17, (_N_ROWS, network.n_in)) / 8
    with np.errstate(all="ignore"):
        parts = (network.astype("float64")(rows), outputs(rows))
    # Rounding decides which numbers overflow.
    found, expected = (np.where(np.isfinite(x), x, np.nan).ravel() for x in parts)
    if found.size != expected.size:
        return f"{found.size} numbers instead of {expected.size}"
    n_roundings = sum(4 * (layer.n_in + 8) for layer in network.layers)
    tolerance = epsilon * n_roundings * np.nanmax(np.abs(expected), initial=1.0)
    is_close = np.isclose(found, expected, 0.0, tolerance, equal_nan=True)
    i = int(np.argmin(is_close))
    return "" if is_close.all() else f"{found[i]:.9g} instead of {expected[i]:.9g}"


def outcome(path: Path, content: bytes, original: Original) -> str:
    """Return one of `OUTCOMES`, or how a file is read otherwise than by the original library."""
    path.write_bytes(content)
    try:
        network = xpnet.load(path, **original.options)
    except xpnet.WeightsError:
        return "refused"
    except Exception as error:  # noqa: BLE001 (the fault that is looked for)
        return f"{type(error).__name__}: {error}"
    try:
        outputs = original.read(path)
    except Exception:  # noqa: BLE001 (any exception rejects the file)
        return "read, refused by the original"
    try:
        return difference(network, outputs, original.epsilon) or "read alike"
    except Exception as error:  # noqa: BLE001 (the original has layers for other rows)
        return f"the original fails: {type(error).__name__}: {error}"


def files(seed: int, number: int, folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield the kind, path and outcome of the files of a round."""
    rng = Random(f"{seed} {number}")
    original = _MAKERS[number % len(_MAKERS)](rng)
    path = folder / f"{seed}-{number}{original.suffix}"
    yield f"whole {original.suffix}", path, outcome(path, original.content, original)
    for _ in range(_N_DAMAGED):
        content = damaged(original.content, rng, [original.content])
        yield f"damaged {original.suffix}", path, outcome(path, content, original)
    path.unlink()


def main(arguments: list[str] | None = None) -> int:
    """Run rounds for a while; return 1 if a file is read otherwise than by the original library."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="duration (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the rounds (default: 0)")
    parser.add_argument("--keep", type=Path, default="faults", help="folder of kept files")
    args = parser.parse_args(arguments)
    end = time.monotonic() + args.seconds
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in takewhile(lambda _: time.monotonic() < end, count()):
            for kind, path, result in files(args.seed, number, Path(folder)):
                is_fault = result not in OUTCOMES
                counts[f"{kind}: {'fault' if is_fault else result}"] += 1
                if is_fault:
                    args.keep.mkdir(exist_ok=True)
                    kept = shutil.copy(path, args.keep / f"{counts.total()}-{path.name}")
                    _say(f"{kept}: {' '.join(result.split())}")
    _say("\n".join(f"{n:8,} {name}" for name, n in sorted(counts.items())))
    return int(any(name.endswith(": fault") for name in counts))


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (a program)


if __name__ == "__main__":
    sys.exit(main())
