"""Errors: the exit code of a class, one line for people; and warnings as notes.

The transcripts hold those of usage, data, weights and devices.
"""

import errno
import os
import warnings
from importlib import import_module
from unittest.mock import Mock

import pytest

from xpnet.files.optional import MissingPackageError
from xpnet.inference.chunks import DeviceMemoryError
from xpnet.networks.input_range import ScalingWarning

OUTPUTS = "xpnet.inference.predict.outputs_of"


def error_of(module, name, *args, base=RuntimeError, **attributes):
    """Return an error of a class that a library has under this name."""
    return type(name, (base,), {"__module__": module, **attributes})(*args)


def test_version(xpnet, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", {"xpnet": "1.2.3"}.get)
    result = xpnet("--version")
    assert (result.code, result.out, result.err) == (0, "xpnet 1.2.3\n", "")


CUDA = "cupy_backends.cuda.api.runtime"
OF_CUPY = error_of("cupy.cuda.memory", "OutOfMemoryError", "9 bytes", base=MemoryError)
OF_DEVICE = error_of(CUDA, "CUDARuntimeError", "busy", status=46)
OF_COMPILER = error_of("cupy.cuda.compiler", "CompileException", "line\n" * 500)
ERRORS = {
    "memory": (71, MemoryError(), "xpnet: out of memory\n"),
    "memory of the system": (71, OSError(errno.ENOMEM, "gone"), "xpnet: out of memory: gone\n"),
    "system": (3, PermissionError(errno.EACCES, "Not yours", "a.csv"), "xpnet: a.csv: Not yours\n"),
    "package": (2, MissingPackageError("a needs b"), "xpnet: a needs b\n"),
    "exists": (2, FileExistsError(errno.EEXIST, "exists", "a"), "xpnet: a: exists\n"),
    "rows on a device": (5, DeviceMemoryError("code", "why", "fix"), "why"),
    "cupy's memory": (5, OF_CUPY, "has no memory left (9 bytes)"),
    "cupy's device": (5, OF_DEVICE, "unusable: busy"),
    "cupy's compiler": (5, OF_COMPILER, "line line line"),
}


@pytest.mark.parametrize(("code", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_errors_of_the_computation(refused, monkeypatch, code, error, text):
    monkeypatch.setattr(OUTPUTS, Mock(side_effect=error))
    found, line = refused("evaluate")
    assert (found, text in line) == (code, True)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a bug"),
        ValueError("a bug"),  # raised by no function of xpnet
        TypeError("a bug"),
        KeyError("a bug"),
        ModuleNotFoundError("a bug"),
        error_of("mycupy", "OutOfMemoryError", "a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_bug_is_not_hidden(xpnet, monkeypatch, error):
    monkeypatch.setattr(OUTPUTS, Mock(side_effect=error))
    result = xpnet("evaluate")
    assert (result.code, result.out, result.err.startswith("Traceback")) == (70, "", True)
    assert "a bug" in result.err.splitlines()[-1]


def test_debug_shows_where_an_error_came_from(xpnet):
    result = xpnet("evaluate", "missing.csv", "--debug")
    assert (result.code, result.err.startswith("Traceback")) == (3, True)
    assert "missing.csv" in result.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("evaluate {}", 3, "{}: No such file or directory"),
        ("evaluate --model {}", 4, "{}: No such file or directory"),
        ("evaluate --{}", 2, "unrecognized arguments: --{} (see"),
        ("train -o {}", 2, "got '{}'"),
    ],
    ids=["data", "weights", "option", "repr"],
)
def test_control_characters_are_escaped(refused, words, code, text):
    found, line = refused(*(word.format("a\n\x1b[31m\x85b") for word in words.split()))
    assert (found, text.format(r"a\n\x1b[31m\x85b") in line) == (code, True)


@pytest.mark.skipif(os.name == "nt", reason="Windows has shorter names and other errors")
@pytest.mark.parametrize(
    ("words", "code"),
    [("evaluate", 3), ("predict -o", 3), ("evaluate --labels", 3), ("inspect", 4)],
)
def test_a_long_name_leaves_room_for_the_reason(refused, words, code):
    found, line = refused(*words.split(), "x y" * 1000)
    assert (found, line[:8], line[-21:]) == (code, "xpnet: x", ": File name too long\n")


def test_warnings_are_notes(xpnet, monkeypatch):
    """Those of xpnet, which are UserWarnings: of a wrong range, one for all blocks."""
    original = import_module("xpnet.inference.predict").outputs_of

    def warn(*given, **options):
        for kind in (ScalingWarning, UserWarning, ScalingWarning, UserWarning):
            warnings.warn(f"a\n{kind.__name__}", kind, stacklevel=1)
        return original(*given, **options)

    monkeypatch.setattr(OUTPUTS, warn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a caller
        result = xpnet("evaluate")
    assert result.code == 0
    notes = [r"a\nScalingWarning", r"a\nUserWarning", r"a\nUserWarning"]
    assert result.err.splitlines() == [f"xpnet: {note}" for note in notes]
