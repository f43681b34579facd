"""Standard streams that are closed, full or unread."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xpnet import cli
from xpnet.cli.main import main
from xpnet.cli.streams import print_note, progress_bar, standard_output

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")

# With -P the working directory is not searched: what is tested is the package, not the checkout.
PROCESS = (sys.executable, "-P", "-X", "dev", "-W", "error", "-m", "xpnet")

# What the shell does to one stream, and, for a few commands, to all of them.
ONE = ["2>&-", "2>/dev/full", ">&-", ">/dev/full"]
ALL = ["<&- >&- 2>&-", ">/dev/full 2>/dev/full"]
COMMANDS = {
    "help": ("--help", 0),
    "version": ("--version", 0),
    "evaluate": ("evaluate --rows 5", 0),
    "predict": ("predict --rows 5", 0),
    "predict_top": ("predict --rows 5 --top 2", 0),
    "predict_to_file": ("predict --rows 5 -o out.csv", 0),
    "predict_to_npz": ("predict --rows 5 --proba -o out.npz", 0),
    "train": ("train --rows 50 --epochs 2 --hidden 5 -o out.npz", 0),
    "convert": ("convert model.safetensors out.npz", 0),
    "inspect": ("inspect sample", 0),
    "parity": ("parity --rows 5", 0),
    "bench": ("bench --rows 5 --batch-sizes 1 --rounds 1", 0),
    "doctor": ("doctor --device gpu:99", 5),
    "usage": ("evaluate --fast", 2),
    "data": ("evaluate missing.csv", 3),
    "weights": ("evaluate --model missing.npz", 4),
    "device": ("evaluate --device gpu:99", 5),
}


ERRORS = {"usage", "data", "weights", "device"}
CASES = [(name, each) for name in COMMANDS for each in ONE]
CASES += [(name, each) for name in ("predict", "train", "bench", "data") for each in ALL]


@pytest.fixture
def folder(tmp_path, save_network):
    save_network(10).rename(tmp_path / "model.safetensors")
    return tmp_path


def run_shell(command, redirections, folder):
    """Run a command under a POSIX shell; return its exit code and what it wrote."""
    script = f'exec >out 2>err; exec "$@" {redirections}'
    line = ["/bin/sh", "-c", script, "sh", *PROCESS, *command.split()]
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}  # so that there is something to flush
    code = subprocess.run(line, cwd=folder, env=environment, check=False, timeout=60).returncode
    return code, (folder / "out").read_text(), (folder / "err").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(("name", "redirections"), CASES)
def test_exit_codes_do_not_depend_on_what_can_be_written(folder, name, redirections):
    command, code = COMMANDS[name]
    words = redirections.split()
    # A closed output is told before any work; a full one where it is written.
    is_told = name != "usage" and (">&-" in words or (">/dev/full" in words and name not in ERRORS))
    found, out, err = run_shell(command, redirections, folder)
    assert found == (3 if is_told else code)
    has_output = words[0].startswith("2") and name not in ERRORS
    assert bool(out) is has_output
    has_line = len(words) == 1 and words[0].startswith(">") and (is_told or name in ERRORS)
    lines = [line for line in err.splitlines() if not line.startswith(("epoch ", "training with "))]
    assert len(lines) == has_line
    if has_line and is_told:
        reasons = {">&-": " is closed", ">/dev/full": ": No space left on device"}
        assert lines == [f"xpnet: standard output{reasons[redirections]}"]


@pytest.fixture
def unread():
    """Give the end of a pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize("name", ["train", "data"])
def test_nobody_reads_the_messages(folder, unread, name):
    command, code = COMMANDS[name]
    done = subprocess.run(
        [*PROCESS, *command.split()],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=unread,
        check=False,
        timeout=60,
    )
    assert done.returncode == code


@pytest.mark.parametrize("buffering", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_verdict_stays_if_nobody_reads_it(unread, buffering):
    done = subprocess.run(
        [*PROCESS, "doctor", "--device", "gpu:99"],
        env={**os.environ, "PYTHONUNBUFFERED": buffering},
        stdout=unread,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (5, b"")


@pytest.mark.parametrize(
    "path", sorted(Path(cli.__file__).parent.glob("*.py")), ids=lambda path: path.stem
)
def test_all_commands_write_by_these_functions(path):
    allowed = {"streams": {"sys.stdout", "sys.stderr"}, "report": {"print("}}
    code = path.read_text().replace("_print(", "")
    found = {name for name in ("sys.stdout", "sys.stderr", " print(") if name in code}
    assert {name.strip() for name in found} <= allowed.get(path.stem, set())


class Broken(io.StringIO):
    """A stream that cannot be written."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, _):
        raise self.error

    def isatty(self):
        return True

    def fileno(self):
        return 2


@pytest.fixture(
    params=[OSError(28, "full"), BrokenPipeError(), BlockingIOError(), ValueError("closed")],
    ids=lambda error: type(error).__name__,
)
def break_stderr(request, monkeypatch):
    """Return a function that makes standard error a terminal that cannot be written.

    A test calls it, since pytest replaces standard error after the fixtures.
    """
    return lambda: monkeypatch.setattr("sys.stderr", Broken(request.param))


def test_a_note_never_fails(break_stderr):
    break_stderr()
    print_note("anything")


def test_a_progress_bar_never_fails(break_stderr):
    break_stderr()
    with progress_bar(total=2, mininterval=0.0) as bar:
        assert bar is not None
        bar.update(1)
        bar.write("a line", file=bar.fp)
        bar.update(1)
    assert bar.n == 2


@pytest.mark.parametrize("words", [("predict", "--rows", "5"), ("evaluate", "missing.csv")])
def test_commands_on_a_terminal_that_fails(break_stderr, words):
    break_stderr()
    assert main([*words]) == (3 if "missing.csv" in words else 0)


def test_a_note_is_one_line(capsys):
    print_note(f"a\nb\x1b {'x' * 1000} end")
    line = capsys.readouterr().err
    assert line.startswith("xpnet: a\\nb\\x1b xx")
    assert line.endswith("xx end\n")
    assert (len(line), "x...x" in line) == (401, True)


def test_an_error_of_standard_output_names_it(monkeypatch):
    with pytest.raises(OSError, match="full") as caught, standard_output():
        raise OSError(28, "full")
    assert caught.value.filename == "standard output"
    with pytest.raises(OSError, match="gone: 'a"), standard_output():
        raise OSError(2, "gone", "a.csv")
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(OSError, match="standard output is closed"), standard_output():
        pass
