"""The name of the machine's processors."""

import os
from pathlib import Path

from xpnet.arrays.cpu.processors import processor_name


def test_processors_have_a_number_and_a_name(monkeypatch, tmp_path):
    text = "processor\t: 0\nmodel name\t: AMD EPYC: 9B14\nflags\t:\n\nmodel name\t: other\n"
    path = tmp_path / "cpuinfo"
    path.write_text(text, encoding="utf-8")
    for found in (path, tmp_path / "missing"):  # not on Linux
        monkeypatch.setattr("xpnet.arrays.cpu.processors.Path", lambda _, x=found: Path(x))
        number, _, name = processor_name().partition(" x ")
        assert number == str(os.cpu_count())
        assert name == "AMD EPYC: 9B14" if found is path else name
