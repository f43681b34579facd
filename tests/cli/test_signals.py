"""SIGINT and SIGTERM while a process imports, works, writes and ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.client import HTTPConnection

import pytest

from xpnet.cli.main import main

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs the signals of POSIX")

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
NOTES = {signal.SIGINT: "xpnet: interrupted\n", signal.SIGTERM: ""}  # outside of imports
# Run by Python before all else of the process: it sends itself a signal where an import begins, and
# SIGTERM again, as timeout(1) may, where a file is removed.
HOOK = """
import atexit, os, sys

def send(event="os.remove", _=None):
    if event == "os.remove":
        os.kill(os.getpid(), {number:d})

class Sender:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            print(*os.listdir(), flush=True)
            if {number:d} == {SIGTERM:d}:
                sys.addaudithook(send)
            send()

sys.meta_path.insert(0, Sender())
if {module!r} == "atexit":
    atexit.register(send)
"""
# Without a fork, which other libraries in the process of the tests may not survive.
FIRST = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.{0}), signal.signal(signal.SIGTERM, signal.{0})
os.execv(sys.argv[1], sys.argv[1:])
"""
SCRIPT = "import sys; from xpnet.__main__ import main; sys.exit(main())"


@contextmanager
def start(*words, action="SIG_DFL", way=("-m", "xpnet"), **options):
    """Start the command with these actions of its signals; those of the tests may be ignored."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    first = [sys.executable, "-I", "-S", "-c", FIRST.format(action)]
    command = [*first, sys.executable, "-P", "-X", "dev", "-W", "error", *way, *words]
    with subprocess.Popen(command, **{"text": True, **streams, **options}) as process:
        try:
            yield process
        finally:
            process.kill()


def run(*words, **options):
    """Run the command to its end; return its exit code and what it wrote."""
    with start(*words, **options) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture
def hooked(tmp_path):
    """Return a function: options of a process that sends itself a signal, in an empty folder."""

    def write(module, number):
        for name in ("hook", "empty"):
            (tmp_path / name).mkdir()
        hook = HOOK.format(module=module, number=number, SIGTERM=signal.SIGTERM)
        (tmp_path / "hook" / "sitecustomize.py").write_text(hook)
        path = f"{tmp_path / 'hook'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        return {"env": {**os.environ, "PYTHONPATH": path}, "cwd": tmp_path / "empty"}

    return write


@pytest.fixture(params=CODES, ids=lambda number: number.name)
def number(request):
    return request.param


@pytest.mark.parametrize("way", [("-m", "xpnet"), ("-c", SCRIPT)], ids=["module", "script"])
@pytest.mark.parametrize(
    "module", ["xpnet.cli.main", "numpy._core._multiarray_umath", "xpnet.inference.evaluate"]
)
def test_a_signal_during_an_import(hooked, number, module, way):
    code, out, err = run("evaluate", way=way, **hooked(module, number))
    assert (code, out) == (CODES[number], "\n")
    assert err in {"", NOTES[number]}


def test_an_import_while_a_file_is_written(hooked, tmp_path, number):
    code, out, err = run("predict", "-o", "out.csv", **hooked("xpnet.datasets.read", number))
    assert (code, err) == (CODES[number], NOTES[number])
    assert re.fullmatch(r"\.xpnet-\w+\.tmp\n", out)
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize(("words", "code"), [("evaluate", 0), ("evaluate --fast", 2)])
def test_a_signal_at_the_end(hooked, number, words, code):
    found, out, err = run(*words.split(), **hooked("atexit", number))
    assert (found, out.startswith("accuracy"), bool(err)) == (code, code == 0, code != 0)


@pytest.mark.parametrize("module", ["numpy", "atexit"])
def test_an_ignored_signal_stays_ignored(hooked, number, module):
    code, out, err = run("evaluate", **hooked(module, number), action="SIG_IGN")
    assert (code, "accuracy" in out, err) == (0, True, "")


def test_a_signal_while_a_file_is_written(tmp_path, number, save_network):
    model, output = save_network(2, n_in=1), tmp_path / "out.csv"
    with start("predict", "-", "--model", model, "-o", output) as process:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob(".xpnet-*.tmp")) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)  # it waits for images now
        process.send_signal(number)
        assert process.wait(timeout=30) == CODES[number]
        assert process.stderr.read() == NOTES[number]
    assert list(tmp_path.iterdir()) == [model]


def test_a_signal_while_a_network_is_trained(tmp_path, number):
    output = tmp_path / "model.npz"
    with start("train", "--epochs", "9999", "-o", output) as process:
        lines = [process.stderr.readline() for _ in range(2)]
        process.send_signal(number)
        code = process.wait(timeout=30)
        lines += process.stderr.read().splitlines()
    others = [line for line in lines if not line.startswith("epoch ")]
    assert code == CODES[number]
    if number == signal.SIGTERM:
        assert (others, list(tmp_path.iterdir())) == ([], [])
    else:
        assert len(others) == 1
        assert re.search(r"^xpnet: .*; .*model.npz holds the weights of epoch \d+$", others[0])
        assert list(tmp_path.iterdir()) == [output]


def test_draw_ends_in_spite_of_a_slow_client(number):
    def send_slowly(connection):
        with suppress(OSError):  # until the server closes the connection
            while True:
                connection.sendall(b"x")
                time.sleep(0.1)

    with start("draw", "--no-browser") as process:
        host = re.search(r"127.0.0.1:\d+", process.stdout.readline())[0]
        with socket.create_connection(host.split(":")) as slow:
            threading.Thread(target=send_slowly, args=[slow], daemon=True).start()
            page = HTTPConnection(host, timeout=30)  # connections are accepted in their order
            page.request("GET", "/")
            assert page.getresponse().status == 200
            page.close()
            process.send_signal(number)
            assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == {signal.SIGINT: 0, signal.SIGTERM: 143}[number]


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_signal_while_output_waits(number, unbuffered):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(512))
    os.set_blocking(writer, True)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with start("predict", "--rows", "5", stdout=writer, env=environment) as process:
        time.sleep(1.5)  # it waits for its reader by now
        process.send_signal(number)
        assert process.wait(timeout=30) == CODES[number]
        assert process.stderr.read() == NOTES[number]
    os.close(reader)
    os.close(writer)


def test_handlers_of_a_caller_stay(capsys):
    before = [signal.getsignal(number) for number in CODES]
    assert main(["evaluate", "--rows", "5"]) == 0
    assert [signal.getsignal(number) for number in CODES] == before
    assert "accuracy" in capsys.readouterr().out
