"""Facts about processors, and products in blocks by kind of processor: only what was measured."""

import pytest

from xpnet.arrays.cpu import processors
from xpnet.arrays.cpu.processors import cpu_facts, rows_in_blocks

AMD, INTEL = "AuthenticAMD", "GenuineIntel"
CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC: 9B14
flags\t\t:

processor\t: 1
vendor_id\t: other
"""


def test_facts_are_those_of_the_first_processor(monkeypatch, tmp_path):
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(processors, "Path", lambda _: path)
    assert cpu_facts.__wrapped__() == {}  # not on Linux
    path.write_text(CPUINFO, encoding="utf-8")
    facts = {"processor": "0", "vendor_id": "AuthenticAMD", "model name": "AMD EPYC: 9B14"}
    assert cpu_facts.__wrapped__() == facts | {"flags": ""}


@pytest.mark.parametrize(
    ("kernel", "facts", "expected"),
    [
        ("SkylakeX", {"vendor_id": AMD, "cpu family": "25"}, 1024),
        ("SkylakeX", {"vendor_id": AMD, "cpu family": "26"}, 1024),
        ("SkylakeX", {"vendor_id": INTEL, "cpu family": "6"}, 12),
        ("Haswell", {"vendor_id": AMD, "cpu family": "26"}, 0),
        ("SkylakeX", {"vendor_id": AMD, "cpu family": "27"}, 0),
        ("", {"vendor_id": INTEL, "cpu family": "6"}, 0),
        ("SkylakeX", {}, 0),
    ],
)
def test_unknown_processors_get_the_simple_way(monkeypatch, kernel, facts, expected):
    monkeypatch.setattr(processors, "openblas_kernel", lambda: kernel)
    monkeypatch.setattr(processors, "cpu_facts", lambda: facts)
    assert rows_in_blocks.__wrapped__() == expected
