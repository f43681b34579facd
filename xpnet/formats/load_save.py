"""Loading by content, saving by suffix, and the summary of a model file."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from xpnet.arrays.device import Device
from xpnet.files.writing import atomic_write
from xpnet.formats.checked_parameters import as_parameters, check_finite
from xpnet.formats.description import network_from_description
from xpnet.formats.format_table import WEIGHT_FORMATS, detect_weight_format
from xpnet.formats.infer_layers import infer_network
from xpnet.formats.input_range import with_input_range
from xpnet.formats.model_file import LoadOptions, ModelFile, NamedArrays, weights_errors
from xpnet.networks.network import Network

__all__ = ["SAMPLE_PATH", "check_suffix", "load", "read_model", "save", "serialized", "summarize"]

SAMPLE_PATH = Path(__file__).parent / "sample" / "model.safetensors"
_BY_SUFFIX = {known.suffix: known for known in WEIGHT_FORMATS if known.suffix is not None}


def load(
    path: str | os.PathLike[str],
    /,
    *,
    device: str | Device = "cpu",
    activation: str | Sequence[str] | None = None,
    layout: "Literal['in_out', 'out_in'] | None" = None,
    input_range: str | None = None,
    allow_nonfinite: bool = False,
    allow_external: bool = False,
    max_bytes: int | None = None,
) -> Network:
    """Read a network from a file; the content, not the suffix, determines the format.

    No file can run code: of a pickle, only instructions that make arrays are carried out;
    activations and preprocessing are names in a table.

    Parameters
    ----------
    path : str or os.PathLike
        A file that `save` wrote; ONNX of fully connected layers; the book's pickle or npz (W1,
        b1, W2 ...); a torch ``state_dict`` (0.weight, 0.bias ...), as a file of ``torch.save``,
        safetensors or npz; or a ``.keras`` or ``.weights.h5`` file of Keras 3. Or ``"sample"``: the
        embedded trained 784-50-100-10 network. (A file of that name is ``"./sample"``.)
    device : str or Device, default "cpu"
        Device of the parameters, by a word of `Device`: "cpu", "gpu", "torch:cuda" ...
    activation : str or sequence of str, optional
        Activation of the hidden layers (the last layer is the identity), or one per layer, if the
        file does not contain it. By default sigmoid for the book's names.
    layout : {"in_out", "out_in"}, optional
        Shape of the weights, if the file does not determine it: (n_in, n_out), or (n_out, n_in)
        as in torch.
    input_range : str, optional
        Pixels that the network of a file without a step for bytes was trained on; it then takes raw
        bytes. "0..1": bytes are divided by 255. "MEAN,STD" of pixels in 0..1, such as
        "0.1307,0.3081": they are standardised, too. "0..255": as they are. "none": the inputs are
        no pixels. By default, no step is added.
    allow_nonfinite : bool, default False
        Whether parameters may be infinite or NaN.
    allow_external : bool, default False
        Whether an ONNX file may keep its weights in other files of its own folder.
    max_bytes : int, optional
        Maximum size of the parameters in bytes; 4 GiB by default, and at most 100 times the size of
        the file (``.keras`` 10 times, ``.pt`` 4 times) or 16 MiB for npz, pickles, Keras and torch.

    Returns
    -------
    Network
        In the file's own dtype; bfloat16 becomes float32. `DataWarning` is given if an ONNX file
        has labels that are not names of classes.

    Raises
    ------
    OSError
        If the file cannot be read.
    WeightsError
        If the file is damaged, is not a network of fully connected layers, is the ONNX file of a
        reproducible network, or lacks the activations or the layout and they are not given.
    ValueError
        If `input_range` is another word, or is given for a network with a step for bytes.
    ModuleNotFoundError
        If the file is ONNX and the package onnx is not installed, or Keras' and h5py is not.
    DeviceError
        If the device is not available; there is no fallback.

    Examples
    --------
    >>> load("sample")
    Network(784 -> 50 sigmoid -> 100 sigmoid -> 10 identity; Scale(1 / 255); logits; float32, numpy)
    """
    options = LoadOptions(activation, layout, allow_nonfinite, allow_external, max_bytes)
    network = read_model(path, options).network
    if input_range is not None:
        network = with_input_range(network, input_range)
    return network.to(device)


def read_model(path: str | os.PathLike[str], options: LoadOptions) -> ModelFile:
    """Read a model file as `load` does, and return the network with facts about the file."""
    path = SAMPLE_PATH if path == "sample" else Path(path)
    detected = detect_weight_format(path)
    with weights_errors(path, "invalid network"):
        found = detected.module.read(path, options)
        return found if isinstance(found, ModelFile) else _build(found, detected.name, options)


def _build(named: NamedArrays, format_name: str, options: LoadOptions) -> ModelFile:
    if not options.allow_nonfinite:
        check_finite(named.arrays)
    if named.description is not None:
        options.check_omitted()
        network = network_from_description(named.description, named.arrays)
        return ModelFile(network, format_name, is_own=True)
    options = replace(options, layout=options.layout or named.layout)
    network, notes = infer_network(as_parameters(named.arrays), options)
    return ModelFile(network, format_name, is_own=False, notes=notes)


def summarize(path: Path, options: LoadOptions) -> dict[str, Any]:
    """Return the format, arrays and metadata of a file, without building a network.

    The entries are "format"; "arrays", a list of [name, dtype, shape]; "metadata", strings by
    name, with xpnet's own description of the network as "xpnet"; and for ONNX "inputs", "outputs",
    "operators" (counts by name), "opsets" and "producer". Of the options, only `max_bytes` is
    used. Only the headers of safetensors and npz are read; pickle and ONNX files are read as a
    whole. Raise OSError if the file cannot be read, and WeightsError if it is damaged, or of an
    unknown format.
    """
    detected = detect_weight_format(path)
    with weights_errors(path, "invalid network"):
        return {"format": detected.name, **detected.module.read_headers(path, options)}


def save(
    network: Network,
    path: str | os.PathLike[str],
    /,
    *,
    force: bool = False,
    input_dtype: str | None = None,
    rows: Any = None,
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
        Dtype of the inputs of an ONNX file: "uint8" for raw pixels. By default that of the
        network.
    rows : array of shape (n, ...), optional
        Rows for the ONNX file of a reproducible network: the metadata contain the `result_hash` of
        their outputs. By default the digits of `sample` for 784 inputs, else no hash.

    Raises
    ------
    TypeError
        If the format does not support the dtype of the parameters.
    ValueError
        If the suffix is unknown, a parameter is NaN or infinite (except in the ONNX file of a
        reproducible network), or ONNX has no operator for an activation; for a reproducible
        network, if `rows` are not numbers of the dtype of the inputs, or ONNX Runtime would take a
        number such as 1e-50 or 1 + 1e-9 for 0 or 1.
    ModuleNotFoundError
        If the suffix is ``.onnx`` and the package onnx, or for a reproducible network ndonnx, is
        not installed.
    FileExistsError
        If the file exists and `force` is false.
    OSError
        If the file cannot be written; an existing file is left unchanged.
    """
    check_suffix(path)
    suffix = Path(path).suffix
    if network.is_reproducible and suffix != ".onnx":
        kept = f"a {suffix} file does not keep that a network is reproducible"
        msg = f"{kept}: use xpnet.reproducible after load"
        warnings.warn(msg, UserWarning, stacklevel=2)
    with atomic_write(path, force=force) as stream:
        stream.write(serialized(network, path, input_dtype=input_dtype, rows=rows))


def serialized(network: Network, path: str | os.PathLike[str], /, **options: Any) -> bytes:
    """Return the bytes that `save` writes to a file of this name, and raise the same errors."""
    check_suffix(path)
    suffix = Path(path).suffix
    given = {name: value for name, value in options.items() if value is not None}
    if given and suffix != ".onnx":
        name = next(iter(given))
        msg = f"`{name}` is for ONNX: `path` must end in .onnx; got {os.fspath(path)!r}"
        raise ValueError(msg)
    network = network if suffix == ".onnx" else network.ordinary
    return _BY_SUFFIX[suffix].module.serialize(network, **given)


def check_suffix(path: str | os.PathLike[str], /) -> None:
    """Raise ValueError unless the suffix is that of a format that `save` writes."""
    if Path(path).suffix not in _BY_SUFFIX:
        msg = f"`path` must end in {', '.join(_BY_SUFFIX)}; got {os.fspath(path)!r}"
        raise ValueError(msg)
