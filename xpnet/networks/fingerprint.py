"""SHA-256 fingerprints of networks, inputs and outputs, the same on every machine."""

import hashlib
import json
from typing import Any

from xpnet.arrays.namespace import without_warnings
from xpnet.arrays.transfer import to_numpy
from xpnet.files.record import sha256, sha256_of_array
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale, arrays_of

__all__ = ["ResultHash", "RowsFingerprint", "input_fingerprint", "named_arrays"]
__all__ += ["network_fingerprint", "preprocessing_facts"]

_N_FIRST_ROWS = 1000


class RowsFingerprint:
    """SHA-256 of the first 1,000 rows of a data set, or of all if it has fewer.

    It depends on the values alone: not on the shape of the images, the sizes of the blocks and the
    format of the file. Bytes are hashed as they are, other numbers as float32.
    """

    def __init__(self) -> None:
        self._sha256, self._n_rows = hashlib.sha256(), 0

    def update(self, rows: Any) -> None:
        """Add the next block of rows or images, a NumPy array of shape (n, ...)."""
        first = rows[: _N_FIRST_ROWS - self._n_rows]
        self._n_rows += len(first)
        with without_warnings():  # float64 may be too large for float32
            first = first if first.dtype.name == "uint8" else first.astype("<f4")
        self._sha256.update(first.tobytes())

    def text(self) -> str:
        """Return the hash of the rows up to now, as hexadecimal digits."""
        return self._sha256.hexdigest()


class ResultHash:
    """Hash of outputs of shape (n, n_out), in one or more blocks of rows of any library.

    It is the SHA-256 of the outputs and of `form`, a line with their dtype and shape.
    """

    def __init__(self) -> None:
        self._sha256, self._n_rows, self.form = hashlib.sha256(), 0, ""

    def update(self, outputs: Any) -> None:
        """Add the outputs for the next rows, of the same dtype and number."""
        y = to_numpy(outputs)
        self._sha256.update(y.astype(y.dtype.newbyteorder("<"), copy=False).tobytes())
        self._n_rows += len(y)
        self.form = f"{y.dtype.name} {self._n_rows} x {y.shape[1]}\n"

    def text(self) -> str:
        """Return the hash of all outputs up to now, such as ``9f3c-02ab-77d1-e05b``."""
        digest = self._sha256.copy()
        digest.update(self.form.encode())
        return "-".join(digest.hexdigest()[i : i + 4] for i in range(0, 16, 4))


def named_arrays(network: Network) -> dict[str, Any]:
    """Return the arrays by name, in order: ``layers.0.weight`` ..., ``preprocessing.0.mean`` ..."""
    arrays: dict[str, Any] = {}
    for i, layer in enumerate(network.layers):
        arrays[f"layers.{i}.weight"] = layer.weight
        arrays[f"layers.{i}.bias"] = layer.bias
    for i, step in enumerate(network.preprocessing):
        arrays |= {f"preprocessing.{i}.{name}": x for name, x in arrays_of(step).items()}
    return arrays


def network_fingerprint(network: Network) -> dict[str, str]:
    """Return the facts that identify a network, with the SHA-256 of each array.

    They do not depend on the library, the device, the memory order and the byte order: number of
    layers and dtype; for each layer, counted from 1, its shape, its activation with all options,
    and the SHA-256 of its weight and bias; preprocessing; type of the output; SHA-256 of the names
    of the classes; under "sha256", the SHA-256 of all these facts.
    """
    layers = list(enumerate(network.layers, start=1))
    bias = network.layers[0].bias
    facts = {"number of layers": str(len(layers)), "dtype": _dtype_name(bias, to_numpy(bias))}
    # Before the SHA-256 of arrays, which all differ if a shape does.
    facts.update((f"shape of layer {i}", _sizes(layer.weight.shape)) for i, layer in layers)
    facts.update((f"activation of layer {i}", layer.activation_text) for i, layer in layers)
    facts |= _array_facts(network, "layers")
    facts |= preprocessing_facts(network)
    facts["output"] = network.output
    names = json.dumps(network.classes).encode()
    facts["classes"] = "none" if network.classes is None else sha256([names])
    facts["sha256"] = sha256([json.dumps(facts).encode()])
    return facts


def preprocessing_facts(network: Network) -> dict[str, str]:
    """Return the facts that identify the preprocessing: its steps, and the SHA-256 of arrays."""
    steps = (  # certificates hold these texts, which must never change
        f"Scale(factor={step.factor!r})" if isinstance(step, Scale) else repr(step)
        for step in network.preprocessing
    )
    facts = {"preprocessing": ", ".join(steps) or "none"}
    return facts | _array_facts(network, "preprocessing")


def _array_facts(network: Network, part: str) -> dict[str, str]:
    """Return the SHA-256 of the arrays of a part, by names such as "weight of layer 1"."""
    facts = {}
    for name, x in named_arrays(network).items():
        found, i, field = name.split(".")
        if found == part:
            kind = f"{field}s" if field in {"mean", "scale"} else field
            owner = "layer" if part == "layers" else "step"
            facts[f"{kind} of {owner} {int(i) + 1}"] = sha256_of_array(to_numpy(x))
    return facts


def input_fingerprint(x: Any, /) -> dict[str, str]:
    """Return the facts that identify an input on any library and device, in any memory order."""
    host = to_numpy(x)
    return {
        "number of rows": str(host.shape[0]),
        "shape": _sizes(host.shape),
        "dtype": _dtype_name(x, host),
        "sha256": sha256_of_array(host),
    }


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _dtype_name(x: Any, host: Any) -> str:
    # NumPy lacks bfloat16: on the host, such arrays are float32.
    return "bfloat16" if "bfloat16" in str(x.dtype) else str(host.dtype.name)
