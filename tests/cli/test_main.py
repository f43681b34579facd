"""Exit codes, errors of one line, and the end of a process."""

import errno
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import xpnet as package
from xpnet.inference.chunks import DeviceMemoryError

COMMANDS = ("evaluate", "predict", "train", "parity", "show", "plot", "draw", "doctor")
# With -P the working directory is not searched: what is tested is the package, not the checkout.
PROCESS = (sys.executable, "-P", "-W", "error", "-m", "xpnet")


def run_process(*words, **options):
    """Run the command as a process of its own."""
    command = [*PROCESS, *words]
    return subprocess.run(command, stderr=subprocess.PIPE, check=False, timeout=60, **options)


def raiser(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """Go into an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_version(xpnet, monkeypatch):
    monkeypatch.setitem(vars(package), "__version__", "1.2.3")
    result = xpnet("--version")
    assert (result.code, result.out, result.err) == (0, "xpnet 1.2.3\n", "")


@pytest.mark.parametrize("words", [(), ("--help",)], ids=["alone", "--help"])
def test_help_names_every_command(xpnet, words):
    result = xpnet(*words)
    assert (result.code, result.err) == (0, "")
    assert [name for name in COMMANDS if f"    {name}" not in result.out] == []
    codes = "0 done, 1 out of bound, 2 usage, 3 data, 4 weights, 5 device,"
    codes += " 70 an internal error, 71 out of memory, 130 interrupted, 143 terminated."
    assert codes in " ".join(result.out.split())


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["evaluate", "{}"], 3, "{}: No such file or directory"),
        (["evaluate", "--model", "{}"], 4, "{}: No such file or directory"),
        (["evaluate", "--{}"], 2, "unrecognized arguments: --{} (see"),
        (["train", "-o", "{}"], 2, "got '{}'"),
        (
            ["train", "-o", "{}.npz", "--plot", "{}.npz"],
            2,
            "{}.npz, {}.npz must be different files",
        ),
    ],
    ids=["data", "weights", "option", "repr", "several"],
)
def test_control_characters_are_escaped(refused, words, code, text):
    name, shown = "a\n\x1b[31m\x85b", r"a\n\x1b[31m\x85b"
    found, line = refused(*(word.format(name) for word in words))
    assert found == code
    assert text.replace("{}", shown) in line


def test_control_characters_are_escaped_on_standard_output(xpnet, tmp_path):
    result = xpnet("plot", "relu", "-o", tmp_path / "a\n\x1b[31m.svg")
    assert (result.code, result.err) == (0, "")
    assert result.out == rf"wrote {tmp_path}/a\n\x1b[31m.svg" + "\n"


def test_a_long_argument_is_cut(refused):
    code, line = refused("evaluate", "--batch-size", "x" * 1000)
    assert code == 2
    assert "--batch-size: must be an integer of at least 1" in line
    assert (len(line), "x...x" in line) == (401, True)
    assert line.endswith("x' (see xpnet evaluate --help)\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows has shorter names and other errors")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["evaluate", "{}"], 3),
        (["predict", "-o", "{}"], 3),
        (["evaluate", "--labels", "{}"], 3),
        (["evaluate", "--model", "{}"], 4),
        (["inspect", "{}"], 4),
    ],
    ids=["data", "output", "labels", "model", "file"],
)
@pytest.mark.parametrize("name", ["x" * 5000, "x y" * 1000], ids=["a word", "words"])
def test_a_long_name_leaves_room_for_the_reason(refused, words, code, name):
    found, line = refused(*(word.format(name) for word in words))
    assert found == code
    assert line.startswith("xpnet: x")
    assert line.endswith(": File name too long\n")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(MemoryError(), "out of memory", id="nothing told"),
        pytest.param(MemoryError("a lot"), "out of memory: a lot", id="told"),
        pytest.param(
            np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype("u1")),  # noqa: SLF001
            "out of memory: Unable to allocate 1.00 TiB for an array with shape (1099511627776,)"
            " and data type uint8",
            id="numpy",
        ),
        pytest.param(OSError(errno.ENOMEM, "all gone"), "out of memory: all gone", id="system"),
    ],
)
def test_out_of_memory(refused, monkeypatch, error, text):
    first, second = (type(error)(*error.args) for _ in range(2))
    monkeypatch.setattr("xpnet.inference.predict.outputs_of", raiser(first))
    hint = "in batches of 123,456: try a smaller --batch-size"
    assert refused("evaluate", "--batch-size", "123456") == (71, f"xpnet: {text}; {hint}\n")
    monkeypatch.setattr(import_module("xpnet.datasets.read"), "open_rows", raiser(second))
    assert refused("evaluate") == (71, f"xpnet: {text}; {hint.replace('123,456', '1,024')}\n")


@pytest.mark.parametrize("command", ["predict", "show", "train"])
def test_out_of_memory_in_batches(refused, empty_folder, monkeypatch, command):
    fail = raiser(MemoryError())
    monkeypatch.setattr("xpnet.inference.predict.run", fail)
    monkeypatch.setattr("xpnet.training.train.train", fail)
    output = {"predict": "o.csv", "show": "o.png", "train": "o.npz"}[command]
    code, line = refused(command, "--batch-size", "9999", "-o", output)
    assert code == 71
    assert line == "xpnet: out of memory; in batches of 9,999: try a smaller --batch-size\n"
    assert list(empty_folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
def test_memory_that_the_system_refuses(tmp_path):
    np.lib.format.open_memmap(tmp_path / "many.npy", "w+", np.uint8, (3_000_000, 784))
    words = [*PROCESS, "parity", tmp_path / "many.npy", "--rows", "3000000"]
    line = ["/bin/sh", "-c", 'ulimit -v 1500000; exec "$@"', "sh", *words]
    done = subprocess.run(line, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (71, b"")
    assert done.stderr.startswith(b"xpnet: out of memory")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ValueError("a bug"), KeyError("a bug")])
def test_a_bug_is_not_hidden(xpnet, monkeypatch, error):
    monkeypatch.setattr("xpnet.inference.predict.outputs_of", raiser(error))
    result = xpnet("evaluate")
    assert result.code == 70
    assert result.err.startswith("Traceback")
    assert f"{type(error).__name__}: " in result.err
    assert "a bug" in result.err


def error_of(module, name, *args, base=RuntimeError, **attributes):
    """Return an error of a class that a library has under this name."""
    kind: type[Exception] = type(name, (base,), {"__module__": module, **attributes})
    return kind(*args)


OUT_OF_MEMORY = error_of(
    "cupy.cuda.memory", "OutOfMemoryError", "Out of memory allocating 1,024", base=MemoryError
)
RUNTIME = "cupy_backends.cuda.api.runtime"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OUT_OF_MEMORY, "has no memory left (Out of memory allocating 1,024)"),
        (error_of(RUNTIME, "CUDARuntimeError", "busy", status=46), "unusable: busy"),
        (error_of("cupy.cuda.compiler", "CompileException", "line\n" * 500), "line line line"),
    ],
    ids=["memory", "busy", "compiler"],
)
@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_errors_of_cupys_own_are_of_the_device(refused, monkeypatch, command, error, text):
    monkeypatch.setattr("xpnet.inference.predict.outputs_of", raiser(error))
    code, line = refused(command)
    assert code == 5
    assert text in line


def test_the_real_cupys_errors_are_of_the_device(refused, monkeypatch):
    cupy = pytest.importorskip("cupy", reason="needs the real CuPy, on any machine")
    error = cupy.cuda.memory.OutOfMemoryError(1024, 2048)
    monkeypatch.setattr("xpnet.inference.predict.outputs_of", raiser(error))
    code, line = refused("evaluate")
    assert code == 5
    assert "has no memory left (Out of memory allocating 1,024 bytes" in line


def test_a_gpu_without_memory_for_rows_is_an_error_of_the_device(refused, monkeypatch):
    error = DeviceMemoryError.of_rows(1024, "a reason")
    monkeypatch.setattr("xpnet.inference.predict.outputs_of", raiser(error))
    assert refused("evaluate") == (5, f"xpnet: {error}\n")


@pytest.mark.parametrize("module", ["mycupy", "numpy", "torch.cuda"])
def test_errors_of_others_are_not(xpnet, monkeypatch, module):
    error = error_of(module, "OutOfMemoryError", "a bug")
    monkeypatch.setattr("xpnet.inference.predict.outputs_of", raiser(error))
    assert xpnet("evaluate").code == 70


def test_debug_shows_where_cupys_error_came_from(xpnet, monkeypatch):
    monkeypatch.setattr("xpnet.inference.predict.outputs_of", raiser(OUT_OF_MEMORY))
    result = xpnet("evaluate", "--debug")
    assert result.code == 5
    assert result.err.startswith("Traceback")
    assert "OutOfMemoryError: Out of memory allocating 1,024" in result.err


def test_debug_shows_where_an_error_came_from(xpnet, tmp_path):
    result = xpnet("evaluate", tmp_path / "missing.csv", "--debug")
    assert result.code == 3
    assert result.err.startswith("Traceback")
    assert "missing.csv" in result.err


# A process meets a closed or full standard output at its end, or, unbuffered, at each line.
BUFFERED, UNBUFFERED = ({"PYTHONUNBUFFERED": text} for text in ("", "1"))
WRITERS = [
    (["evaluate"], BUFFERED),
    (["evaluate", "--json"], UNBUFFERED),
    (["predict"], BUFFERED),
    (["predict"], UNBUFFERED),
]


@pytest.mark.skipif(os.name == "nt", reason="pipes of Windows close in another way")
@pytest.mark.parametrize(("words", "buffering"), [*WRITERS, (["--help"], BUFFERED)])
def test_nobody_reads_the_output(words, buffering):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run_process(*words, stdout=writer, env=os.environ | buffering)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(os.name == "nt", reason="pipes of Windows close in another way")
@pytest.mark.parametrize("buffering", [BUFFERED, UNBUFFERED])
def test_the_reader_leaves_early(tmp_path, save_network, buffering):
    # Far more output than a pipe holds, so that writing must fail.
    np.save(tmp_path / "many.npy", np.zeros((200_000, 1), np.uint8))
    words = ["predict", tmp_path / "many.npy", "--model", save_network(2, n_in=1)]
    command = [*PROCESS, *words]
    streams = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=os.environ | buffering, **streams) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        rest = process.stderr.read()
        code = process.wait(timeout=60)
    assert (first, code, rest) == (b"ImageId,Label\n", 0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    ("words", "buffering"), [*WRITERS, (["predict", "-o", "/dev/full"], BUFFERED)]
)
def test_the_disk_is_full(words, buffering):
    with Path("/dev/full").open("wb") as full:
        done = run_process(*words, stdout=full, env=os.environ | buffering)
    assert done.returncode == 3
    assert done.stderr.startswith(b"xpnet: ")
    assert done.stderr.endswith(b"No space left on device\n")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.usefixtures("utf8_names")
@pytest.mark.parametrize("name", ["a b.csv", "\N{SNOWMAN}.csv", "quote'.csv", "-.csv", "x" * 200])
def test_unusual_file_names(xpnet, tmp_path, labelled, name):
    path = labelled.rename(tmp_path / name)
    output = tmp_path / f"out {name}"
    assert xpnet("predict", path, "-o", output).code == 0
    assert output.read_text().startswith("ImageId,Label\n1,0\n")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems want names of Unicode")
@pytest.mark.usefixtures("utf8_names")
def test_a_file_name_that_is_not_utf8(tmp_path, labelled):
    images = labelled.rename(tmp_path / os.fsdecode(b"\xff.csv"))
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    output = tmp_path / os.fsdecode(b"\xfe.csv")
    done = run_process("predict", images, "-o", output, stdout=subprocess.PIPE, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\xfe.csv\n" in done.stdout
    assert len(output.read_text().splitlines()) == 41
