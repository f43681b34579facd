"""Loading and saving of networks; the suffix of a file says its format."""

import os
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from xpnet.arrays.device import Device
from xpnet.files.errors import WeightsError
from xpnet.files.writing import atomic_write
from xpnet.formats.description import network_from_description
from xpnet.formats.input_range import with_input_range
from xpnet.formats.named_arrays import network_of_arrays
from xpnet.networks.input_range import FEWEST_PIXELS, takes_bytes
from xpnet.networks.network import Network, check_network
from xpnet.networks.preprocessing import Scale

__all__ = ["FORMATS", "SAMPLE_PATH", "check_suffix", "load", "read_model", "save", "serialized"]

SAMPLE_PATH = Path(__file__).parent / "sample" / "model.safetensors"
# Suffix -> module in this folder. Those with a function `serialize` are written, too.
FORMATS = {
    ".safetensors": "safetensors",
    ".npz": "npz",
    ".onnx": "onnx",
    ".pkl": "pickle",
    ".pt": "torch",
    ".pth": "torch",
}
_WRITTEN = (".safetensors", ".npz", ".onnx")
# Their loader runs code of the file, which is for its owner to allow.
_OF_KERAS = (".keras", ".h5", ".hdf5")


def load(
    path: str | os.PathLike[str],
    /,
    *,
    device: str | Device = "cpu",
    activation: str | Sequence[str] | None = None,
    input_range: str | None = None,
) -> Network:
    """Read a network from a file; the suffix says the format, whose own library reads it.

    No file can run code: of a pickle, only instructions that make arrays are carried out;
    activations and preprocessing are names in a table.

    Parameters
    ----------
    path : str or os.PathLike
        Or ``"sample"``: the embedded trained 784-50-100-10 network. (A file of that name is
        ``"./sample"``.)

        ======================== ===================================================================
        suffix                   content
        ======================== ===================================================================
        .safetensors, .npz       what `save` wrote; or arrays by name, as below
        .onnx                    what `save` wrote; or a chain of fully connected layers
        .pkl                     the book's pickle: a dictionary of arrays by name
        .pt, .pth                a ``state_dict`` that ``torch.save`` wrote, alone or as entry
                                 state_dict, model_state_dict or model; needs torch 2.10
        ======================== ===================================================================

        Of arrays by name, a layer is a matrix and, with the same name, a vector: ``W1`` and ``b1``,
        ``kernel`` and ``bias`` of shape (n_in, n_out); ``weight`` and ``bias`` of shape
        (n_out, n_in), as in torch. Numbers in the names give the order.
    device : str or Device, default "cpu"
        Device of the parameters, by a word of `Device`: "cpu", "gpu", "torch:cuda" ...
    activation : str or sequence of str, optional
        For arrays by name: the activation of the hidden layers (the last layer is the identity) or
        of the only layer; or one per layer. By default sigmoid for the book's names.
    input_range : str, optional
        Pixels that the network of a file without a step for bytes was trained on; it then takes raw
        bytes. "0..1": bytes are divided by 255. "MEAN,STD" of pixels in 0..1, such as
        "0.1307,0.3081": they are standardised, too. "0..255": as they are. "none": the inputs are
        no pixels. By default, no step is added.

    Returns
    -------
    Network
        In the file's own dtype; bfloat16 becomes float32. `DataWarning` is given if an ONNX file
        has labels, which are not read.

    Raises
    ------
    OSError
        If the file cannot be read.
    WeightsError
        If the suffix is another one; or the file is damaged, is not a network of fully connected
        layers, does not give the outputs of its own runtime, is the ONNX file of a reproducible
        network, or `activation` is missing, does not suit it, or is given although it has them.
    ValueError
        If `input_range` is another word, or is given for a network with a step for bytes.
    ModuleNotFoundError
        If the file is ONNX or torch's and the package onnx or torch is not installed.
    DeviceError
        If the device is not available; there is no fallback.

    Examples
    --------
    >>> load("sample")
    Network(784 -> 50 sigmoid -> 100 sigmoid -> 10 identity; Scale(1 / 255); logits; float32, numpy)
    """
    network, _ = read_model(path, activation)
    if input_range is not None:
        network = with_input_range(network, input_range)
    return network.to(device)


def read_model(
    path: str | os.PathLike[str], activation: str | Sequence[str] | None = None
) -> tuple[Network, bool]:
    """Return the network of a file, on the host, and whether xpnet wrote the file.

    The arguments and errors are those of `load`.
    """
    path = SAMPLE_PATH if path == "sample" else Path(path)
    module = _module(path)
    try:
        if path.suffix.lower() == ".onnx":
            network, is_own = module.read(path)
        else:
            arrays, description = module.read(path)
            is_own = description is not None
            if description is None:
                return network_of_arrays(arrays, activation), False
            network = network_from_description(description, arrays)
        if activation is not None:
            msg = f"`activation` must be left out for a file that contains it; got {activation!r}"
            raise ValueError(msg)
    except WeightsError:
        raise
    except (TypeError, ValueError) as error:  # about the content, in one sentence
        msg = str(error)[:400]  # values of a description may be long
        raise WeightsError(msg, file=path) from error
    return network, is_own


def _module(path: Path) -> ModuleType:
    """Return the module that reads a file; raise WeightsError for an unknown suffix."""
    suffix = path.suffix.lower()
    if suffix in _OF_KERAS:
        msg = f"not read: xpnet.from_keras(keras.saving.load_model({str(path)!r})) converts it"
        raise WeightsError(msg, file=path)
    if suffix not in FORMATS:
        msg = f"the name of a file of weights must end in {', '.join(FORMATS)}"
        raise WeightsError(msg, file=path)
    return import_module(f"xpnet.formats.{FORMATS[suffix]}")


def save(
    network: Network,
    path: str | os.PathLike[str],
    /,
    *,
    force: bool = False,
    input_dtype: str | None = None,
) -> None:
    """Write a network to a file, completely or not at all; the suffix determines the format.

    Parameters
    ----------
    network : Network
        On any device.
    path : str or os.PathLike
        A name that ends in ``.safetensors``, ``.npz`` or ``.onnx``. The first two store every
        network completely, but not that it is `reproducible`: a warning is given, and the ordinary
        network is written. ONNX stores what it has operators for; of a reproducible network, the
        exact forward pass, which gives the same bits in any ONNX runtime that computes each node
        by itself, in its dtype. `load` rejects such a file.
    force : bool, default False
        Whether to replace an existing file.
    input_dtype : str, optional
        Dtype of the inputs of an ONNX file: "uint8" for raw pixels, which the network must take. By
        default that of the network.

    Raises
    ------
    TypeError
        If the format does not support the dtype of the parameters.
    ValueError
        If the suffix is unknown, `input_dtype` is given for another format than ONNX, or is "uint8"
        for a network whose inputs are measurements, or pixels in 0..1; a parameter is NaN or
        infinite (except in the ONNX file of a reproducible network), or ONNX has no operator for an
        activation; for a reproducible network, if ONNX Runtime would take a number such as 1e-50 or
        1 + 1e-9 for 0 or 1.
    ModuleNotFoundError
        If the suffix is ``.onnx`` and the package onnx, or for a reproducible network ndonnx, is
        not installed.
    FileExistsError
        If the file exists and `force` is false.
    OSError
        If the file cannot be written; an existing file is left unchanged.
    """
    check_network(network)
    content = serialized(network, path, input_dtype=input_dtype)
    if network.is_reproducible and Path(path).suffix.lower() != ".onnx":
        kept = f"a {Path(path).suffix} file does not keep that a network is reproducible"
        msg = f"{kept}: use xpnet.reproducible after load"
        warnings.warn(msg, UserWarning, stacklevel=2)
    with atomic_write(path, force=force) as stream:
        stream.write(content)


def serialized(
    network: Network, path: str | os.PathLike[str], /, *, input_dtype: str | None = None
) -> bytes:
    """Return the bytes that `save` writes to a file of this name, and raise the same errors."""
    check_suffix(path)
    module = _module(Path(path))
    content: bytes
    if Path(path).suffix.lower() == ".onnx":
        if input_dtype == "uint8" and not _is_for_bytes(network):
            msg = "`input_dtype` must be left out: the inputs of the network are no bytes"
            raise ValueError(msg)
        content = module.serialize(network, input_dtype=input_dtype)
    elif input_dtype is not None:
        msg = f"`input_dtype` is for ONNX: `path` must end in .onnx; got {os.fspath(path)!r}"
        raise ValueError(msg)
    else:
        content = module.serialize(network.ordinary)
    return content


def _is_for_bytes(network: Network) -> bool:
    """Return whether a network takes bytes; large means of few inputs are those of measurements."""
    word, steps = network.metadata.get("input_range"), network.preprocessing
    if word is None and steps and network.n_in < FEWEST_PIXELS:
        return isinstance(steps[0], Scale) and takes_bytes(network)
    return word != "none" and takes_bytes(network)


def check_suffix(path: str | os.PathLike[str], /) -> None:
    """Raise ValueError unless the suffix is that of a format that `save` writes."""
    if Path(path).suffix.lower() not in _WRITTEN:
        msg = f"`path` must end in {', '.join(_WRITTEN)}; got {os.fspath(path)!r}"
        raise ValueError(msg)
