"""The parser of all commands, and the exit codes of errors."""

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from xpnet.cli import bench, convert, doctor, evaluate, inspect, parity, plot, predict, show, train
from xpnet.cli.arguments import UsageError
from xpnet.cli.data_arguments import is_memory_error
from xpnet.cli.device_choice import chosen_precision
from xpnet.cli.report import Stopwatch, print_line, print_outcome
from xpnet.cli.signals import NAMES, Signals, signal_of
from xpnet.cli.streams import flush_output, print_note, standard_output, write_error_text

_COMMANDS = (evaluate, predict, train, convert, inspect, parity, bench, show, plot, doctor)
# Options that were removed, and those that took their place.
_FORMER = dict.fromkeys(["--batch-invariant", "--batch-invariance"], "--reproducible")
# Optional packages that a command imports only when it needs them.
_EXTRAS = frozenset({"matplotlib", "onnx"})
# As in sysexits.h. Python's own code 1 would mean out of bound.
_FAULT_OF_XPNET, _OUT_OF_MEMORY = 70, 71


class _Parser(argparse.ArgumentParser):
    """A parser with errors of one line, which name the nearest valid word."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        print_note(f"{message} (see {self.prog} --help)")
        raise SystemExit(2)

    def print_help(self, file: Any = None) -> None:
        with standard_output() as output:  # argparse ignores errors in writing
            (file or output).write(self.format_help())

    def unrecognized(self, words: Sequence[str]) -> NoReturn:
        """Raise a usage error for unknown arguments."""
        options = [name for name in self._option_string_actions if name.startswith("--")]
        option = next((word.partition("=")[0] for word in words if word.startswith("-")), "")
        hint = _suggestion(option, options)
        if option in _FORMER:
            hint = f"; use {_FORMER[option]} instead"
        self.error(f"unrecognized arguments: {' '.join(words)}{hint}")

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # For "--rows=--", argparse would drop the value as if it ended the options.
        if action.option_strings and "--" in arg_strings:
            raise argparse.ArgumentError(action, "expected one argument; got '--'")
        return super()._get_values(action, arg_strings)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # The message of argparse depends on the version of Python.
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            hint = f"{_suggestion(value, choices)} (choose from {', '.join(choices)})"
            raise argparse.ArgumentError(action, f"invalid choice: {value!r}{hint}")


def _suggestion(word: str, known: Collection[str]) -> str:
    """Return a hint such as "; did you mean relu?" for a mistyped word, or an empty string."""
    from difflib import get_close_matches

    nearest = get_close_matches(word.lower(), known, 1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def main(argv: Sequence[str] | None = None, *, signals: Signals | None = None) -> int:
    """Run a command line; return its exit code, one of those in ``xpnet --help``.

    An error is one line of at most 400 characters on standard error; ``--debug`` shows the
    traceback.
    """
    args, code = argparse.Namespace(debug=False), 0
    signals = signals or Signals()  # a caller has its own handlers
    try:
        try:
            args = _parse(sys.argv[1:] if argv is None else argv)
            with standard_output():  # if it is closed, fail before any work
                signals.begin()
            from xpnet.arrays.namespace import without_warnings

            # Commands themselves report results that are not finite.
            with _data_warnings_as_notes(), without_warnings(), chosen_precision(args):
                outcome = args.run(args, Stopwatch())
                code = outcome.code
                print_outcome(outcome, as_json=getattr(args, "json", False))
        except SystemExit as leaving:  # after --help, --version or a usage error
            code = int(leaving.code or 0)
        flush_output()
    except BrokenPipeError:  # the reader has closed the pipe, as head(1) does
        return code
    except KeyboardInterrupt as interrupt:
        number = signal_of(interrupt)
        code = 128 + number
        print_note(NAMES[number])
    except Exception as caught:  # noqa: BLE001 (described, or shown with its traceback)
        error = _as_device_error(caught, str(getattr(args, "device", "")))
        code = _exit_code(error)
        if code == _FAULT_OF_XPNET and signals.received is not None:
            # A library may turn an interrupt into another error, such as an ImportError.
            code = 128 + signals.received
            print_note(NAMES[signals.received])
        elif args.debug or code == _FAULT_OF_XPNET:
            write_error_text(traceback.format_exc())
        else:
            print_note(_describe(error))
    return code


@contextmanager
def _data_warnings_as_notes() -> Iterator[None]:
    """Print each warning about data as a note, independent of the warning filters."""
    from xpnet.files.errors import DataWarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, DataWarning):
            print_note(str(message))
        else:
            show_others(message, category, *place, **more)

    with warnings.catch_warnings():
        show_others = warnings.showwarning
        warnings.showwarning = show
        warnings.simplefilter("always", DataWarning)
        yield


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="xpnet",
        description="Neural networks written once against the array API, on NumPy or CuPy.",
        epilog="Exit codes: 0 done, 1 out of bound, 2 usage, 3 data, 4 weights, 5 device,"
        " 70 an internal error, 71 out of memory, 130 interrupted, 143 terminated.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    for command in _COMMANDS:
        command.add_parser(commands)
    for word in words:
        try:
            is_valid = b"\0" not in os.fsencode(word)
        except UnicodeEncodeError:
            is_valid = False
        if not is_valid:
            parser.error(f"arguments must not hold NUL or lone surrogates; got {word!r}")
    args, others = parser.parse_known_args(words)
    if others:
        (parser if args.command is None else commands.choices[args.command]).unrecognized(others)
    if args.command is None:
        parser.print_help()
        parser.exit()
    return args


class _Version(argparse.Action):
    """Show the version, which is looked up only for this option since that takes time."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        import xpnet

        print_line(f"xpnet {xpnet.__version__}")
        parser.exit()


def _as_device_error(error: Exception, device: str) -> Exception:
    """Return an error of CuPy as a DeviceError with its cause; other errors unchanged."""
    from xpnet.arrays.gpu.cupy_errors import cause_of, is_from_cupy
    from xpnet.arrays.gpu.gpu_errors import DeviceError

    if not is_from_cupy(error):
        return error
    index = device.rpartition(":")[2]
    return DeviceError(cause_of(error, int(index) if index.isdigit() else 0))


def _exit_code(error: Exception) -> int:
    """Return the exit code of an error; 70 if the user cannot fix it."""
    from xpnet.arrays.gpu.gpu_errors import DeviceError
    from xpnet.files.errors import DataError, WeightsError

    if isinstance(error, DeviceError):  # before a MemoryError, which it may be as well
        return 5
    if is_memory_error(error):
        return _OUT_OF_MEMORY
    is_extra = isinstance(error, ModuleNotFoundError) and str(error.name).split(".")[0] in _EXTRAS
    if is_extra or isinstance(error, UsageError | FileExistsError):
        return 2
    if isinstance(error, DataError | OSError):
        return 3
    return 4 if isinstance(error, WeightsError) else _FAULT_OF_XPNET


def _describe(error: Exception) -> str:
    from xpnet.arrays.gpu.gpu_errors import DeviceError

    if isinstance(error, DeviceError):  # may quote many lines of a compiler
        return " ".join(str(error).split())
    message = str(error)
    if isinstance(error, OSError):
        message = error.strerror or message
        if error.filename is not None:
            message = f"{error.filename}: {message}"
    if not is_memory_error(error):
        return message
    text = f"out of memory: {message}" if message else "out of memory"
    return "; ".join([text, *getattr(error, "__notes__", [])])
