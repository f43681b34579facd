"""Argument ``--device`` of a command line: of xpnet's commands, and of other programs."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xpnet.arrays.device import Device

__all__ = ["DEVICE_HELP", "add_device_argument", "device_from_args", "device_word"]

DEVICE_HELP = (
    "cpu (NumPy); gpu or gpu:N (CuPy); auto (a usable GPU, or the CPU); or another library, such as"
    " jax or torch:cuda; no fallback (default: %(default)s)"
)


def add_device_argument(parser: argparse.ArgumentParser, *, default: str = "cpu") -> None:
    """Add ``--device`` with the words of `Device` to an argparse parser.

    `device_from_args` opens the device. The parsed value is a valid argument of `Device`.

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> add_device_argument(parser)
    >>> device_from_args(parser.parse_args(["--device", "cpu"])).name
    'cpu'
    """
    parser.add_argument(
        "--device",
        type=device_word,
        default=default,
        metavar="DEVICE",
        help=DEVICE_HELP,
    )


def device_from_args(args: argparse.Namespace, /) -> "Device":
    """Return the device of the option of `add_device_argument`.

    Raises
    ------
    SystemExit
        With code 5 and the line ``PROG: error: CAUSE`` on standard error, as in argparse, if the
        device is not usable. ``Device(args.device)`` raises a `DeviceError` instead.
    """
    from xpnet.arrays.device import Device
    from xpnet.arrays.device_errors import DeviceError

    try:
        return Device(args.device)
    except DeviceError as error:
        parser = argparse.ArgumentParser()  # its name is that of the script
        parser.exit(5, f"{parser.prog}: error: {error}\n")


def device_word(word: str) -> str:
    """Return a word for `Device`, or raise argparse's error; an argparse type."""
    from xpnet.arrays.device import DEVICE_RULE, check_word

    try:
        check_word(word)
    except ValueError:
        msg = f"{DEVICE_RULE}; got {word!r}"
        raise argparse.ArgumentTypeError(msg) from None
    return word
