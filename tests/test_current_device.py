"""Current device: that of a network while it computes, in every thread.

CuPy puts a result on the thread's current device, not on the device of its arguments. A NumPy array
that records each operation stands for an array on a second GPU.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import pytest

import xpnet


class Spy(np.ndarray):
    """An array that records the operations on it while its device is not current in a thread."""

    current = threading.local()
    outside: ClassVar[list[str]] = []

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return self.recorded(ufunc, getattr(ufunc, method), inputs, options)

    def __array_function__(self, function, _, args, options):
        return self.recorded(function, function, args, options)

    def recorded(self, function, call, args, options):
        if not getattr(Spy.current, "is_entered", False):
            Spy.outside.append(function.__name__)
        if "out" in options:
            options["out"] = bare(options["out"])
        return spied(call(*bare(args), **options))


def bare(value):
    """Return arguments with plain arrays instead of spies."""
    if isinstance(value, Spy):
        return np.asarray(value)
    return type(value)(map(bare, value)) if isinstance(value, tuple | list) else value


def spied(value):
    return np.asarray(value).view(Spy) if isinstance(value, np.ndarray | np.generic) else value


@pytest.fixture(autouse=True)
def spies(monkeypatch):
    @contextmanager
    def enter(_):
        before, Spy.current.is_entered = getattr(Spy.current, "is_entered", False), True
        try:
            yield
        finally:
            Spy.current.is_entered = before

    monkeypatch.setattr(Spy, "outside", [])
    for module in ("networks.dense", "inference.chunks"):
        monkeypatch.setattr(f"xpnet.{module}.current_device", enter)


CALLS = {
    "predict": lambda net, x: xpnet.predict(net, x, batch_size=2),
    "predict_proba": lambda net, x: xpnet.predict_proba(net, x, batch_size=2),
    "network": lambda net, x: net(x),
    "axes": lambda net, x: net(x.reshape(5, 1, 4)),
    "layer": lambda net, x: net.layers[0](x),
    "linear": lambda net, x: net.layers[0].linear(x),
}


@pytest.mark.parametrize(("n_out", "output"), [(1, "logits"), (3, "probabilities"), (3, "logits")])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_each_thread_enters_the_device(n_out, output, call):
    arrays = {"W1": np.ones((4, 5), "f4"), "b1": np.ones(5, "f4")}
    arrays |= {"W2": np.ones((5, n_out), "f4"), "b2": np.ones(n_out, "f4")}
    arrays = {name: spied(x) for name, x in arrays.items()}
    net, x = xpnet.Network.from_arrays(arrays, output=output), spied(np.ones((5, 4), "f4"))
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: call(net, x), range(6)))
    assert Spy.outside == []
    assert [len(result) for result in found] == [5] * 6
