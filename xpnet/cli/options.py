"""Options of several commands, each described here once; a command has those of its own beside it.

A command gets the options that were given, as keywords. Their defaults and ranges, and most errors
about them, are those of the Python functions that take them.
"""

import argparse
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from xpnet.cli.device_argument import DEVICE_HELP, device_word
from xpnet.cli.files import InputFile, PictureFile

__all__ = ["BATCH_SIZE", "DATA", "DEBUG", "DEVICE", "FILE", "FORCE", "JSON", "MODEL", "UNLABELLED"]
__all__ += ["Option", "integers", "picture", "seed_of", "words"]


class Option(NamedTuple):
    """An option, or a positional argument: what argparse needs to know of it."""

    words: str  # flags and the metavar, such as "-o --output FILE"; a switch has flags alone
    type: Any
    help: str
    more: Mapping[str, Any] = MappingProxyType({})

    @property
    def place(self) -> str | None:
        """A positional argument in a usage line, such as "[DATA]"; None for an option."""
        if self.words.startswith("-"):
            return None
        return f"[{self.words}]" if self.more.get("nargs") in {"?", "*"} else self.words

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add the option to a parser; without a default, it is not there unless it is given."""
        *flags, metavar = self.words.split()
        more: dict[str, Any] = {"type": self.type, "metavar": metavar, **self.more}
        if self.type is None:
            flags.append(metavar)
            more = {"action": "store_true", **self.more}
        parser.add_argument(*(flags or [more.pop("dest")]), help=self.help, **more)


def words(text: str) -> list[str]:
    """Return the words of a list such as "cpu,gpu"; an argparse type."""
    found = [word.strip() for word in text.split(",")]
    if not all(found):
        msg = f"must be words with commas between them; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return found


def word_or_words(text: str) -> str | list[str]:
    """Return a word, or the words of a list; an argparse type."""
    return words(text) if "," in text else text


def integers(text: str) -> list[int]:
    """Return the integers of a list such as "50,100"; an argparse type."""
    return [int(word) for word in text.split(",")]


LABELS = Option("--labels FILE", InputFile, "labels (default: DATA itself, or the file beside it)")
DATA = [
    Option(
        "DATA",
        InputFile,
        "CSV, IDX, npz or npy file, also gzipped; picture; folder of IDX files or pictures, or of a"
        " folder per class; - for stdin; sample, the embedded digits (default); mnist or"
        " fashion-mnist, downloaded once",
        {"dest": "data", "nargs": "?", "default": "sample"},
    ),
    Option("--rows N", int, "read the first N images only"),
    LABELS,
    Option(
        "--split PART", str, "train or test, of data with both (default: test; to train: train)"
    ),
    Option("--label NAME", str, "label column of a CSV file: first, last, none, or its name"),
    Option("--drop NAME,...", words, "columns of a CSV file to leave out, by names or numbers"),
    Option("--header WORD", str, "whether CSV files begin with one: yes, no, or auto by default"),
    Option("--delimiter C", str, "delimiter of a CSV file, such as ';' or tab"),
    Option(
        "--float",
        None,
        "any numbers in CSV files, not bytes: the default below 64 columns",
        {"dest": "floating"},
    ),
    Option("--size N", int, "resize pictures to N x N pixels, such as --size 28"),
    Option(
        "--invert",
        None,
        "invert dark ink on paper: networks for MNIST expect light ink",
        {"action": argparse.BooleanOptionalAction},
    ),
]
UNLABELLED = [option for option in DATA if option is not LABELS]
FILE = [
    Option("--activation NAME", word_or_words, "of hidden layers, or of all: relu,tanh,identity"),
    Option(
        "--input-range RANGE",
        str,
        "what a network of another program takes: 0..1, bytes / 255 (default, unless the file tells"
        " of bytes); 0..255, bytes; MEAN,STD of pixels in 0..1; or none, other numbers than pixels",
    ),
]


def seed_of(what: str) -> Option:
    """Return the option for a random seed."""
    return Option("--seed N", int, f"random seed of {what} (default: 0)")


DEVICE = Option("--device DEVICE", device_word, DEVICE_HELP, {"default": "cpu"})
_PRECISION = "float16, bfloat16, float32 or float64 (default: the file's)"
_REPRODUCIBLE = "compute the same bits on every device and library; results have a hash"
MODEL = [
    Option(
        "--model MODEL",
        InputFile,
        "file of weights: .safetensors, .npz, .onnx, .pt, .pth or .pkl; sample, the embedded"
        " network (default); or random, the book's untrained one",
    ),
    seed_of("--model random"),
    *FILE,
    DEVICE,
    Option("--precision DTYPE", str, _PRECISION),
    Option("--reproducible", None, _REPRODUCIBLE),
]
BATCH_SIZE = Option("--batch-size N", int, "images at a time (default: chosen for the device)")
FORCE = Option("--force", None, "replace a file that exists, but none that is read")
JSON = Option("--json", None, "print one JSON object")
DEBUG = Option("--debug", None, "show the traceback of an error")


def picture(words: str, what: str) -> list[Option]:
    """Return the options for a picture to be written."""
    return [Option(words, PictureFile, f"{what}: .png, .svg or .pdf"), FORCE]
