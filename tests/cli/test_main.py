"""Exit codes by the class of an error, errors of one line, and warnings as notes."""

import errno
import os
import warnings
from importlib import import_module

import pytest

from xpnet.files.optional import MissingPackageError
from xpnet.inference.chunks import DeviceMemoryError
from xpnet.networks.input_range import ScalingWarning

OUTPUTS = "xpnet.inference.predict.outputs_of"


def raiser(error):
    def fail(*_, **__):
        raise error

    return fail


def error_of(module, name, *args, base=RuntimeError, **attributes):
    """Return an error of a class that a library has under this name."""
    kind: type[Exception] = type(name, (base,), {"__module__": module, **attributes})
    return kind(*args)


def test_version(xpnet, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", {"xpnet": "1.2.3"}.get)
    result = xpnet("--version")
    assert (result.code, result.out, result.err) == (0, "xpnet 1.2.3\n", "")


@pytest.mark.parametrize(
    "case",
    [
        ("evaluate --batch-size 0", 2, "`batch_size` must be at least 1; got 0"),
        ("evaluate --rows x", 2, "--rows: invalid int value: 'x' (see xpnet evaluate --help)"),
        ("evaluate a b", 2, "unrecognized arguments: b (see xpnet evaluate --help)"),
        ("evaluate --seed 5", 2, "--seed is for --model random; got --model sample"),
        ("train --rows 5", 2, "the following arguments are required: -o/--output"),
        ("evaluate --data ''", 2, "unrecognized arguments: --data"),
        ("evaluate missing.csv", 3, "missing.csv: No such file or directory"),
        ("evaluate bad.csv", 3, "bad.csv:"),
        ("predict -o missing/o.csv", 3, "missing/o.csv: cannot be written: no such folder"),
        ("evaluate --model missing.npz", 4, "missing.npz: No such file or directory"),
        ("evaluate --model bad.csv", 4, "bad.csv"),
        ("evaluate --device tpu", 5, "'tpu' is none of cpu, gpu,"),
    ],
)
def test_the_class_of_an_error_has_an_exit_code(refused, tmp_path, monkeypatch, case):
    words, code, text = case
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text("1,2\n3,x\n")
    found, line = refused(*words.split())
    assert (found, text in line) == (code, True)


CUDA = "cupy_backends.cuda.api.runtime"
OF_CUPY = error_of("cupy.cuda.memory", "OutOfMemoryError", "9 bytes", base=MemoryError)
OF_DEVICE = error_of(CUDA, "CUDARuntimeError", "busy", status=46)
OF_COMPILER = error_of("cupy.cuda.compiler", "CompileException", "line\n" * 500)
ERRORS = {
    "memory": (71, MemoryError(), "out of memory"),
    "memory of the system": (71, OSError(errno.ENOMEM, "all gone"), "out of memory: all gone"),
    "system": (3, PermissionError(errno.EACCES, "Not yours", "a.csv"), "a.csv: Not yours"),
    "package": (2, MissingPackageError("a needs b"), "a needs b"),
    "exists": (2, FileExistsError(errno.EEXIST, "already exists", "a"), "a: already exists"),
    "rows on a device": (5, DeviceMemoryError.of_rows(9, "why"), None),
    "cupy's memory": (5, OF_CUPY, "has no memory left (9 bytes)"),
    "cupy's device": (5, OF_DEVICE, "unusable: busy"),
    "cupy's compiler": (5, OF_COMPILER, "line line line"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_of_the_computation(refused, monkeypatch, name):
    code, error, text = ERRORS[name]
    monkeypatch.setattr(OUTPUTS, raiser(error))
    found, line = refused("evaluate")
    assert (found, (text or str(error)) in line) == (code, True)
    assert not text or line.startswith("xpnet: out of memory") == (code == 71)


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
    monkeypatch.setattr(OUTPUTS, raiser(error))
    result = xpnet("evaluate")
    assert (result.code, result.out) == (70, "")
    assert result.err.startswith("Traceback")
    assert "a bug" in result.err.splitlines()[-1]


def test_debug_shows_where_an_error_came_from(xpnet):
    result = xpnet("evaluate", "missing.csv", "--debug")
    assert result.code == 3
    assert result.err.startswith("Traceback")
    assert "missing.csv" in result.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["evaluate", "{}"], 3, "{}: No such file or directory"),
        (["evaluate", "--model", "{}"], 4, "{}: No such file or directory"),
        (["evaluate", "--{}"], 2, "unrecognized arguments: --{} (see"),
        (["train", "-o", "{}"], 2, "got '{}'"),
    ],
    ids=["data", "weights", "option", "repr"],
)
def test_control_characters_are_escaped(refused, words, code, text):
    name, shown = "a\n\x1b[31m\x85b", r"a\n\x1b[31m\x85b"
    found, line = refused(*(word.format(name) for word in words))
    assert found == code
    assert text.replace("{}", shown) in line


@pytest.mark.skipif(os.name == "nt", reason="Windows has shorter names and other errors")
@pytest.mark.parametrize(
    ("words", "code"),
    [("evaluate", 3), ("predict -o", 3), ("evaluate --labels", 3), ("inspect", 4)],
)
@pytest.mark.parametrize("name", ["x" * 5000, "x y" * 1000], ids=["a word", "words"])
def test_a_long_name_leaves_room_for_the_reason(refused, words, code, name):
    found, line = refused(*words.split(), name)
    assert found == code
    assert line.startswith("xpnet: x")
    assert line.endswith(": File name too long\n")


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
