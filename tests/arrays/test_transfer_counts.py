"""Counts of copies between host and device."""

from contextvars import copy_context
from threading import Thread

import numpy as np
import pytest

from xpnet.arrays.transfer import Transfers, count_transfers, is_in_host_memory, move, to_numpy

strict = pytest.importorskip("array_api_strict")
DEVICE = strict.Device("device1")


def test_there_and_back():
    with count_transfers() as transfers:
        x = move(np.zeros((3, 2), np.float32), strict, DEVICE)
        to_numpy(x)
        to_numpy(x[:1, :])
    assert transfers == Transfers(1, 24, 2, 32)


def test_from_one_device_to_another_of_a_library():
    x = strict.zeros(3, dtype=strict.float32)
    with count_transfers() as transfers:
        back = move(move(x, strict, DEVICE), strict, strict.Device("CPU_DEVICE"))
    assert is_in_host_memory(back)
    assert transfers == Transfers(1, 12, 1, 12)


def test_between_devices_nothing_is_counted():
    x = move(np.zeros(3), strict, DEVICE)
    with count_transfers() as transfers:
        move(x, strict, strict.Device("device2"))
    assert transfers == Transfers()


def test_host_memory_is_no_device(xp_backend):
    x = np.zeros(3, np.float32)
    with count_transfers() as transfers:
        to_numpy(move(x, xp_backend.xp, xp_backend.device))
    on_host = is_in_host_memory(xp_backend.asarray(x))
    assert transfers == (Transfers() if on_host else Transfers(1, 12, 1, 12))


def test_arrays_in_host_memory(xp_backend):
    devices = {"array-api-strict:device1", "array-api-strict:no_float64"}
    devices |= {"cupy", "dpnp", "torch:cuda"}
    assert is_in_host_memory(xp_backend.asarray([1.0])) is (xp_backend.name not in devices)


def test_an_outer_count_includes_the_inner_one_after_an_error():
    with count_transfers() as outer:
        move(np.zeros(1), strict, DEVICE)
        with pytest.raises(TypeError), count_transfers() as inner:
            move(move(np.zeros(2), strict, DEVICE), strict, DEVICE) + "text"
    move(np.zeros(4), strict, DEVICE)
    assert inner == Transfers(1, 16)
    assert outer == Transfers(2, 24)


def test_a_thread_counts_in_the_context_of_the_block():
    def work():
        move(np.zeros(1), strict, DEVICE)

    with count_transfers() as transfers:
        for arguments in ((work, ()), (copy_context().run, (work,))):
            thread = Thread(target=arguments[0], args=arguments[1])
            thread.start()
            thread.join()
    assert transfers == Transfers(1, 8)
