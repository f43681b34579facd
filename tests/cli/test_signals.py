"""SIGINT and SIGTERM while a process imports, works and ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest

from xpnet.cli.main import main
from xpnet.cli.signals import Signals

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs the signals of POSIX")

CODES = {signal.SIGINT: (130, "xpnet: interrupted\n"), signal.SIGTERM: (143, "xpnet: terminated\n")}
# Run by Python before all else of the process.
HOOK = """
import atexit, os, sys

class Sender:
    # Sends a signal at the beginning of the import of a module.
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            {send}

class Named:
    def __set_name__(self, *_):
        os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Sender())
if {module!r} == "atexit":
    atexit.register(os.kill, os.getpid(), {number})
    atexit.register(os.kill, os.getpid(), {number})
"""
# Without a fork, which other libraries in the process of the tests may not survive.
FIRST = """
import os, signal, sys

for number in signal.SIGINT, signal.SIGTERM:
    signal.signal(number, signal.{action})
os.execv(sys.argv[1], sys.argv[1:])
"""
# Points in the end of a process: while it waits for threads, and when its handlers are gone.
LAST_POINTS = {
    "threads": """
import os, threading, time

def send():
    threading.main_thread().join()
    os.kill(os.getpid(), {number})
    time.sleep(0.2)

threading.Thread(target=send).start()
""",
    "modules": """
import os, sys

class Last:
    def __del__(self, kill=os.kill, number=os.getpid()):
        kill(number, {number})

sys.last_of_all = Last()
""",
}
SCRIPT = "import sys; from xpnet.__main__ import main; sys.exit(main())"
WAYS = {"module": ["-m", "xpnet"], "script": ["-c", SCRIPT]}


@contextmanager
def start(*words, action="SIG_DFL", **options):
    """Start Python with these actions of its signals; those of the tests may be ignored."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    first = [sys.executable, "-I", "-S", "-c", FIRST.format(action=action)]
    command = [*first, sys.executable, "-X", "dev", "-W", "error", *words]
    with subprocess.Popen(command, **{"text": True, **streams, **options}) as process:
        try:
            yield process
        finally:
            process.kill()


def run(*words, **options):
    """Run Python to its end; return its exit code and what it wrote."""
    with start(*words, **options) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture
def with_hook(tmp_path):
    """Return an environment in which a process sends itself a signal."""

    def write(module, number, send="Named().__set_name__()"):
        hook = HOOK.format(module=module, number=int(number), send=send)
        (tmp_path / "sitecustomize.py").write_text(hook)
        paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    return write


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def number(request):
    found: int = request.param
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "way"),
    [
        ("xpnet.cli.main", "module"),
        ("xpnet.cli.main", "script"),
        ("argparse", "script"),
        ("numpy", "module"),
        ("xpnet.inference.evaluate", "script"),
        ("xpnet.datasets.arrays", "module"),
    ],
)
def test_a_signal_during_an_import(with_hook, number, module, way):
    done = run(*WAYS[way], "evaluate", env=with_hook(module, number))
    code, line = CODES[number]
    assert done == (code, "", line)


def test_an_interrupt_that_an_import_turns_into_another_error(with_hook, number):
    # As Python 3.11 does in a class body.
    environment = with_hook("xpnet.cli.main", number, send="type('C', (), {'name': Named()})")
    code, line = CODES[number]
    assert run("-m", "xpnet", "evaluate", env=environment) == (code, "", line)


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_before_the_handlers(with_hook, way):
    environment = with_hook("xpnet.cli.signals", signal.SIGINT)
    assert run(*WAYS[way], "evaluate", env=environment) == (130, "", "")


@pytest.mark.parametrize(
    ("number", "words", "code"),
    [(signal.SIGTERM, ["evaluate"], 0), (signal.SIGINT, ["evaluate", "--fast"], 2)],
)
def test_a_signal_at_the_end(with_hook, number, words, code):
    found, out, err = run("-m", "xpnet", *words, env=with_hook("atexit", number))
    assert found == code
    assert out.startswith("accuracy") is (code == 0)
    assert len(err.splitlines()) == (code != 0)


@pytest.mark.parametrize(
    ("number", "point"), [(signal.SIGINT, "threads"), (signal.SIGTERM, "modules")]
)
def test_a_signal_after_the_command(number, point):
    hook = LAST_POINTS[point].format(number=int(number))
    code, out, err = run("-c", f"{hook}\n{SCRIPT}", "evaluate", "--fast")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("number", "module"), [(signal.SIGINT, "numpy"), (signal.SIGTERM, "atexit")]
)
def test_an_ignored_signal_stays_ignored(with_hook, number, module):
    code, out, err = run(
        *("-m", "xpnet", "evaluate"), env=with_hook(module, number), action="SIG_IGN"
    )
    assert (code, err) == (0, "")
    assert out.startswith("accuracy")


def test_a_signal_while_a_file_is_written(tmp_path, number, save_network):
    model, output = save_network(2, n_in=1), tmp_path / "out.csv"
    with start("-m", "xpnet", "predict", "-", "--model", model, "-o", output) as process:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob(".xpnet-*.tmp")) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)  # it waits for images now
        process.send_signal(number)
        process.send_signal(number)  # as timeout(1) does
        code = process.wait(timeout=30)
        assert (code, process.stderr.read()) == CODES[number]  # type: ignore[union-attr]
    assert list(tmp_path.iterdir()) == [model]


@pytest.fixture
def full_pipe():
    """Give the end of a pipe that holds no more, and whose reader waits."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(512))
    os.set_blocking(writer, True)
    yield writer
    os.close(reader)
    os.close(writer)


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_signal_while_output_waits(number, full_pipe, unbuffered):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    words = ["-m", "xpnet", "predict", "--rows", "5"]
    with start(*words, stdout=full_pipe, env=environment) as process:
        time.sleep(1.5)  # it waits for its reader by now
        process.send_signal(number)
        code = process.wait(timeout=30)
        assert (code, process.stderr.read()) == CODES[number]  # type: ignore[union-attr]


def test_a_signal_that_comes_twice(monkeypatch, number):
    signals, times = Signals(), iter([20.0, 20.9, 21.1, 22.0])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    for _ in range(2):  # the second time it is of a user who lost patience
        with pytest.raises(KeyboardInterrupt):
            signals._handle(number, None)  # noqa: SLF001 (what the system calls)
        signals._handle(number, None)  # noqa: SLF001
    assert signals.received == number


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemError("an exception set")], ids=repr)
def test_an_interrupt_and_an_error_that_a_library_makes_of_it(capsys, monkeypatch, number, error):
    def fail(*_, **__):
        signals.received = number
        raise error

    signals = Signals()
    monkeypatch.setattr("xpnet.inference.predict.outputs_of", fail)
    code, line = CODES[number]
    assert main(["evaluate"], signals=signals) == code
    assert capsys.readouterr().err == line


def test_handlers_of_a_caller_stay(capsys):
    before = [signal.getsignal(number) for number in CODES]
    assert main(["evaluate", "--rows", "5"]) == 0
    assert [signal.getsignal(number) for number in CODES] == before
    assert "accuracy" in capsys.readouterr().out


EXECUTED = """
import builtins, os, signal, sys
execute = builtins.exec

def with_signal(source, *more, **options):
    if isinstance(source, str) and "xpnet.cli.report" in sys.modules:
        builtins.exec = execute
        source = "import os, signal; os.kill(os.getpid(), signal.SIGINT)\\n" + source
    return execute(source, *more, **options)

builtins.exec = with_signal
"""


def test_an_interrupt_of_code_that_is_made_of_text(tmp_path):
    """Python marks it as unhandled, and ends by the signal what has handled it."""
    (tmp_path / "sitecustomize.py").write_text(EXECUTED)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    code, out, err = run("-m", "xpnet", "evaluate", "sample", env=environment)
    assert (code, out, err) == (130, "", "xpnet: interrupted\n")
