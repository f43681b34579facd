"""Inference on a cluster of two processes: bytes that move, errors, a process that is killed."""

import logging
import os
import signal
import threading
import time

import numpy as np
import pytest

import xpnet

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow


@pytest.fixture
def client():
    """Return a client whose scheduler (this process) and workers count the bytes that they send."""

    def count_bytes():
        from distributed.comm import tcp

        async def write(self, *args, **options):
            n_bytes = await usual(self, *args, **options)
            tcp.n_bytes += n_bytes
            return n_bytes

        usual, tcp.TCP.write, tcp.n_bytes = tcp.TCP.write, write, 0
        return usual

    usual = count_bytes()
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "3s"}),  # with a process that is dead
        distributed.LocalCluster(**options, silence_logs=logging.CRITICAL) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.run(count_bytes)
        yield client
    distributed.comm.tcp.TCP.write = usual


@pytest.fixture
def bytes_sent(client):
    """Return a function: the number of bytes that all processes sent since the last call."""

    def count():
        from distributed.comm import tcp

        n_bytes, tcp.n_bytes = tcp.n_bytes, 0
        return n_bytes

    def total():
        return sum(client.run(count).values()) + count()

    total()
    return total


@pytest.mark.parametrize(("function", "n_blocks"), [(xpnet.predict, 80), (xpnet.evaluate, 10)])
def test_the_network_moves_once_to_each_process(bytes_sent, function, n_blocks):
    network = xpnet.init_network([64, 2000, 1000, 10], seed=n_blocks)
    size = sum(layer.weight.nbytes + layer.bias.nbytes for layer in network.layers)
    x = da.zeros((n_blocks * 10, 64), dtype=np.uint8, chunks=(10, 64))
    da.compute(function(network, x, *[da.zeros(len(x), dtype=int)] * (function is xpnet.evaluate)))
    # To the scheduler and to two workers, once more if a busy worker gives the task away; once for
    # each block would be 10 times and more. The graph and the results are small.
    assert 1.9 * size < bytes_sent() < 4.3 * size


@pytest.mark.parametrize("function", [xpnet.predict, xpnet.evaluate])
def test_images_do_not_move(bytes_sent, function):
    x = da.ones((200_000, 64), dtype=np.uint8, chunks=(5000, 64))
    labels = [da.zeros(len(x), dtype=int, chunks=5000)] * (function is xpnet.evaluate)
    found = function(xpnet.init_network([64, 2]), x, *labels)
    assert (found.total if labels else len(found)) == len(x)
    da.compute(found if labels else found.sum())
    # An image has 64 bytes, and the class ids and labels that `evaluate` counts have 8 each.
    assert bytes_sent() < (40 if labels else 8) * len(x)


def test_errors_have_a_note(client):
    x = da.full((4, 64), 1e300, chunks=(2, 64))
    with pytest.raises(xpnet.DataError, match=r"row 0.*preprocessing") as caught:
        client.compute(xpnet.predict(xpnet.init_network([64, 2]), x)).result()
    assert caught.value.__notes__ == ["in a block of a Dask array, whose own first row is row 0"]


@pytest.mark.parametrize("function", [xpnet.predict, xpnet.evaluate])
def test_a_killed_worker_changes_nothing(client, function):
    def slowly(block):
        time.sleep(0.1)
        return block

    (images, labels), network = xpnet.sample(), xpnet.load("sample")
    x = da.from_array(images, chunks=(25, 28, 28)).map_blocks(slowly)
    pid = next(iter(client.run(os.getpid).values()))
    killer = threading.Timer(0.7, os.kill, (pid, signal.SIGKILL))
    killer.start()  # 40 blocks take two workers 2 s
    if function is xpnet.evaluate:
        expected = xpnet.evaluate(network, images, labels).confusion
        found = xpnet.evaluate(network, x, labels).confusion
    else:
        expected, found = xpnet.predict(network, images), xpnet.predict(network, x).compute()
    assert killer.finished.is_set()
    np.testing.assert_array_equal(found, expected)
    assert pid not in client.run(os.getpid).values()
