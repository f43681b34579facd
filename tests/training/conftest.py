"""Fixtures of the tests of training."""

import importlib.util

import pytest


@pytest.fixture(autouse=True, scope="module")
def _one_thread_of_torch():
    """Limit torch to one thread: with small arrays on a busy machine, more are ten times slower."""
    if importlib.util.find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
