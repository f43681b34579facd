"""Standard streams that are closed, full or unread, of real processes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xpnet import cli

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX")

# With -P the working directory is not searched: what is tested is the package, not the checkout.
PROCESS = (sys.executable, "-P", "-X", "dev", "-W", "error", "-m", "xpnet")
BUFFERINGS = pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
COMMANDS = {
    "help": ("--help", 0),
    "version": ("--version", 0),
    "evaluate": ("evaluate --rows 5 --json", 0),
    "predict": ("predict --rows 5", 0),
    "file": ("predict --rows 5 -o out.csv", 0),
    "train": ("train --rows 50 --epochs 2 --hidden 5 -o out.npz", 0),
    "verdict": ("doctor --device gpu:99", 5),
    "usage": ("evaluate --fast", 2),
    "data": ("evaluate missing.csv", 3),
}
ERRORS = {"usage", "data"}
# What the shell does to the streams.
ONE, ALL = ["2>&-", "2>/dev/full", ">&-", ">/dev/full"], ["<&- >&- 2>&-", ">/dev/full 2>/dev/full"]
CASES = [(name, each) for name in COMMANDS for each in ONE]
CASES += [(name, each) for name in ("predict", "train", "data") for each in ALL]


def run(command, folder, *, unbuffered="", **streams):
    """Run a process to its end; return its exit code and, if nothing else takes it, its stderr."""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    options = {"cwd": folder, "env": environment, "timeout": 60, "stderr": subprocess.PIPE}
    done = subprocess.run(command, check=False, **options | streams)
    return done.returncode, (done.stderr or b"").decode()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(("name", "redirections"), CASES)
def test_exit_codes_do_not_depend_on_what_can_be_written(tmp_path, name, redirections):
    (command, code), words = COMMANDS[name], redirections.split()
    script = f'exec >out 2>err; exec "$@" {redirections}'
    found, _ = run(["/bin/sh", "-c", script, "sh", *PROCESS, *command.split()], tmp_path)
    # A closed output is told before any work; a full one where it is written.
    is_told = ">&-" in words or (">/dev/full" in words and name not in ERRORS)
    assert found == (3 if is_told else code)
    out, err = ((tmp_path / each).read_text() for each in ("out", "err"))
    assert bool(out) is (words[0].startswith("2") and name not in ERRORS)
    lines = [line for line in err.splitlines() if not line.startswith("epoch ")]
    has_line = len(words) == 1 and words[0].startswith(">") and (is_told or name in ERRORS)
    assert len(lines) == has_line
    if has_line and is_told:
        reasons = {">&-": " is closed", ">/dev/full": ": No space left on device"}
        assert lines == [f"xpnet: standard output{reasons[redirections]}"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", ["evaluate --json", "predict"])
@BUFFERINGS
def test_the_disk_is_full(tmp_path, words, unbuffered):
    with Path("/dev/full").open("wb") as full:
        found = run([*PROCESS, *words.split()], tmp_path, unbuffered=unbuffered, stdout=full)
    assert found == (3, "xpnet: standard output: No space left on device\n")


@pytest.fixture
def unread():
    """Give the end of a pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize(
    ("stream", "name"),
    [
        *(("stdout", name) for name in ("help", "evaluate", "predict", "verdict")),
        *(("stderr", name) for name in ("train", "data")),
    ],
)
@BUFFERINGS
def test_nobody_reads(tmp_path, unread, stream, name, unbuffered):
    (command, code), options = COMMANDS[name], {"unbuffered": unbuffered, stream: unread}
    assert run([*PROCESS, *command.split()], tmp_path, **options) == (code, "")


@BUFFERINGS
def test_the_reader_leaves_early(tmp_path, save_network, unbuffered):
    # Far more output than a pipe holds, so that writing must fail.
    np.save(tmp_path / "many.npy", np.zeros((200_000, 1), np.uint8))
    words = [*PROCESS, "predict", tmp_path / "many.npy", "--model", save_network(2, n_in=1)]
    streams = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(words, env=environment, **streams) as process:
        first = process.stdout.readline()
        process.stdout.close()
        rest = process.stderr.read()
    assert (first, process.returncode, rest) == (b"Row,Label\n", 0, b"")


def test_standard_input_is_never_replaced(tmp_path, labelled):
    before = labelled.read_bytes()
    with labelled.open() as stdin:
        found = run([*PROCESS, "predict", "-", "-o", labelled, "--force"], tmp_path, stdin=stdin)
    reason = "would be replaced, but it is read as well: name another file"
    assert found == (2, f"xpnet: {labelled} {reason}\n")
    assert labelled.read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems want names of Unicode")
@pytest.mark.usefixtures("utf8_names")
def test_a_file_name_that_is_not_utf8(tmp_path, labelled, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")
    images, output = (tmp_path / os.fsdecode(name) for name in (b"\xff.csv", b"\xfe.csv"))
    labelled.rename(images)
    with (tmp_path / "out").open("wb") as out:
        assert run([*PROCESS, "predict", images, "-o", output], tmp_path, stdout=out) == (0, "")
    assert b"\\xfe.csv\n" in (tmp_path / "out").read_bytes()
    assert len(output.read_text().splitlines()) == 41


@pytest.mark.parametrize(
    "path", sorted(Path(cli.__file__).parent.glob("*.py")), ids=lambda path: path.stem
)
def test_all_commands_write_by_these_functions(path):
    allowed = {"streams": {"sys.stdout", "sys.stderr", " print("}, "report": {" print("}}
    found = {name for name in ("sys.stdout", "sys.stderr", " print(") if name in path.read_text()}
    assert found <= allowed.get(path.stem, set())
