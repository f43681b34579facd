"""pytest plugin that runs tests with the fixture `xp` on every array library and device.

Enable it by ``-p xpnet.testing.plugin`` or ``pytest_plugins = ["xpnet.testing.plugin"]``. It is
the only module of the package that imports pytest.

Fixtures: `xp`, `xp_device`, `xp_backend`. Options: ``--xp-backends``, ``--xp-require``.
"""

import contextlib
import importlib.util
import unittest
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from xpnet.testing.backend_choice import (
    NAMES,
    backends_matching,
    select_backends,
    selected_backends,
    unavailable_reason,
    use_backends,
)
from xpnet.testing.backends import Backend, open_backend

__all__ = ["xp", "xp_backend", "xp_device"]

_GPU_BACKENDS = {"cupy", "torch:cuda"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command-line options."""
    group = parser.getgroup("xp", "array libraries and devices (xpnet.testing.plugin)")
    group.addoption(
        "--xp-backends",
        metavar="NAMES",
        help="backends to test on, such as numpy,cupy; a library stands for all its devices, and"
        " -NAME leaves it out (--xp-backends=-jax: all but JAX). The default is all available"
        f" backends of {', '.join(NAMES)}",
    )
    group.addoption(
        "--xp-require",
        action="append",
        default=[],
        metavar="NAMES",
        help="backends that must be available: if one is not, pytest stops with an error instead of"
        " skipping tests. A library stands for its default device, all for everything in"
        " --xp-backends. May be given more than once",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Select the backends; raise a usage error if a required one is unavailable."""
    config.addinivalue_line("markers", "gpu: needs a CUDA GPU")
    if importlib.util.find_spec("array_api_extra") is None:
        msg = "xpnet.testing.plugin needs array-api-extra; pip install array-api-extra"
        raise pytest.UsageError(msg)
    try:
        names = _select(config.getoption("xp_backends", default=None))
        _require(config.getoption("xp_require", default=[]), names)
    except ValueError as error:
        raise pytest.UsageError(*error.args) from None
    stack = contextlib.ExitStack()
    stack.enter_context(use_backends(names))
    config.add_cleanup(stack.close)


def _select(option: str | None) -> tuple[str, ...]:
    if option is None:
        return NAMES
    names = select_backends(option, "--xp-backends")
    if all(unavailable_reason(name) for name in names):
        reasons = "; ".join(f"{name}: {unavailable_reason(name)}" for name in names)
        msg = f"--xp-backends={option} leaves nothing to test on ({reasons})"
        raise ValueError(msg)
    return names


def _require(options: list[str], names: tuple[str, ...]) -> None:
    words = [word.strip() for option in options for word in option.split(",")]
    for word in filter(None, words):
        backends_matching(word, "--xp-require")
        for name in names if word == "all" else (word,):
            reason = unavailable_reason(name) if name in names else "--xp-backends leaves it out"
            if reason is not None:
                msg = f"--xp-require={name}: {reason}"
                raise ValueError(msg)


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize each test with `xp_backend` or `xp` over all available backends."""
    if "xp_backend" not in metafunc.fixturenames or _is_parametrized(metafunc.definition):
        return
    # pytest has no public interface for values from other hooks, or for the origin of a fixture.
    if any("xp" in call.params for call in getattr(metafunc, "_calls", ())):
        return  # `xp` is the user's own
    fixtures = getattr(metafunc, "_arg2fixturedefs", {}).get("xp_backend", ())
    if any(fixture.func.__module__ != __name__ for fixture in fixtures[-1:]):
        return  # and so is `xp_backend`
    marked = [
        pytest.param(name, marks=pytest.mark.gpu) if name in _GPU_BACKENDS else name
        for name in selected_backends()
        if unavailable_reason(name) is None
    ]
    metafunc.parametrize("xp_backend", marked, indirect=True)


def _is_parametrized(item: Any) -> bool:
    """Return whether a test has its own list of backends."""
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        split = names.split(",") if isinstance(names, str) else names
        if "xp_backend" in map(str.strip, split):
            return True
    return False


@pytest.fixture
def xp_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Yield each available array library and device as a `Backend`.

    Functions tagged by array-api-extra's ``lazy_xp_function`` are compiled by ``jax.jit`` on JAX,
    and must compute nothing on Dask.
    """
    from array_api_extra.testing import patch_lazy_xp_functions

    name = getattr(request, "param", None)
    if name not in NAMES:
        pytest.fail(_usage_error(request, name))
    is_selected = name in selected_backends()
    reason = unavailable_reason(name) if is_selected else "--xp-backends leaves it out"
    if reason is not None:
        pytest.skip(reason)
    backend = open_backend(name)
    with backend.flags, patch_lazy_xp_functions(request, xp=backend.xp):
        yield backend


def _usage_error(request: pytest.FixtureRequest, name: object) -> str:
    """Return the reason why a test cannot use the fixture."""
    if name is not None:
        return f"xp_backend must be one of {', '.join(NAMES)}; got {name}"
    if "xp" in getattr(getattr(request.node, "callspec", None), "params", ()):
        return "xp_device and xp_backend require the plugin's xp: this test has its own xp"
    if issubclass(request.cls or object, unittest.TestCase):
        return "xp, xp_device and xp_backend are not available in unittest.TestCase"
    return "xp, xp_device and xp_backend must be arguments of the test or of its fixtures"


@pytest.fixture
def xp(xp_backend: Backend) -> Any:
    """Return each library's namespace; its creation functions default to the device under test."""
    return xp_backend.namespace


@pytest.fixture
def xp_device(xp_backend: Backend) -> Any:
    """Return the library's object for the device under test."""
    return xp_backend.device


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the backend to each report, for the counts in the summary."""
    report = yield
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if "xp_backend" in params:
        # Plain values, which pytest-xdist can transfer from its workers.
        vars(report).update(
            xp_backend=params["xp_backend"], xp_is_everywhere=not _is_parametrized(item)
        )
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the backends that were not tested, with the reason and the number of tests."""
    groups = terminalreporter.stats.values()
    reports = [x for group in groups for x in group if hasattr(x, "xp_backend")]
    for (verdict, name, reason), n_tests in _skips(reports).items():
        if verdict == "SKIPPED on" and terminalreporter.hasopt("s"):
            continue  # pytest itself lists them, by -rs or -ra
        # The count is 0 if tests use `assert_parity` only.
        count = f" ({n_tests} test{'' if n_tests == 1 else 's'})" if n_tests else ""
        terminalreporter.write_line(f"{verdict} xp backend {name}: {reason}{count}")


def _skips(reports: list[Any]) -> Counter[tuple[str, str, str]]:
    """Count the tests that were not run, by backend and reason."""
    reasons = {name: unavailable_reason(name) for name in selected_backends()}
    missing = {name: reason for name, reason in reasons.items() if reason is not None}
    available = [name for name in reasons if name not in missing]
    # An unavailable backend misses every test that runs on all available ones.
    everywhere = [x for x in reports if x.xp_is_everywhere and x.xp_backend in available[:1]]
    n_everywhere = len({report.nodeid for report in everywhere})
    counts: Counter[tuple[str, str, str]] = Counter()
    for name, reason in missing.items():
        library = name.partition(":")[0]
        label = library if missing.get(library) == reason else name
        counts["NOT TESTED", label, reason] = n_everywhere
    for report in reports:
        if report.skipped and isinstance(report.longrepr, tuple):
            name, reason = report.xp_backend, report.longrepr[2].removeprefix("Skipped: ")
            verdict = "NOT TESTED" if missing.get(name) == reason else "SKIPPED on"
            counts[verdict, name, reason] += 1
    return counts
