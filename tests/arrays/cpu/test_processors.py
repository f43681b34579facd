"""Facts about processors; exclusion of the caller's from the affinity of threads."""

import os
import threading

import pytest

from xpnet.arrays.cpu import processors
from xpnet.arrays.cpu.processors import cpu_facts, current_processor, keep_off_processor

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system has no thread affinity"
)


@pytest.fixture
def thread():
    """Yield the id of a waiting thread."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield thread.native_id
    end.set()
    thread.join()


@pytest.mark.parametrize("place", [0, -1])
def test_the_callers_processor_is_excluded(monkeypatch, thread, place):
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) == 1:
        pytest.skip("needs two processors")
    monkeypatch.setattr(processors, "current_processor", lambda: lambda: mine[place])
    keep_off_processor([thread, None])
    assert os.sched_getaffinity(thread) == set(mine) - {mine[place]}
    assert os.sched_getaffinity(0) == set(mine)


def test_the_only_processor_is_kept(monkeypatch, thread):
    before = os.sched_getaffinity(thread)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    monkeypatch.setattr(processors, "current_processor", lambda: lambda: 3)
    keep_off_processor([thread])
    monkeypatch.undo()
    assert os.sched_getaffinity(thread) == before


def test_a_thread_that_has_ended(monkeypatch):
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    keep_off_processor([thread.native_id])
    monkeypatch.setattr(processors, "current_processor", lambda: None)
    keep_off_processor([thread.native_id])  # and if the processor is unknown


def test_the_current_processor():
    current = current_processor()
    assert current is None or current() in range(os.cpu_count())


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
