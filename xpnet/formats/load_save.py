"""Load by what a file holds, save by what its name says."""

import importlib
import os
from collections.abc import Sequence
from pathlib import Path

from xpnet.arrays.device import Device
from xpnet.files.errors import WeightsError
from xpnet.files.writing import atomic_write
from xpnet.formats.checked_parameters import as_parameters, check_finite
from xpnet.formats.description import build
from xpnet.formats.detect_weights import format_of
from xpnet.formats.infer_layers import network_of_names
from xpnet.formats.load_options import Layout, Options
from xpnet.formats.model_file import Contents, Named
from xpnet.networks.network import Network

__all__ = ["SAMPLE_PATH", "SUFFIXES", "check_suffix", "load", "read_model", "save", "serialized"]

SAMPLE_PATH = Path(__file__).parent / "sample" / "model.safetensors"
# By suffix, the room of a format, which has a function `serialize`.
_WRITERS = {
    ".safetensors": "xpnet.formats.safetensors",
    ".npz": "xpnet.formats.npz",
    ".onnx": "xpnet.formats.onnx",
}
SUFFIXES = tuple(_WRITERS)


def load(
    path: str | os.PathLike[str],
    /,
    *,
    device: str | Device = "cpu",
    activation: str | Sequence[str] | None = None,
    layout: Layout | None = None,
    allow_nonfinite: bool = False,
    allow_external: bool = False,
    max_bytes: int | None = None,
) -> Network:
    """Read a network from a file; the format is told by the content, never by the name.

    Parameters
    ----------
    path : str or os.PathLike
        A file that `save` wrote; ONNX of fully connected layers; the book's pickle or npz (W1,
        b1, W2 ...); or safetensors or npz of a torch ``state_dict`` (0.weight, 0.bias ...). Or
        the word ``"sample"``: the embedded trained 784-50-100-10 network. (A file of that name
        is ``"./sample"``.)
    device : str or Device, default "cpu"
        Where the parameters shall be: "cpu", "gpu", "gpu:N" or "auto".
    activation : str or sequence of str, optional
        Where the file does not tell: of the hidden layers (the last one is the identity), or one
        for each layer. The book's names mean sigmoid.
    layout : {"in_out", "out_in"}, optional
        Where the file does not tell: whether weights are of shape (n_in, n_out), or (n_out, n_in)
        as torch has them.
    allow_nonfinite : bool, default False
        Whether parameters may be infinite or NaN.
    allow_external : bool, default False
        Whether an ONNX file may keep its weights in other files, of its own folder.
    max_bytes : int, optional
        How many bytes the parameters may take; 4 GiB by default, and for npz and pickles at most
        100 times the size of the file or 16 MiB.

    Returns
    -------
    Network
        In the file's own dtype; bfloat16 becomes float32. Nothing is added to what the file says:
        a network from elsewhere that takes pixels in 0..1 has no `Scale`.

    Raises
    ------
    OSError
        If the file cannot be read.
    WeightsError
        If it holds no network of fully connected layers, or a damaged one, or does not tell the
        activations or the layout and they are not given.
    ModuleNotFoundError
        If it is ONNX, and the package onnx is not installed.
    DeviceError
        If there is no such device; it never falls back.

    Notes
    -----
    No file can run code: pickles are read by a machine that knows arrays only, activations and
    preprocessing are names in a table.

    Examples
    --------
    >>> load("sample")
    Network(784 -> 50 sigmoid -> 100 sigmoid -> 10 identity; Scale(factor=0.00392156862745098); \
logits; float32, numpy)
    """
    options = Options(activation, layout, allow_nonfinite, allow_external, max_bytes)
    return read_model(path, options).network.to(device)


def read_model(path: str | os.PathLike[str], options: Options) -> Contents:
    """Read a file of weights, as `load` does, and tell what else is known of it."""
    path = SAMPLE_PATH if path == "sample" else Path(path)
    format_name = format_of(path)
    try:
        if format_name == "ONNX":
            from xpnet.formats import onnx

            return onnx.read(path, options)
        return _of_named(format_name, _read_named(format_name, path, options), options)
    except WeightsError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        # Whatever is wrong with the contents, the network refuses it in its own words.
        # What ONNX's room says of an operator needs no name of an error before it.
        kind = "" if str(error).startswith("ONNX") else f"{type(error).__name__}: "
        what = f"no valid network: {kind}{error}"
        raise WeightsError(what, file=path) from error


def _read_named(format_name: str, path: Path, options: Options) -> Named:
    # Each format's room opens when a file needs it.
    if format_name == "npz":
        from xpnet.formats import npz

        return npz.read(path, options)
    if format_name == "pickle":
        from xpnet.formats import pickle

        return pickle.read(path, max_bytes=options.most_bytes)
    from xpnet.formats import safetensors

    return safetensors.read(path, max_bytes=options.most_bytes)


def _of_named(format_name: str, named: Named, options: Options) -> Contents:
    if not options.allow_nonfinite:
        check_finite(named.arrays)
    if named.description is None:
        network, notes = network_of_names(
            as_parameters(named.arrays), activation=options.activation, layout=options.layout
        )
        return Contents(network, format_name, is_own=False, notes=notes)
    options.check_left_out()
    return Contents(build(named.description, named.arrays), format_name, is_own=True)


def save(
    network: Network,
    path: str | os.PathLike[str],
    /,
    *,
    force: bool = False,
    input_dtype: str | None = None,
) -> None:
    """Write a network to a file, whole or not at all; the suffix chooses the format.

    Parameters
    ----------
    network : Network
        On any device.
    path : str or os.PathLike
        A name that ends in ``.safetensors``, ``.npz`` or ``.onnx``. The first two hold all of any
        network; ONNX what it has operators for (`xpnet.formats.onnx`).
    force : bool, default False
        Whether to replace an existing file.
    input_dtype : str, optional
        Of ONNX alone, whose inputs have one dtype: "uint8" for raw pixels. By default that of the
        network.

    Raises
    ------
    TypeError
        If the parameters are of a dtype that the format has not.
    ValueError
        If the suffix is not known, a parameter is NaN or infinite, or ONNX has no operator for an
        activation.
    ModuleNotFoundError
        If the suffix is ``.onnx``, and the package onnx is not installed.
    FileExistsError
        If the file exists and `force` is false.
    OSError
        If the file cannot be written; an existing one is left as it was.
    """
    check_suffix(path)
    with atomic_write(path, force=force) as stream:
        stream.write(serialized(network, path, input_dtype=input_dtype))


def serialized(
    network: Network, path: str | os.PathLike[str], /, *, input_dtype: str | None = None
) -> bytes:
    """Return what `save` writes into a file of this name; it raises what that does."""
    check_suffix(path)
    suffix = Path(path).suffix
    if input_dtype is not None and suffix != ".onnx":
        msg = f"`input_dtype` is for ONNX: `path` must end in .onnx; got {os.fspath(path)!r}"
        raise ValueError(msg)
    options = {} if input_dtype is None else {"input_dtype": input_dtype}
    data: bytes = importlib.import_module(_WRITERS[suffix]).serialize(network, **options)
    return data


def check_suffix(path: str | os.PathLike[str], /) -> None:
    """Raise ValueError unless `save` knows the suffix of the path."""
    if Path(path).suffix not in _WRITERS:
        msg = f"`path` must end in {', '.join(SUFFIXES)}; got {os.fspath(path)!r}"
        raise ValueError(msg)
