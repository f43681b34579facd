"""Load by what a file holds, save by what its name says."""

import os
from pathlib import Path

from xpnet.arrays.device import Device
from xpnet.files.errors import WeightsError
from xpnet.files.writing import atomic_write
from xpnet.formats import safetensors
from xpnet.networks.network import Network

__all__ = ["check_suffix", "load", "save"]

_SAMPLE = Path(__file__).parent / "sample" / "model.safetensors"


def load(path: str | os.PathLike[str], /, *, device: str | Device = "cpu") -> Network:
    """Read a network from a file; the format is told by the content, never by the name.

    Parameters
    ----------
    path : str or os.PathLike
        A safetensors file that xpnet wrote; or the word ``"sample"``: the embedded trained
        784-50-100-10 network. (A file of that name is ``"./sample"``.)
    device : str or Device, default "cpu"
        Where the parameters shall be: "cpu", "gpu", "gpu:N" or "auto".

    Returns
    -------
    Network

    Raises
    ------
    OSError
        If the file cannot be read.
    WeightsError
        If it holds no network, or a damaged one.
    DeviceError
        If there is no such device; it never falls back.

    Examples
    --------
    >>> load("sample")
    Network(784 -> 50 sigmoid -> 100 sigmoid -> 10 identity; Scale(factor=0.00392156862745098); \
logits; float32, numpy)
    """
    path = _SAMPLE if path == "sample" else Path(path)
    with path.open("rb") as stream:
        head = stream.read(9)
    if not safetensors.recognise(head):
        what = "not a file of weights that xpnet reads"
        expected = "a safetensors file that xpnet wrote"
        raise WeightsError(what, file=path, found=head or "an empty file", expected=expected)
    return safetensors.read(path).to(device)


def save(network: Network, path: str | os.PathLike[str], /, *, force: bool = False) -> None:
    """Write a network to a file, whole or not at all; the suffix chooses the format.

    Parameters
    ----------
    network : Network
        On any device.
    path : str or os.PathLike
        A name that ends in ``.safetensors``.
    force : bool, default False
        Whether to replace an existing file.

    Raises
    ------
    TypeError
        If the parameters are of a dtype that the format has not.
    ValueError
        If the suffix is not known, or a parameter is NaN or infinite.
    FileExistsError
        If the file exists and `force` is false.
    OSError
        If the file cannot be written; an existing one is left as it was.
    """
    check_suffix(path)
    with atomic_write(path, force=force) as stream:
        stream.write(safetensors.serialize(network))


def check_suffix(path: str | os.PathLike[str], /) -> None:
    """Raise ValueError unless `save` knows the suffix of the path."""
    suffix = Path(path).suffix
    if suffix != ".safetensors":
        msg = f"`path` must end in .safetensors; got {os.fspath(path)!r}"
        raise ValueError(msg)
