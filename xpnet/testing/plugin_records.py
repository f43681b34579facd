"""pytest options that report, record and check results on all backends."""

import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from xpnet.files.writing import check_target
from xpnet.testing.certificates import CallCertificate
from xpnet.testing.outcomes import Call, observe
from xpnet.testing.report import markdown, rows_of


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command-line options."""
    for name, metavar, words in (
        ("report", "FORMAT", "functions by backends, as table, json, FILE.md or FILE.json"),
        ("record", "FILE.npz", "record the results of assert_parity, for --xp-check elsewhere"),
        ("check", "FILE.npz", "check results of --xp-record, as on a GPU, on this machine"),
    ):
        parser.getgroup("xp").addoption(f"--xp-{name}", metavar=metavar, help=words)
    words = "with --xp-check: fail for calls without a record, and for records without a call"
    parser.getgroup("xp").addoption("--xp-check-strict", action="store_true", help=words)


def pytest_configure(config: pytest.Config) -> None:
    """Open the files of the options; raise a usage error if one is unusable."""
    if any(config.getoption(f"xp_{x}") for x in ("report", "record", "check", "check_strict")):
        try:
            records = _Records(config.option, config.invocation_params.dir)
        except (OSError, ValueError) as error:
            raise pytest.UsageError(str(error)) from None
        config.pluginmanager.register(records, "xp-records")


class _Records:
    """Calls of `assert_parity`, which travel on the reports of tests, from pytest-xdist too."""

    def __init__(self, option: Any, folder: Path) -> None:
        self._folder, self._option = folder, option
        if not re.fullmatch(r"table|json|.+\.(md|json)", option.xp_report or "table"):
            msg = f"--xp-report must be table, json, FILE.md or FILE.json; got {option.xp_report}"
            raise ValueError(msg)
        if option.xp_check_strict and not option.xp_check:
            msg = "--xp-check-strict must have --xp-check=FILE.npz beside it"
            raise ValueError(msg)
        for file in filter(None, (option.xp_report, option.xp_record)):
            check_target(folder / file, force=True)
        # Of the running test.
        self._new, self._checked, self._new_rows = CallCertificate(), CallCertificate(), list[Any]()
        self._is_random = False
        # Of all tests, and the file to check.
        self._record, self._rows, self._file = CallCertificate(), list[Any](), CallCertificate()
        if option.xp_check:
            self._file.read(folder / option.xp_check)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        # The inputs of hypothesis are random: they have no record.
        self._is_random = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        self._new, self._checked = CallCertificate(item.nodeid), CallCertificate(item.nodeid)
        self._checked.content, self._checked.arrays = self._file.content, self._file.arrays

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        with observe(self._listen):
            return (yield)

    def _listen(self, call: Call) -> list[str]:
        self._new_rows += rows_of(call)
        if self._is_random or call.reference is None:  # without it, the call fails on NumPy
            return []
        if self._option.xp_record:
            self._new.add(call)
        return self._checked.judge(call) if self._option.xp_check else []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        vars(report).update(xp_rows=self._new_rows, xp_states=self._checked.states)
        self._new_rows = []
        if report.when == "teardown" and self._new.content["calls"]:
            vars(report).update(xp_record=self._new.to_npz())
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._rows += getattr(report, "xp_rows", [])
        self._file.states.update(getattr(report, "xp_states", {}))
        if hasattr(report, "xp_record"):
            self._record.load(report.xp_record, report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        file, config = self._file, session.config
        recorded = file.content["calls"]
        is_unchecked = bool(recorded) and recorded.keys().isdisjoint(file.states)
        file.states = dict.fromkeys(recorded, "not run here") | file.states
        gaps = {"missing index", "never recorded", "not run here"} & set(file.states.values())
        is_main = not hasattr(config, "workerinput") and not config.option.collectonly
        if is_main and (is_unchecked or (gaps and self._option.xp_check_strict)):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        write, option = terminalreporter.write_line, self._option
        if option.xp_record:
            state = "the file was not written: "
            has_results = any(x["backends"] for x in self._record.content["calls"].values())
            if has_results and exitstatus != pytest.ExitCode.INTERRUPTED:
                folder = terminalreporter.config.rootpath
                self._record.write(self._folder / option.xp_record, folder)
                state = ""
            write(f"--xp-record: {state}{self._record.summary()[0]}")
        if option.xp_check:
            for line in self._file.summary(is_full=option.xp_check_strict):
                write(f"--xp-check: {line}")
        if option.xp_report:
            is_json = option.xp_report.endswith("json")
            text = json.dumps(self._rows, indent=1) if is_json else markdown(self._rows)
            if option.xp_report in {"table", "json"}:
                terminalreporter.section("--xp-report")
                write(text)
            else:
                (self._folder / option.xp_report).write_text(f"{text}\n", "utf-8")
