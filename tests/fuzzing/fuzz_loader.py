"""Coverage-guided fuzzing of one reader of model files, with atheris.

    python tests/fuzzing/fuzz_loader.py npz -max_total_time=60

A file may load, or be rejected by a WeightsError of one line. Anything else, five seconds of time
or a gigabyte of memory ends the run, and libFuzzer keeps the file. The options of libFuzzer follow
the name of the reader.
"""

import io
import pickle
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["xpnet", "zipfile", "pickletools"]):
    from xpnet import Dense, Network, Scale, Standardize, WeightsError, load
    from xpnet.formats import npz, onnx, safetensors

_MAX_SECONDS, _MAX_MEGABYTES = 5, 1024
_MAX_BYTES = 1 << 20


def _networks() -> list[Network]:
    draw = np.random.default_rng(0).standard_normal
    layers = [Dense(draw((3, 4)), draw(4), "elu", {"alpha": 0.5}), Dense(draw((4, 2)), draw(2))]
    steps = [Scale(0.5), Standardize(draw(3), 2.0)]
    single = Dense(draw((2, 1)).astype(np.float32), np.zeros(1, np.float32), "sigmoid")
    return [
        Network(layers, preprocessing=steps, classes=["no", "yes"]),
        Network([single], output="probabilities"),
    ]


def _arrays() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0).standard_normal
    return {"W1": draw((3, 4)), "b1": draw(4), "W2": np.asfortranarray(draw((4, 2))), "b2": draw(2)}


def _npz_seeds() -> list[bytes]:
    stored = io.BytesIO()
    np.savez(stored, **_arrays())
    return [stored.getvalue(), *(bytes(npz.serialize(network)) for network in _networks())]


def _pickle_seeds() -> list[bytes]:
    return [pickle.dumps(_arrays(), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]


_SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "npz": _npz_seeds,
    "onnx": lambda: [onnx.serialize(network) for network in _networks()],
    "pickle": _pickle_seeds,
    "safetensors": lambda: [safetensors.serialize(network) for network in _networks()],
}


def main(arguments: list[str]) -> None:
    """Fuzz the reader that the first argument names."""
    name = arguments[1] if len(arguments) > 1 else ""
    if name not in _SEEDS:
        msg = f"the loader must be one of {', '.join(_SEEDS)}; got {name!r}"
        raise SystemExit(msg)
    folder = Path(tempfile.mkdtemp())
    seeds = folder / "seeds"
    seeds.mkdir()
    for i, content in enumerate(_SEEDS[name]()):
        (seeds / f"seed-{i}").write_bytes(content)
    path = folder / "damaged"

    def try_one(content: bytes) -> None:
        path.write_bytes(content)
        try:
            load(path, max_bytes=_MAX_BYTES)
        except WeightsError as error:
            # The message is one line and names the file.
            if len(str(error)) > 390 or "\n" in str(error) or path.name not in str(error):
                raise

    limits = [f"-timeout={_MAX_SECONDS}", f"-rss_limit_mb={_MAX_MEGABYTES}", "-print_final_stats=1"]
    atheris.Setup([arguments[0], *limits, *arguments[2:], str(seeds)], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
