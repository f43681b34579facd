"""A command line run from its words to its exit code."""

import argparse
import sys
import traceback
from collections.abc import Sequence

from xpnet.cli import exit_codes
from xpnet.cli.arguments import UsageError, check_distinct_files, missing_file_hint
from xpnet.cli.data_arguments import is_memory_error
from xpnet.cli.parser import parse
from xpnet.cli.report import Stopwatch, print_outcome
from xpnet.cli.signals import Signals
from xpnet.cli.streams import (
    data_warnings_as_notes,
    flush_output,
    print_note,
    standard_output,
    write_error_text,
)
from xpnet.files.errors import DataError, WeightsError
from xpnet.files.optional import MissingPackageError


def main(argv: Sequence[str] | None = None, *, signals: Signals | None = None) -> int:
    """Run a command line; return its exit code, one of those in ``xpnet --help``.

    An error is one line of at most 400 characters on standard error; ``--debug`` shows the
    traceback. `signals` are installed by the caller.
    """
    args, code = argparse.Namespace(debug=False), exit_codes.DONE
    signals = signals or Signals()
    try:
        try:
            args = parse(sys.argv[1:] if argv is None else argv)
            with standard_output():  # if it is closed, fail before any work
                pass
            check_distinct_files(args)
            from xpnet.arrays.namespace import without_warnings

            # Commands themselves report results that are not finite.
            with data_warnings_as_notes(), without_warnings():
                outcome = args.run(args, Stopwatch())
                code = outcome.code
                print_outcome(outcome, as_json=getattr(args, "json", False))
        except SystemExit as leaving:  # after --help, --version or a usage error
            code = int(leaving.code or 0)
        flush_output()
    except BrokenPipeError:  # the reader has closed the pipe, as head(1) does
        return code
    except KeyboardInterrupt:
        code = signals.exit_code
        print_note(signals.message)
    except Exception as caught:  # noqa: BLE001 (described, or shown with its traceback)
        code, message = _code_and_message(caught, str(getattr(args, "device", "")))
        if code == exit_codes.INTERNAL and signals.received is not None:
            # A library may turn an interrupt into another error, such as an ImportError.
            code = signals.exit_code
            print_note(signals.message)
        elif args.debug or code == exit_codes.INTERNAL:
            write_error_text(traceback.format_exc())
        else:
            print_note(message)
    return code


def _code_and_message(error: Exception, device: str) -> tuple[int, str]:
    """Return the exit code and the message of an error; INTERNAL if the user cannot fix it."""
    from xpnet.arrays.device_errors import DeviceError
    from xpnet.arrays.gpu import cause_of, is_from_cupy

    if is_from_cupy(error):
        index = device.rpartition(":")[2]
        error = cause_of(error, int(index) if index.isdigit() else 0)
    message = str(error)
    # Before a MemoryError, which a DeviceError may be as well.
    if isinstance(error, DeviceError):
        return exit_codes.DEVICE, message
    if isinstance(error, OSError):
        message = error.strerror or message
        if error.filename is not None:
            message = f"{error.filename}: {message}"
        if isinstance(error, FileNotFoundError):
            message += missing_file_hint(str(error.filename), ["sample"])
    if is_memory_error(error):
        text = f"out of memory: {message}" if message else "out of memory"
        return exit_codes.OUT_OF_MEMORY, "; ".join([text, *getattr(error, "__notes__", [])])
    if isinstance(error, UsageError | FileExistsError | MissingPackageError):
        return exit_codes.USAGE, message
    if isinstance(error, DataError | OSError):
        return exit_codes.DATA, message
    is_known = isinstance(error, WeightsError)
    return exit_codes.WEIGHTS if is_known else exit_codes.INTERNAL, message
