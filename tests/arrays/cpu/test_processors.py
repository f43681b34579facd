"""The name of the machine's processors."""

import os
import platform

import pytest

from xpnet.arrays.cpu import processors


@pytest.mark.parametrize("name", ["cpuinfo", "missing"])  # as on Linux, and elsewhere
def test_processors_have_a_number_and_a_name(monkeypatch, tmp_path, name):
    text = "processor\t: 0\nmodel name\t: AMD EPYC: 9B14\nflags\t:\n\nmodel name\t: other\n"
    (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
    monkeypatch.setattr(processors, "Path", lambda _: tmp_path / name)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    expected = "AMD EPYC: 9B14" if name == "cpuinfo" else "x86_64"
    assert processors.processor_name() == f"{os.cpu_count()} x {expected}"
