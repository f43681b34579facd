"""Values of --input-range: a range of pixels, or the mean and deviation of standardised ones."""

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xpnet.networks.preprocessing import Standardize

RANGES = ("0..1", "0..255")


def input_range(text: str) -> str:
    """Return a valid value, of which no file is read; an argparse type."""
    if text in RANGES or text.endswith(".npz"):
        return text
    with suppress(ValueError):
        mean, std = map(float, text.split(","))
        if abs(mean) <= 1.0 and 0.0 < std <= 1.0:
            return text
    msg = "must be 0..1, 0..255, an npz file of the arrays mean and std, or MEAN,STD of pixels in"
    msg += f" 0..1, such as 0.1307,0.3081: MEAN at most 1, STD above 0 and at most 1; got {text!r}"
    raise argparse.ArgumentTypeError(msg)


def standardization(text: str, n_in: int) -> "Standardize":
    """Return the step of another value, on the host; raise WeightsError if a file does not fit."""
    import numpy as np

    from xpnet.files.errors import WeightsError
    from xpnet.formats.model_file import LoadOptions
    from xpnet.formats.npz import read
    from xpnet.networks.preprocessing import Standardize

    if not text.endswith(".npz"):
        return Standardize(*map(float, text.split(",")))
    arrays = read(Path(text), LoadOptions()).arrays
    found = {name: x for name, x in arrays.items() if name in {"mean", "std"}}
    if [x.size for x in found.values() if x.dtype.kind in "iuf"] != [n_in, n_in]:
        what, shown = "--input-range", [f"{name} {x.dtype} {x.shape}" for name, x in arrays.items()]
        rule = f"the arrays mean and std with one number for each of {n_in} inputs"
        raise WeightsError(what, file=text, found=", ".join(shown), expected=rule)
    mean, std = (found[name].astype(float).reshape(-1) for name in ("mean", "std"))
    is_valid = np.isfinite(mean) & np.isfinite(std) & (std > 0)
    if not is_valid.all():
        i = int(np.argmin(is_valid))
        what, given = f"mean and std of input {i + 1}", f"{mean[i]:g} and {std[i]:g}"
        rule = "finite numbers, std above 0 (1 for an input that is always the same)"
        raise WeightsError(what, file=text, found=given, expected=rule)
    return Standardize(mean, std)
