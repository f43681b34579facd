"""pytest plugin that runs tests with the fixture `xp` on every array library and device.

Enable it by ``addopts = "-p xpnet.testing.plugin"`` in pytest's settings. ``pytest --help``
describes its options and settings, ``pytest --markers`` its marks.
"""

import contextlib
import importlib.util
import itertools
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from xpnet.testing.backends import Backend, open_backend
from xpnet.testing.marks import SKIP, XFAIL, verdicts_of
from xpnet.testing.registry import (
    backends_matching,
    canonical_name,
    default_names,
    select_backends,
    selected_backends,
    unavailable_reason,
)
from xpnet.testing.run_settings import RUN, use

__all__ = ["xp", "xp_backend", "xp_device"]

_MARKS = (
    "gpu: needs a CUDA GPU",
    "uses_xp: has a fixture of xpnet.testing.plugin (added to each such test)",
    f"{SKIP}(*names, reason, cpu_only, np_only, eager_only, exceptions): skipped on backends",
    f"{XFAIL}(*names, reason, cpu_only, np_only, eager_only, exceptions): must fail on backends",
)
# Of a test: its backend, and those that calls of `assert_parity` left out, with reasons.
_ON_REPORTS = pytest.StashKey[dict[str, Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command-line options and settings."""
    group = parser.getgroup("xp", "array libraries and devices (xpnet.testing.plugin)")
    group.addoption(
        "--xp-backends",
        metavar="NAMES",
        help="backends to test on, such as numpy,torch:cuda; a library stands for its"
        " default backends, all for every backend, and -NAME leaves one out (-jax: all default"
        " ones but JAX); default is"
        f" {', '.join(default_names())}",
    )
    group.addoption(
        "--xp-require",
        action="append",
        default=[],
        metavar="NAMES",
        help="backends (all: those of --xp-backends) that must be available, or pytest stops with"
        " an error instead of skipping tests; may be given more than once",
    )
    parser.addini("xp_backends", "value of --xp-backends if that is not given")


def pytest_configure(config: pytest.Config) -> None:
    """Select the backends; raise a usage error if a required one is unavailable."""
    for mark in _MARKS:
        config.addinivalue_line("markers", mark)
    selection = contextlib.ExitStack()
    config.add_cleanup(selection.close)
    try:
        selection.enter_context(_use("xp_backends", config.getini("xp_backends")))
        selection.enter_context(_use("--xp-backends", config.option.xp_backends))
        _require(",".join(config.option.xp_require))
    except ValueError as error:
        raise pytest.UsageError(*error.args) from None


def _use(option: str, words: str | None) -> contextlib.AbstractContextManager[object]:
    if not words:
        return contextlib.nullcontext()
    names = select_backends(words, option)
    if all(unavailable_reason(name) for name in names):
        reasons = "; ".join(f"{name}: {unavailable_reason(name)}" for name in names)
        msg = f"{option}={words} leaves nothing to test on ({reasons})"
        raise ValueError(msg)
    return use(backends=names)


def _require(words: str) -> None:
    for word in filter(None, map(str.strip, words.split(","))):
        backends_matching(word, "--xp-require")
        for name in selected_backends() if word == "all" else (canonical_name(word),):
            if reason := _reason_left_out(name):
                msg = f"--xp-require={name}: {reason}"
                raise ValueError(msg)


def _reason_left_out(name: str) -> str | None:
    if name in selected_backends():
        return unavailable_reason(name)
    return "--xp-backends leaves it out"


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize each test with `xp_backend` or `xp` over all available backends."""
    # The test's own `xp` or `xp_backend` wins; pytest has no public interface for such values.
    own = {name for call in getattr(metafunc, "_calls", ()) for name in call.params}
    fixtures = getattr(metafunc, "_arg2fixturedefs", {}).get("xp_backend", ())
    own.update("xp" for x in fixtures[-1:] if x.func.__module__ != __name__)
    if "xp_backend" not in metafunc.fixturenames or own & {"xp", "xp_backend"}:
        return
    params = []
    for name in selected_backends():
        if not _reason_left_out(name):
            marks = [pytest.mark.gpu] * name.startswith(("cupy", "jax:cuda", "torch:cuda"))
            params.append(pytest.param(name, marks=marks))
    metafunc.parametrize("xp_backend", params, indirect=True)


def pytest_itemcollected(item: Any) -> None:
    """Mark tests with our fixtures, for ``-m uses_xp`` and for other plugins."""
    name = str(getattr(getattr(item, "callspec", None), "params", {}).get("xp_backend", ""))
    item.stash[_ON_REPORTS] = {"xp_backend": name or None, "xp_left_out": {}}
    if name:
        item.add_marker("uses_xp")
        # Hypothesis looks for this mark: methods with @given run on one object for each backend.
        item.add_marker(pytest.mark.parametrize("xp_backend", ["..."], indirect=True))


@pytest.fixture
def xp_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Yield each available array library and device as a `Backend`.

    On JAX and Dask, functions tagged by array-api-extra's ``lazy_xp_function`` must be lazy.
    """
    name = getattr(request, "param", None)
    if name is None:
        places = "of the test or its fixtures, not of a unittest.TestCase or beside an own xp"
        pytest.fail(f"xp, xp_device and xp_backend must be arguments {places}")
    backends_matching(name, "xp_backend")  # the test's own list may have an unknown name
    skipped, xfailed = verdicts_of(RUN.marks, [name])
    if reason := _reason_left_out(name) or skipped.get(name):
        pytest.skip(reason)
    if name in xfailed:
        request.applymarker(pytest.mark.xfail(reason=xfailed[name], strict=True))
    backend = open_backend(name)
    patch: Any = contextlib.nullcontext()
    if importlib.util.find_spec("array_api_extra"):
        from array_api_extra.testing import patch_lazy_xp_functions

        patch = patch_lazy_xp_functions(request, xp=backend.namespace)
    with backend.flags, patch:
        yield backend


@pytest.fixture
def xp(xp_backend: Backend) -> Any:
    """Return each library's namespace; its creation functions default to the device under test."""
    return xp_backend.namespace


@pytest.fixture
def xp_device(xp_backend: Backend) -> Any:
    """Return the library's object for the device under test."""
    return xp_backend.device


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Apply a test's marks to its fixtures and calls of `assert_parity`."""
    marks = [x for x in item.iter_markers() if x.name in {SKIP, XFAIL}]
    left_out = item.stash[_ON_REPORTS]["xp_left_out"]
    with use(marks=tuple((x.name, x.args, x.kwargs) for x in marks), left_out=left_out):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add backends to each report as plain values, which pytest-xdist can transfer."""
    report = yield
    vars(report).update(item.stash[_ON_REPORTS])
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the backends that were not tested, with the reason and the number of tests."""
    selected = selected_backends()
    missing = {name: reason for name in selected if (reason := unavailable_reason(name))}
    # An unavailable backend misses every test that runs on the first available one.
    first = next((name for name in selected if name not in missing), None)
    tests: dict[tuple[str, str, str], set[str]] = {}

    def add(verdict: str, name: str, reason: str, *nodeids: str) -> None:
        library = name.partition(":")[0]  # one line if it misses all its backends
        label = library if missing.get(library) == reason == missing.get(name) else name
        tests.setdefault((verdict, label, reason), set()).update(nodeids)

    for name, reason in missing.items():
        add("NOT TESTED", name, reason)
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        backend = getattr(report, "xp_backend", None)
        left_out = getattr(report, "xp_left_out", {}) | (missing if backend == first else {})
        if backend in {None, first}:
            for name, reason in left_out.items():
                add("NOT TESTED", name, reason, report.nodeid)
        if backend and report.skipped and isinstance(report.longrepr, tuple):
            add("SKIPPED on", backend, report.longrepr[2].removeprefix("Skipped: "), report.nodeid)
    for (verdict, name, reason), nodeids in tests.items():
        if verdict == "NOT TESTED" or not terminalreporter.hasopt("s"):  # which lists them
            count = f" ({len(nodeids)} test{'' if len(nodeids) == 1 else 's'})" if nodeids else ""
            terminalreporter.write_line(f"{verdict} xp backend {name}: {reason}{count}")
