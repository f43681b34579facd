"""Conversion of images and labels to npz, npy or IDX, as part of ``xpnet convert``."""

from pathlib import Path

from xpnet.cli.arguments import UsageError, check_output
from xpnet.cli.data_arguments import Data
from xpnet.cli.fetch import NAMES
from xpnet.cli.report import Outcome
from xpnet.files.errors import DataError, FileError, WeightsError


def is_data(source: str, target: str) -> bool:
    """Return whether to convert images: OUT can hold them, and IN is not a network."""
    from xpnet.datasets.npz import has_image_names
    from xpnet.datasets.writing import data_format
    from xpnet.formats.format_table import detect_weight_format

    kind = data_format(target)
    if kind != "npz" or source == "sample":  # the word means a network where it can
        return kind not in {None, "npz"}
    if source in {"-", *NAMES} or Path(source).is_dir():
        return True
    try:
        return detect_weight_format(Path(source)).name == "npz" and has_image_names(source)
    except WeightsError:
        return True
    except DataError:  # a damaged npz file
        return False


def check_model_target(target: str, *, force: bool) -> None:
    """Raise, before long work, an error if a network could not be written to OUT."""
    try:
        check_output(target, force=force, kind="model")
    except UsageError as error:
        rule = "OUT must end in .safetensors, .npz or .onnx; for images, in .npz or .npy, or be a"
        msg = f"{rule} name of IDX, such as train-images-idx3-ubyte; got {target!r}"
        raise UsageError(msg) from error


def convert_data(data: Data, target: str, *, force: bool) -> Outcome:
    """Write the images and labels of DATA to a file."""
    from xpnet.datasets.writing import write_data

    check_output(target, force=force)
    try:
        images, labels, names = write_data(Path(target), data.stream(), force=force)
    except FileError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error
    n_bytes, shape = Path(target).stat().st_size, list(images.shape)
    facts = {"source": data.path, "target": target, "bytes": n_bytes, "shape": shape}
    facts |= {"dtype": str(images.dtype), "labels": labels and str(labels), "classes": names}
    numbered = (f"{i} {name}" for i, name in enumerate(names or ()))
    beside = "" if labels is None else f" and {labels}"
    rows = {
        "read": f"{data.path} ({' x '.join(map(str, shape))}, {images.dtype})",
        "labels": None if names is None else ", ".join(numbered),
        "wrote": f"{target} ({n_bytes:,} bytes){beside}",
    }
    return Outcome(facts, rows)
