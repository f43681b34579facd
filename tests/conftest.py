"""Fixtures of all tests: backends, data sets, a server, interrupts; a summary of skips."""

import gzip
import hashlib
import http.server
import importlib
import importlib.util
import inspect
import itertools
import os
import re
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xpnet import Device, DeviceError
from xpnet.arrays.libraries import KNOWN
from xpnet.datasets import sample
from xpnet.datasets.fetch import FILES, DataSet

if importlib.util.find_spec("hypothesis") is not None:
    from hypothesis import HealthCheck, settings

    # An example may take any time on a slow or busy machine.
    settings.register_profile(
        "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("any machine")

MOST_REASONS = 8

pytest_plugins = ["xpnet.testing.plugin", "pytester"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of larger data sets, given by the variable XPNET_TEST_DATA."""
    if "XPNET_TEST_DATA" not in os.environ:
        pytest.skip("XPNET_TEST_DATA is not set")
    return Path(os.environ["XPNET_TEST_DATA"])


@pytest.fixture
def utf8_names() -> None:
    """Skip a test of unusual file names unless the locale encodes names as UTF-8."""
    if sys.getfilesystemencoding() != "utf-8":
        pytest.skip(f"this locale encodes file names as {sys.getfilesystemencoding()}")


def signature_of(function):
    """Return a signature; for Cython functions, from the first line of their docstring."""
    try:
        return inspect.signature(function)
    except ValueError:
        words = re.search(r"\((.*)\)", function.__doc__.splitlines()[0])[1].split(", ")
        # Without C types, and the values of defaults.
        names = [re.sub("=.*", "=None", word.split()[-1]) for word in words if word]
        scope = {}
        exec(f"def made({', '.join(names)}): pass", scope)  # from CuPy's docstring
        return inspect.signature(scope["made"])


@pytest.fixture(scope="module")
def import_benchmark():
    """Return a function that imports modules of the benchmarks by their names."""
    folder, before = Path(__file__).parents[1] / "benchmarks", set(sys.modules)
    if not folder.exists():
        pytest.skip("the benchmarks are not here")
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if (folder / f"{name}.py").exists():
                del sys.modules[name]


@pytest.fixture(scope="session")
def gpu():
    """Return the first GPU; skip the test where none is usable, with the reason."""
    try:
        return Device("gpu")
    except DeviceError as error:
        pytest.skip(str(error))


@pytest.fixture
def no_gpu(monkeypatch):
    """Let no GPU be usable, with or without CuPy."""
    error = DeviceError("not-installed", "cupy is not installed", "pip install it")

    def refuse(_):
        raise error

    gpu = replace(KNOWN["cupy"], module="numpy", open=refuse)
    monkeypatch.setitem(KNOWN, "cupy", gpu)


@pytest.fixture
def cupy_takes():
    """Return a function: whether the real CuPy has a name, and takes the call `args`, `options`.

    CuPy can be imported without a GPU. Without `args`, only the name must exist.
    """
    names = ("cupy", "cupyx", "array_api_compat.cupy")
    for name in names:
        pytest.importorskip(name, reason="needs the real CuPy, on any machine")
    roots = {name.partition(".")[0]: sys.modules[name.partition(".")[0]] for name in names}

    def takes(name, args=None, options=()):
        first, *parts = name.split(".")
        try:
            *_, owner, function = itertools.accumulate(parts, getattr, initial=roots[first])
        except AttributeError:
            return False
        if args is None:
            return True
        if hasattr(function, "nin"):  # a ufunc
            return len(args) == function.nin and not options
        try:
            signature_of(function).bind(*[None] * inspect.isclass(owner), *args, **dict(options))
        except TypeError:
            return False
        return True

    return takes


@pytest.fixture
def interrupted_at():
    """Return a context: KeyboardInterrupt before line n of those that run in some modules.

    It gives the list of these lines; the last one is where the interrupt came.
    """

    @contextmanager
    def interrupt(n, *modules):
        files, lines = {module.__file__ for module in modules}, []

        def trace(frame, event, _):
            if frame.f_code.co_filename not in files:
                return None
            if event == "line":
                lines.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
                if len(lines) == n:
                    raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            yield lines
        finally:
            sys.settrace(before)

    return interrupt


class MirrorHandler(http.server.BaseHTTPRequestHandler):
    """Answers of a server of files; the folder in the path is the behaviour."""

    def do_GET(self):
        *_, word, name = self.path.split("/")
        self.server.requests.append(self.path)
        content = self.server.files[name]
        self.send_response(403 if word == "forbidden" else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if word != "forbidden":
            content = bytes(len(content)) if word == "wrong" else content
            self.wfile.write(content[: 9 if word == "broken" else None])

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def mirror(monkeypatch):
    """Return a local HTTP server of `files`, the contents by name.

    ``url(word)`` is the address for a behaviour, and `requests` are the paths that were asked for.
    """
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), MirrorHandler)
    server.files, server.requests = {}, []
    ports = {"down": 9}
    server.url = lambda word: f"http://127.0.0.1:{ports.get(word, server.server_port)}/{word}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def published(mirror):
    """Return a function: MNIST, with 3 training and 2 test images, on mirrors of given words."""
    pytest.importorskip("pooch", reason="pooch is not installed")
    images, labels = sample()
    for part, rows in [("train", slice(3)), ("t10k", slice(3, 5))]:
        for name, x, magic in [("images-idx3", images, 3), ("labels-idx1", labels, 1)]:
            header = bytes([0, 0, 8, magic]) + np.asarray(x[rows].shape, ">u4").tobytes()
            content = gzip.compress(header + x[rows].tobytes(), mtime=0)
            mirror.files[f"{part}-{name}-ubyte.gz"] = content
    hashes = tuple(hashlib.sha256(mirror.files[name]).hexdigest() for name in FILES)
    return lambda *words: DataSet(tuple(map(mirror.url, words)), hashes)


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items):
    """Mark tests as slow or long on the backends that `slow_on` and `long_on` name."""
    for item in items:
        for speed in ("slow", "long"):
            mark = item.get_closest_marker(f"{speed}_on")
            if mark is not None and any(name in item.callspec.id for name in mark.args):
                item.add_marker(speed)


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report, config):
    """Print no letter for a test that passed or was skipped: so a file has one line.

    With ``-n``, where files have no lines, print a dot for every 50 tests that passed.
    """
    is_shown = config.get_verbosity() != 0 or hasattr(report, "wasxfail")
    if is_shown or not (report.skipped or (report.passed and report.when == "call")):
        return None
    letter = ""
    if report.passed and config.getoption("numprocesses", None):
        n_passed = len(config.pluginmanager.get_plugin("terminalreporter").stats.get("passed", ()))
        letter = "." if n_passed % 50 == 0 else ""
    return report.outcome, letter, report.outcome.upper()


@pytest.hookimpl(tryfirst=True)  # before the plugin, which lists each reason of each backend
def pytest_terminal_summary(terminalreporter, config):
    """Count skips by their reason, the usual ones; `pytest -v` lists all of them, one by one.

    Libraries that are not installed are left to the plugin.
    """
    if config.get_verbosity() > 0 or not terminalreporter.hasopt("s"):
        return
    found = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        backend = dict(getattr(report, "user_properties", ())).get("xp_backend", "")
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not backend or "is not installed" not in reason:
            found[reason.replace(f"{backend} ", "the backend ") if backend else reason] += 1
            report.user_properties = ()
    usual = found.most_common(MOST_REASONS)
    for reason, n_tests in usual:
        terminalreporter.write_line(f"SKIPPED [{n_tests}] {reason}")
    if n_others := found.total() - sum(n for _, n in usual):
        others = f"{len(found) - len(usual)} other reasons: see -v"
        terminalreporter.write_line(f"SKIPPED [{n_others}] for {others}")
    terminalreporter.reportchars = terminalreporter.reportchars.replace("s", "")
