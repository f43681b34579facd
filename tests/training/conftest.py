"""What the tests of learning share."""

import importlib.util

import pytest


@pytest.fixture(autouse=True, scope="module")
def _one_thread_of_torch():
    """Hold torch to one thread.

    On arrays as small as here, threads that wait for one another take ten times as long where
    others compute, too.
    """
    if importlib.util.find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
