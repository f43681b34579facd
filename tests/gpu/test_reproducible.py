"""Reproducible results on a GPU: the hashes that CPUs gave."""

import importlib.util
import json
from pathlib import Path

import pytest

import xpnet

pytestmark = pytest.mark.gpu

PROGRAM = Path(__file__).parents[1] / "networks" / "reproducible_hashes.py"


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location(PROGRAM.stem, PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_hashes_are_those_of_a_cpu(gpu, program):
    committed = json.loads(program.COMMITTED.read_text(encoding="utf-8"))
    found = program.hashes(program.cases(), gpu.asarray)
    assert [name for name in found if found[name] != committed[name]] == []


@pytest.mark.parametrize("widths", [(64, 32, 10), (784, 50, 100, 10)])
def test_a_row_has_the_same_bits_in_any_batch(gpu, program, make_network, widths):
    host = make_network(*widths, activation="sigmoid")
    there = host.to(gpu)
    rows = program.pixels(1025, widths[0])
    expected = xpnet.predict_proba(xpnet.reproducible(host), rows)
    for n in (1, 2, 3, 7, 100, 255, 256, 257, 1000, 1025):
        some = rows[-n:]
        found = xpnet.predict_proba(xpnet.reproducible(there), some)
        assert found.tobytes() == expected[-n:].tobytes()
        found = xpnet.predict_proba(xpnet.reproducible(there), gpu.asarray(some))
        assert gpu.to_numpy(found).tobytes() == expected[-n:].tobytes()
