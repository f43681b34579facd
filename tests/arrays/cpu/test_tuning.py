"""What is cut, by kind of processor: only what was measured."""

import pytest

from xpnet.arrays.cpu import tuning
from xpnet.arrays.cpu.tuning import Cuts, cuts

AMD, INTEL = "AuthenticAMD", "GenuineIntel"


@pytest.mark.parametrize(
    ("kernel", "facts", "expected"),
    [
        ("SkylakeX", {"vendor_id": AMD, "cpu family": "25"}, Cuts(1024, 48)),
        ("SkylakeX", {"vendor_id": AMD, "cpu family": "26"}, Cuts(1024, 48)),
        ("SkylakeX", {"vendor_id": INTEL, "cpu family": "6"}, Cuts(12)),
        ("Haswell", {"vendor_id": AMD, "cpu family": "26"}, Cuts()),
        ("SkylakeX", {"vendor_id": AMD, "cpu family": "27"}, Cuts()),
        ("", {"vendor_id": INTEL, "cpu family": "6"}, Cuts()),
        ("SkylakeX", {}, Cuts()),
    ],
)
def test_unknown_processors_get_the_simple_way(monkeypatch, kernel, facts, expected):
    monkeypatch.setattr(tuning, "openblas_kernel", lambda: kernel)
    monkeypatch.setattr(tuning, "cpu_facts", lambda: facts)
    assert cuts.__wrapped__() == expected


def test_the_simple_way_cuts_no_product():
    assert Cuts().block_rows == 0
