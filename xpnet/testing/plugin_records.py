"""pytest option that reports the calls of `assert_parity` on all backends."""

import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from xpnet.files.writing import check_target
from xpnet.testing.outcomes import Call, observe
from xpnet.testing.report import markdown, rows_of


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command-line option."""
    words = "functions by backends, as table, json, FILE.md or FILE.json"
    parser.getgroup("xp").addoption("--xp-report", metavar="FORMAT", help=words)


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the report; raise a usage error if it cannot be written."""
    if config.option.xp_report:
        try:
            records = _Records(config.option, config.invocation_params.dir)
        except (OSError, ValueError) as error:
            raise pytest.UsageError(str(error)) from None
        config.pluginmanager.register(records, "xp-records")


class _Records:
    """Calls of `assert_parity`, which travel on the reports of tests, from pytest-xdist too."""

    def __init__(self, option: Any, folder: Path) -> None:
        self._folder, self._option = folder, option
        if not re.fullmatch(r"table|json|.+\.(md|json)", option.xp_report):
            msg = f"--xp-report must be table, json, FILE.md or FILE.json; got {option.xp_report}"
            raise ValueError(msg)
        check_target(folder / option.xp_report, force=True)
        self._new_rows, self._rows = list[Any](), list[Any]()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        with observe(self._listen):
            return (yield)

    def _listen(self, call: Call) -> list[str]:
        self._new_rows += rows_of(call)
        return []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        vars(report).update(xp_rows=self._new_rows)
        self._new_rows = []
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._rows += getattr(report, "xp_rows", [])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        option = self._option
        is_json = option.xp_report.endswith("json")
        text = json.dumps(self._rows, indent=1) if is_json else markdown(self._rows)
        if option.xp_report in {"table", "json"}:
            terminalreporter.section("--xp-report")
            terminalreporter.write_line(text)
        else:
            (self._folder / option.xp_report).write_text(f"{text}\n", "utf-8")
