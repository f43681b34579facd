"""A command line run from its words to its exit code."""

import argparse
import errno
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from xpnet.cli.files import check_outputs
from xpnet.cli.parser import parse
from xpnet.cli.report import print_outcome
from xpnet.cli.streams import check_standard_output, print_error_text, print_note, warnings_as_notes

__all__ = ["main"]

_INTERNAL, _OUT_OF_MEMORY, _INTERRUPTED = 70, 71, 130


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit code, one of those in ``xpnet --help``.

    An error is one line of at most 400 characters on standard error; ``--debug`` shows the
    traceback.
    """
    args, code = argparse.Namespace(), 0
    try:
        check_standard_output()  # before any work
        args = parse(sys.argv[1:] if words is None else words)
        given = {name: x for name, x in vars(args).items() if name not in {"run", "debug"}}
        check_outputs(given.values(), force=given.get("force", False))
        from xpnet.arrays.namespace import without_warnings

        with warnings_as_notes(), without_warnings():
            outcome = args.run(**given)
            code = outcome.code
            print_outcome(outcome, as_json=given.get("json", False))
    except BrokenPipeError:  # the reader has closed the pipe, as head(1) does
        pass
    except KeyboardInterrupt as interrupt:
        print_note(str(interrupt) or "interrupted")
        code = _INTERRUPTED
    except SystemExit as leaving:  # after --help, a usage error, or SIGTERM
        code = int(leaving.code or 0)
    except Exception as error:  # noqa: BLE001 (described, or shown with its traceback)
        asked: list[Any] = [getattr(args, "device", None), *getattr(args, "devices", [])]
        code, message = _code_and_message(error, [word for word in asked if word])
        if code == _INTERNAL or getattr(args, "debug", False):
            print_error_text(traceback.format_exc().rstrip())
        else:
            print_note(message)
    return code


def _code_and_message(error: Exception, devices: Sequence[str]) -> tuple[int, str]:
    """Return the exit code and the message of an error of a command for these devices."""
    from xpnet.arrays.device_errors import DeviceError
    from xpnet.arrays.gpu import cause_of, is_from_cupy
    from xpnet.files.errors import DataError, WeightsError
    from xpnet.files.optional import MissingPackageError
    from xpnet.training.run import RunawayError

    if is_from_cupy(error):
        parts = (word.partition(":") for word in devices)
        indices = {
            index or "0" for library, _, index in parts if library in {"gpu", "cuda", "cupy"}
        }
        error = cause_of(error, " or ".join(sorted(indices)) or 0)
    message = str(error)
    if isinstance(error, OSError):
        message = error.strerror or message
        message = f"{error.filename}: {message}" if error.filename is not None else message
    # A DeviceError may be a MemoryError, and the others but OSError are ValueErrors.
    if isinstance(error, DeviceError):
        return 5, message
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return _OUT_OF_MEMORY, f"out of memory: {message}".removesuffix(": ")
    if isinstance(error, WeightsError):
        return 4, message
    if isinstance(error, FileExistsError | MissingPackageError):
        return 2, message
    if isinstance(error, DataError | OSError | RunawayError):
        return 3, message
    is_usage = isinstance(error, TypeError | ValueError) and _is_raised_by_xpnet(error)
    return 2 if is_usage else _INTERNAL, message


def _is_raised_by_xpnet(error: Exception) -> bool:
    """Return whether the function that raised an error is one of xpnet's."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).startswith("xpnet.")
