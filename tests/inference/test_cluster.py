"""Calls of a function on a cluster: results, errors, workers that come and go."""

import logging
import sys
import time

import pytest

from xpnet.inference import cluster
from xpnet.inference.cluster import ClusterError, open_cluster

distributed = pytest.importorskip("distributed")
cloudpickle = pytest.importorskip("cloudpickle")


@pytest.fixture
def local(request, monkeypatch):
    """Return a cluster of one worker, a thread of this process or a process."""
    monkeypatch.setattr(cluster, "_SECONDS_BETWEEN_CHECKS", 0.05)
    options = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL, "threads_per_worker": 1}
    with distributed.LocalCluster(n_workers=1, processes=request.param, **options) as local:
        yield local


in_threads = pytest.mark.parametrize("local", [False], indirect=True, ids=[""])
in_processes = pytest.mark.parametrize("local", [True], indirect=True, ids=[""])


def divide(shared, x):
    time.sleep(0.01)
    return shared / x


@in_threads
def test_workers_that_come_later_get_calls(local):
    found, taken, n_running = {}, [], []
    calls = ((i, (i,)) for i in range(200) if not taken.append(i))
    with open_cluster(local.scheduler_address) as opened:
        for key, result in opened.call(divide, 6, calls):
            assert key not in found
            found[key] = result
            n_running.append(len(taken) - len(found))
            local.scale(3)
    assert isinstance(found.pop(0), ZeroDivisionError)
    assert found == {i: 6 / i for i in range(1, 200)}
    assert (n_running[0], max(n_running)) == (3, 11)  # of 4 for each worker


@in_threads
def test_no_worker_is_left(local, monkeypatch):
    monkeypatch.setattr(cluster, "_SECONDS_WITHOUT_WORKERS", 0.3)
    with open_cluster(local.scheduler_address) as opened:
        results = opened.call(divide, 6, ((i, (1,)) for i in range(100)))
        next(results)
        local.scale(0)
        with pytest.raises(ClusterError, match="no worker was there for 0 s"):
            list(results)
    opening = open_cluster(local.scheduler_address)
    with pytest.raises(ClusterError, match="no cluster with workers at 'inproc://"), opening:
        pass


class Slow:
    """A result whose way to the client takes longer than the time between checks."""

    def __reduce__(self):
        time.sleep(0.2)
        return Slow, ()


@pytest.mark.slow
@in_processes
def test_slow_results(local):
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with open_cluster(local.scheduler_address) as opened:
        ((_, result),) = opened.call(lambda _: Slow(), None, [(0, ())])
    assert type(result).__name__ == "Slow"
