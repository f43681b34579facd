"""Reproducible results on a GPU: the hashes that CPUs gave."""

import json
from pathlib import Path
from runpy import run_path

import pytest

import xpnet

pytestmark = pytest.mark.gpu

PROGRAM = Path(__file__).parents[1] / "networks" / "reproducible_hashes.py"


def test_hashes_are_those_of_a_cpu(gpu):
    program = run_path(str(PROGRAM))
    committed = json.loads(program["COMMITTED"].read_text(encoding="utf-8"))
    found = program["hashes"](program["cases"](), gpu.asarray)
    assert [name for name in found if found[name] != committed[name]] == []


@pytest.mark.parametrize("widths", [(64, 32, 10), (64, 50, 100, 10)], ids=len)
def test_a_row_has_the_same_bits_in_any_batch(gpu, make_network, pixels, widths):
    host, rows = make_network(*widths, activation="sigmoid"), pixels[:1025]
    there = xpnet.reproducible(host.to(gpu))
    expected = xpnet.predict_proba(xpnet.reproducible(host), rows)
    for n in (1, 2, 3, 7, 100, 255, 256, 257, 1000, 1025):
        for x in (rows[-n:], gpu.asarray(rows[-n:])):
            found = gpu.to_numpy(xpnet.predict_proba(there, x))
            assert found.tobytes() == expected[-n:].tobytes()
