"""``xpnet predict`` on clusters whose processes die: each row is answered once, or the next run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import pytest

from xpnet import load, predict, sample

pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.slow
if os.name == "nt":
    pytest.skip("needs the signals of POSIX", allow_module_level=True)

SIZES = {"a": 1000, "b": 9000, "c": 5000, "d": 15_000}
LOCAL = ("--workers", "2")
NEXT = " of 4 parts are written, and the next run goes on\n"
COMMAND = """
import sys
from xpnet.__main__ import main
from xpnet.inference import cluster

cluster._SECONDS_WITHOUT_WORKERS = 8.0
sys.exit(main())
"""


def wait_for(condition):
    end = time.monotonic() + 300  # on a busy machine
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def start(*words, stream=subprocess.DEVNULL, **options):
    """Start Python in a session of its own; kill what is left of it after the test."""
    # Python warns if Dask ends before it has begun to wait for a result.
    environment = {**os.environ, **options, "PYTHONWARNINGS": "ignore::RuntimeWarning"}
    streams = {"stdout": subprocess.DEVNULL, "stderr": stream, "text": True}
    command = [sys.executable, *map(str, words)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    with subprocess.Popen(command, env=environment, start_new_session=True, **streams) as process:
        signal.signal(signal.SIGINT, before)
        try:
            yield process
        finally:
            for left in session(process):
                left.kill()


def session(process, mark=""):
    """Return the processes in the session of a process, with a mark in their commands."""
    found = []
    for other in psutil.process_iter():
        with suppress(OSError, psutil.Error):
            is_alive = os.getsid(other.pid) == process.pid and other.status() != "zombie"
            if is_alive and mark in " ".join(other.cmdline()):
                found.append(other)
    return found


def workers_of(process):
    return session(process, "spawn_main")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder, images = tmp_path_factory.mktemp("inputs"), sample()[0]
    for i, (name, n_rows) in enumerate(SIZES.items()):
        places = np.random.default_rng(i).integers(0, len(images), n_rows)
        np.save(folder / f"{name}.npy", images[places])
    return folder


class Run:
    """Commands that write the parts of the inputs into a folder."""

    def __init__(self, inputs, folder):
        self.inputs, self.folder = inputs, folder

    def start(self, *where):
        words = ["predict", self.inputs / "*.npy", "-o", self.folder, *where]
        words += ["--batch-size", "1", "--piece-rows", "100"]  # 300 pieces in a few seconds
        return start("-c", COMMAND, *words, stream=subprocess.PIPE)

    def wait_for_part(self, process):
        wait_for(lambda: (self.folder / "a.npz").exists() or process.poll() is not None)

    def end(self, process):
        """Wait for all processes of a command; return its code and what it printed as an error."""
        err = process.communicate(timeout=120)[1]
        wait_for(lambda: not session(process))
        names = {path.name for path in self.folder.iterdir()}
        assert names <= {f"{name}.npz" for name in SIZES} or process.returncode < 0
        return process.returncode, err

    def finish(self, *where):
        """Run the command to its end: each row has one label, that of one process."""
        with self.start(*where) as process:
            assert self.end(process) == (0, "")
        assert {path.stem for path in self.folder.iterdir()} == SIZES.keys()
        for path in self.folder.iterdir():
            expected = predict(load("sample"), np.load(self.inputs / f"{path.stem}.npy"))
            np.testing.assert_array_equal(np.load(path)["labels"], expected)


@pytest.fixture
def run(inputs, tmp_path):
    return Run(inputs, tmp_path / "parts")


@pytest.mark.parametrize("seed", range(2))
def test_workers_killed_at_random_moments(run, seed):
    chosen, n_killed = random.Random(seed), 0
    with run.start(*LOCAL) as process:
        while process.poll() is None and n_killed < 8:
            time.sleep(chosen.uniform(0.0, 0.4))
            workers = workers_of(process)
            for worker in chosen.sample(workers, chosen.randint(0, len(workers))):
                worker.kill()
                n_killed += 1
        code, err = run.end(process)
    assert n_killed > 0
    assert (code, err) == (0, "") or (code == 5 and err.endswith(NEXT) and err.count("\n") == 1)
    run.finish(*LOCAL)


def test_all_workers_killed_at_once(run):
    with run.start(*LOCAL) as process:
        run.wait_for_part(process)
        for worker in workers_of(process):
            worker.kill()
        assert run.end(process) == (0, "")
    run.finish(*LOCAL)


@pytest.mark.parametrize("moment", ["start", "computing"])
@pytest.mark.parametrize(
    ("number", "send", "expected"),
    [
        (signal.SIGINT, os.killpg, (130, "xpnet: interrupted\n")),  # as Ctrl-C does in a terminal
        (signal.SIGTERM, os.kill, (143, "xpnet: terminated\n")),
        (signal.SIGKILL, os.kill, (-9, "")),
    ],
    ids=["INT", "TERM", "KILL"],
)
def test_signals(run, moment, number, send, expected):
    with run.start(*LOCAL) as process:
        wait_for(lambda: workers_of(process)) if moment == "start" else run.wait_for_part(process)
        send(process.pid, number)
        code, err = run.end(process)
    assert (code, err if code > 0 else "") == expected
    run.finish(*LOCAL)


def test_a_disk_that_fills(run):
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("needs limits of another process")
    with run.start(*LOCAL) as process:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (40_000, 40_000))
        assert run.end(process) == (3, f"xpnet: {run.folder / 'b.npz'}: File too large\n")
    run.finish(*LOCAL)


def test_two_commands_at_a_time(run):
    with run.start("--workers", "1") as first, run.start("--workers", "1") as second:
        assert [process.communicate(timeout=120)[1] for process in (first, second)] == ["", ""]
        assert (first.returncode, second.returncode) == (0, 0)
    run.finish(*LOCAL)


class Cluster:
    """A scheduler, and workers that nobody starts again."""

    def __init__(self, stack, file):
        self._stack, self._words = stack, ["--scheduler-file", file, "--no-dashboard"]
        self.scheduler = self._start("scheduler", ["--host", "127.0.0.1", "--port", "0"])
        wait_for(lambda: file.exists() and file.read_text().endswith("}"))
        self.where = ["--cluster", json.loads(file.read_text())["address"]]

    def _start(self, kind, words, **environment):
        words = ["-m", f"distributed.cli.dask_{kind}", *self._words, *words]
        return self._stack.enter_context(start(*words, **environment))

    def add_worker(self, **environment):
        return self._start("worker", ["--no-nanny", "--nthreads", "1"], **environment)


@pytest.fixture
def cluster(tmp_path):
    with ExitStack() as stack:
        yield Cluster(stack, tmp_path / "scheduler.json")


@pytest.mark.parametrize("comes_back", [False, True])
def test_all_workers_of_a_cluster_killed(run, cluster, comes_back):
    workers = [cluster.add_worker() for _ in range(2)]
    with run.start(*cluster.where) as process:
        run.wait_for_part(process)
        for worker in workers:
            worker.kill()
        if comes_back:
            cluster.add_worker()
        code, err = run.end(process)
    if comes_back:
        assert (code, err) == (0, "")
    else:
        assert (code, err[-len(NEXT) :]) == (5, NEXT)
        assert err.startswith("xpnet: no worker was there for 8 s; ")
    run.finish(*LOCAL)


def test_a_scheduler_killed(run, cluster):
    cluster.add_worker()
    with run.start(*cluster.where) as process:
        run.wait_for_part(process)
        cluster.scheduler.kill()
        assert run.end(process) == (5, f"xpnet: the scheduler is lost; 1{NEXT}")
    run.finish(*LOCAL)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("import sys; sys.modules['xpnet'] = None", " is lost or has no xpnet: "),
        ("import xpnet; xpnet.__version__ = '0'", " cannot compute: it has xpnet 0 instead of "),
    ],
    ids=["missing", "version"],
)
def test_workers_without_this_xpnet(run, cluster, tmp_path, change, text):
    (tmp_path / "sitecustomize.py").write_text(change)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    cluster.add_worker(PYTHONPATH=os.pathsep.join(paths))
    with run.start(*cluster.where) as process:
        code, err = run.end(process)
    assert (code, text in err, err.count("\n")) == (5, True, 1)
    assert list(run.folder.iterdir()) == []
