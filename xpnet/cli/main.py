"""The parser of all commands, and the exit codes of their errors."""

import argparse
import errno
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NoReturn

from xpnet.cli import bench, convert, doctor, evaluate, inspect, parity, plot, predict, show, train
from xpnet.cli.arguments import UsageError
from xpnet.cli.report import print_line
from xpnet.cli.signals import NAMES, Signals, signal_of
from xpnet.cli.stopwatch import Stopwatch
from xpnet.cli.streams import standard_output, tell, write_error_text

__all__ = ["main"]

_COMMANDS = (evaluate, predict, train, convert, inspect, parity, bench, show, plot, doctor)
# What is installed only where it is asked for.
_EXTRAS = frozenset({"matplotlib", "onnx"})
# As sysexits.h has it. Python's own 1 would say: out of bound.
_FAULT_OF_XPNET, _OUT_OF_MEMORY = 70, 71


class _Parser(argparse.ArgumentParser):
    """A parser whose usage errors are one line, as all errors are."""

    def error(self, message: str) -> NoReturn:
        tell(f"{message} (see {self.prog} --help)")
        raise SystemExit(2)

    def print_help(self, file: Any = None) -> None:
        with standard_output() as output:  # argparse ignores the errors of writing
            (file or output).write(self.format_help())

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # In "--rows=--" argparse drops the value, as if it ended the options.
        if action.option_strings and "--" in arg_strings:
            raise argparse.ArgumentError(action, "expected one argument; got '--'")
        return super()._get_values(action, arg_strings)


def main(argv: Sequence[str] | None = None, *, signals: Signals | None = None) -> int:
    """Run a command line; return its exit code.

    The codes: 0 done, 1 out of bound, 2 usage, 3 data, 4 weights, 5 device, 70 a fault of xpnet,
    71 out of memory, 130 interrupted, 143 terminated. An error is one line of at most 400
    characters on stderr; ``--debug`` shows the traceback.
    """
    args, code = argparse.Namespace(debug=False), 0
    signals = signals or Signals()  # of a caller that has handlers of its own
    try:
        try:
            args = _parse(sys.argv[1:] if argv is None else argv)
            with standard_output():  # before any work, if it is closed
                signals.begin()
            with ExitStack() as args.settings:  # of libraries, as long as the command runs
                args.settings.enter_context(_data_warnings_told())
                args.settings.enter_context(_without_warnings())
                code = args.run(args, Stopwatch())
        except SystemExit as leaving:  # after --help, --version or a usage error
            code = int(leaving.code or 0)
        if sys.stdout is not None:
            with standard_output() as output:
                output.flush()
    except BrokenPipeError:  # the reader has seen enough, as head(1) does
        code = getattr(args, "verdict", code)
    except KeyboardInterrupt as interrupt:
        code = _tell_signal(signal_of(interrupt))
    except Exception as caught:  # noqa: BLE001 (described, or shown with its traceback)
        error = _known(caught, args)
        code = _exit_code(error)
        if code == _FAULT_OF_XPNET and signals.received is not None:
            # A library may make another error of an interrupt, such as an ImportError.
            code = _tell_signal(signals.received)
        elif args.debug or code == _FAULT_OF_XPNET:
            write_error_text(traceback.format_exc())
        else:
            tell(_describe(error, args))
    return code


def _tell_signal(number: int) -> int:
    """Print the signal that ended the command; return its exit code."""
    tell(NAMES[number])
    return 128 + number


@contextmanager
def _data_warnings_told() -> Iterator[None]:
    """Print warnings about data as one line each, whatever the filters of warnings are."""
    from xpnet.files.errors import DataWarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, DataWarning):
            tell(str(message))
        else:
            show_others(message, category, *place, **more)

    with warnings.catch_warnings():
        show_others = warnings.showwarning
        warnings.showwarning = show
        warnings.simplefilter("always", DataWarning)
        yield


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = _make_parser()
    for word in words:
        try:
            is_valid = b"\0" not in os.fsencode(word)
        except UnicodeEncodeError:
            is_valid = False
        if not is_valid:
            parser.error(f"arguments must not hold NUL or lone surrogates; got {word!r}")
    return parser.parse_args(words)


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="xpnet",
        description="Neural networks written once against the array API, on NumPy or CuPy.",
        epilog="Exit codes: 0 done, 1 out of bound, 2 usage, 3 data, 4 weights, 5 device,"
        " 70 a fault of xpnet, 71 out of memory, 130 interrupted, 143 terminated.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


class _Version(argparse.Action):
    """Show the version; looked up only when asked for, since that takes time."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        import xpnet

        print_line(f"xpnet {xpnet.__version__}")
        parser.exit()


def _without_warnings() -> AbstractContextManager[object]:
    """Return a context without NumPy's warnings: a command itself tells what is not finite."""
    from xpnet.arrays.namespace import without_warnings

    return without_warnings()


def _known(error: Exception, args: argparse.Namespace) -> Exception:
    """Return an error as one of the data, or of the GPU of --device, if it is of either."""
    from xpnet.arrays.gpu.gpu_errors import DeviceError
    from xpnet.arrays.ranges import RangeError
    from xpnet.cli.input_range import as_data_error

    if isinstance(error, RangeError):
        has_precision = args.command not in {"convert", "train"}
        return as_data_error(error, args.data, has_precision=has_precision)
    if not type(error).__module__.startswith("cupy"):
        return error
    from xpnet.arrays.gpu.diagnosis import cause_of

    index = str(getattr(args, "device", "")).rpartition(":")[2]
    return DeviceError(cause_of(error, int(index) if index.isdigit() else 0))


def _exit_code(error: Exception) -> int:
    """Return the exit code of an error that a user can mend, or else of one that only we can."""
    from xpnet.arrays.gpu.gpu_errors import DeviceError
    from xpnet.files.errors import DataError, WeightsError

    if isinstance(error, UsageError | FileExistsError):
        return 2
    if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] in _EXTRAS:
        return 2
    if _is_memory_error(error):
        return _OUT_OF_MEMORY
    if isinstance(error, DataError | OSError):
        return 3
    if isinstance(error, WeightsError):
        return 4
    return 5 if isinstance(error, DeviceError) else _FAULT_OF_XPNET


def _is_memory_error(error: Exception) -> bool:
    is_refused = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return is_refused or isinstance(error, MemoryError)


def _describe(error: Exception, args: argparse.Namespace) -> str:
    from xpnet.arrays.gpu.gpu_errors import DeviceError

    if isinstance(error, DeviceError):  # may quote many lines of a compiler
        return " ".join(str(error).split())
    message = str(error)
    if isinstance(error, OSError):
        message = error.strerror or message
        if error.filename is not None:
            message = f"{error.filename}: {message}"
    if not _is_memory_error(error):
        return message
    n_batch = getattr(args, "n_batch", None)
    hint = f"in batches of {n_batch:,}: try a smaller --batch-size" if n_batch else ""
    return f"out of memory{': ' * bool(message)}{message}{'; ' * bool(hint)}{hint}"
