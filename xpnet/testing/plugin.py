"""pytest plugin that runs tests with the fixture `xp` on every array library and device.

Enable it by ``addopts = "-p xpnet.testing.plugin"`` in pytest's settings. ``pytest --help``
describes its options and settings, ``pytest --markers`` its marks.
"""

import contextlib
import importlib.util
import itertools
from collections.abc import Generator, Iterator
from types import ModuleType
from typing import Any

import pytest

from xpnet.testing.backends import Backend, open_backend
from xpnet.testing.marks import SKIP, XFAIL, Mark, verdicts_of
from xpnet.testing.words import (
    RUN,
    backends_named,
    canonical_name,
    default_names,
    select_backends,
    selected_backends,
    unavailable_reason,
)

__all__ = ["xp", "xp_device"]

_MARKS = (
    "gpu: needs a CUDA GPU",
    "uses_xp: has a fixture of xpnet.testing.plugin (added to each such test)",
    f"{SKIP}(*names, reason, cpu_only, np_only, eager_only, exceptions): skipped on backends",
    f"{XFAIL}(*names, reason, cpu_only, np_only, eager_only, exceptions): must fail on backends",
)


# The backends of the fixtures; a conftest that pytest reads later may register another library.
_AT_START = pytest.StashKey[tuple[str, ...]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command-line options and the setting."""
    group = parser.getgroup("xp", "array libraries and devices (xpnet.testing.plugin)")
    group.addoption(
        "--xp-backends",
        metavar="NAMES",
        help="backends to test on, such as numpy,torch:cuda; a library stands for its default"
        " backends, all for every backend, and -NAME leaves one out (-jax: the default ones"
        f" without JAX); default is {', '.join(default_names())}",
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
    before = RUN.backends
    config.add_cleanup(lambda: setattr(RUN, "backends", before))
    try:
        _select("xp_backends", config.getini("xp_backends"))
        _select("--xp-backends", config.option.xp_backends)
        _require(",".join(config.option.xp_require))
    except ValueError as error:
        raise pytest.UsageError(*error.args) from None
    # The fixture `xp_backend`, whose parameters depend on options and conftests.
    on_gpu = ("cupy", "jax:cuda", "torch:cuda")
    names = config.stash[_AT_START] = selected_backends()
    params = [pytest.param(x, marks=[pytest.mark.gpu] * x.startswith(on_gpu)) for x in names]
    module = ModuleType("xp_backend")
    vars(module)["xp_backend"] = pytest.fixture(params=params)(_opened)
    config.pluginmanager.register(module)


def _select(option: str, words: str | None) -> None:
    if not words:
        return
    names = select_backends(words, option)
    if all(unavailable_reason(name) for name in names):
        reasons = "; ".join(f"{name}: {unavailable_reason(name)}" for name in names)
        msg = f"{option}={words} leaves nothing to test on ({reasons})"
        raise ValueError(msg)
    RUN.backends = names


def _require(words: str) -> None:
    for word in filter(None, map(str.strip, words.split(","))):
        backends_named(word, "--xp-require")
        for name in selected_backends() if word == "all" else (canonical_name(word),):
            if reason := _reason_left_out(name):
                msg = f"--xp-require={name}: {reason}"
                raise ValueError(msg)


def _reason_left_out(name: str) -> str | None:
    if name in selected_backends():
        return unavailable_reason(name)
    return "--xp-backends leaves it out"


def _opened(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Yield each selected array library and device as a `Backend`.

    On JAX and Dask, functions tagged by array-api-extra's ``lazy_xp_function`` must be lazy.
    """
    name = request.param
    backends_named(name, "xp_backend")  # the test's own list may have an unknown name
    request.node.user_properties.append(("xp_backend", name))
    skipped, xfailed = verdicts_of(_marks(request.node), [name])
    if reason := _reason_left_out(name) or skipped.get(name):
        pytest.skip(reason)
    if name in xfailed:
        request.applymarker(pytest.mark.xfail(reason=xfailed[name], strict=True))
    backend = open_backend(name)
    lazy: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    if importlib.util.find_spec("array_api_extra"):
        from array_api_extra.testing import patch_lazy_xp_functions

        lazy = patch_lazy_xp_functions(request, xp=backend.namespace)
    with backend.flags, lazy:
        yield backend


def _marks(item: pytest.Item) -> tuple[Mark, ...]:
    marks = [x for x in item.iter_markers() if x.name in {SKIP, XFAIL}]
    return tuple((x.name, x.args, x.kwargs) for x in marks)


@pytest.fixture
def xp(xp_backend: Backend) -> Any:
    """Return each library's namespace; its creation functions default to the device under test."""
    return xp_backend.namespace


@pytest.fixture
def xp_device(xp_backend: Backend) -> Any:
    """Return the library's object for the device under test."""
    return xp_backend.device


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark tests with our fixtures, for ``-m uses_xp``."""
    if "xp_backend" in getattr(item, "fixturenames", ()):
        item.add_marker("uses_xp")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Apply a test's marks to its calls of `assert_parity`, and keep what these left out."""
    before = RUN.marks, RUN.left_out
    RUN.marks, RUN.left_out = _marks(item), {}
    try:
        return (yield)
    finally:
        left_out = [f"{name}: {reason}" for name, reason in RUN.left_out.items()]
        item.user_properties.extend(("xp_not_tested", words) for words in left_out)
        RUN.marks, RUN.left_out = before


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the backends that tests did not run on, with the reason and the number of tests."""
    tests: dict[str, set[str]] = {}
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        for key, words in getattr(report, "user_properties", ()):
            if key == "xp_not_tested":
                tests.setdefault(words, set()).add(report.nodeid)
            if key == "xp_backend" and report.skipped and isinstance(report.longrepr, tuple):
                reason = report.longrepr[2].removeprefix("Skipped: ")
                tests.setdefault(f"{words}: {reason}", set()).add(report.nodeid)
    for name in sorted({*selected_backends()}.difference(terminalreporter.config.stash[_AT_START])):
        reason = "registered too late for fixtures; its conftest.py must be in the root folder"
        terminalreporter.write_line(f"NOT TESTED xp backend {name}: {reason} or in testpaths")
    for words, nodeids in tests.items():
        count = f"{len(nodeids)} test{'' if len(nodeids) == 1 else 's'}"
        terminalreporter.write_line(f"NOT TESTED xp backend {words} ({count})")
