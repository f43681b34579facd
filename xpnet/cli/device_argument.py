"""Argument ``--device`` of a command line: of xpnet's commands, and of other programs."""

import argparse
from typing import TYPE_CHECKING

from xpnet.cli.exit_codes import DEVICE

if TYPE_CHECKING:
    from xpnet.arrays.device import Device

__all__ = ["add_device_argument", "device_from_args"]


def add_device_argument(parser: argparse.ArgumentParser, *, default: str = "cpu") -> None:
    """Add ``--device cpu|gpu|gpu:N|auto`` to an argparse parser.

    `device_from_args` opens the device. The parsed value is a valid argument of `Device`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    default : str, default "cpu"

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> add_device_argument(parser)
    >>> device_from_args(parser.parse_args(["--device", "cpu"])).name
    'cpu'
    """
    parser.add_argument(
        "--device",
        type=_device_word,
        default=default,
        metavar="cpu|gpu|gpu:N|auto",
        help="cpu (NumPy); gpu or gpu:N (CuPy; an error if it is unusable, never a fallback); auto"
        " (a usable GPU, or the CPU) (default: %(default)s)",
    )


def device_from_args(args: argparse.Namespace, /) -> "Device":
    """Return the device of ``--device``, or end the script with one line on standard error.

    Parameters
    ----------
    args : argparse.Namespace
        Of a parser with the option of `add_device_argument`, whose example uses this function.

    Returns
    -------
    Device

    Raises
    ------
    SystemExit
        With code 5, if no GPU is usable that ``--device`` asks for. The line is
        ``PROG: error: CAUSE``, as in argparse. ``Device(args.device)`` raises a `DeviceError`
        instead.
    """
    from xpnet.arrays.device import Device
    from xpnet.arrays.gpu.gpu_errors import DeviceError

    try:
        return Device(args.device)
    except DeviceError as error:
        parser = argparse.ArgumentParser()  # its name is that of the script
        parser.exit(DEVICE, f"{parser.prog}: error: {' '.join(str(error).split())}\n")


def _device_word(word: str) -> str:
    from xpnet.arrays.device import DEVICE_RULE, parse_device

    try:
        parse_device(word)
    except ValueError:
        msg = f"{DEVICE_RULE}; got {word!r}"
        raise argparse.ArgumentTypeError(msg) from None
    return word
