"""The network of --model: its source, its device and the range of its inputs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xpnet import Scale
from xpnet.arrays.transfer import move
from xpnet.cli.models import Model, open_model
from xpnet.cli.report import Stopwatch
from xpnet.cli.scaled_rows import stream_rows
from xpnet.files.errors import DataError, WeightsError
from xpnet.networks.initializers import init_network


def opened(options, stopwatch=None):
    return open_model(options.model, options.device, stopwatch or Stopwatch())


def streamed(options, model):
    """Yield the blocks of rows that a network takes."""
    batching = options.device.batching()
    with stream_rows(options.data, model, batching, "testing", Stopwatch()) as (_, blocks, _):
        yield from blocks


def test_the_books_network(parse):
    model, device = opened(parse("--model", "random"))
    network = model.network
    assert [layer.weight.shape for layer in network.layers] == [(784, 50), (50, 100), (100, 10)]
    assert [layer.activation for layer in network.layers] == ["sigmoid", "sigmoid", "identity"]
    assert float(np.std(network.layers[0].weight)) == pytest.approx(0.01, rel=0.02)
    assert network.preprocessing[0].factor == 1 / 255
    assert device.name == "cpu"


def test_the_seed_of_the_books_network(parse):
    zero, one = (
        opened(parse("--model", "random", "--seed", seed))[0].network for seed in ("0", "1")
    )
    assert not np.any(zero.layers[0].weight == one.layers[0].weight)


def test_a_file_called_random(parse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("random").write_text("not weights")
    with pytest.raises(WeightsError, match=r"random: .*\.safetensors"):
        opened(parse("--model", "./random"))


def test_missing_weights_are_a_weights_error(parse):
    with pytest.raises(WeightsError, match="missing") as caught:
        opened(parse("--model", "missing"))
    assert isinstance(caught.value.__cause__, FileNotFoundError)


class Phases(Stopwatch):
    """A stopwatch that keeps which phases there were, one after the other."""

    def __init__(self):
        super().__init__()
        self.seen: list[str] = []

    def switch(self, phase):
        super().switch(phase)
        if self.seen[-1:] != [phase]:
            self.seen.append(phase)


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize(
    ("device", "phases"),
    [
        ("cpu", ["startup", "loading"]),
        # The device is opened; after the file is read, its parameters go there.
        ("gpu", ["device", "startup", "loading", "device", "loading"]),
    ],
)
def test_what_the_start_of_a_gpu_is(parse, device, phases):
    stopwatch = Phases()
    model, used = opened(parse("--device", device), stopwatch)
    assert stopwatch.seen == phases
    assert model.network.device == used.handle


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize("batch_size", [None, 300, 1, 10_000])
def test_the_sample_is_one_block_on_a_terminal_or_not(
    parse, monkeypatch, *, is_terminal, batch_size
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal, raising=False)
    options = parse(*([] if batch_size is None else ["--batch-size", batch_size]))
    ((block, _),) = streamed(
        options, Model(init_network([784, 10], preprocessing=Scale(1 / 255)), "a.npz")
    )
    assert block.shape == (1000, 784)


@pytest.mark.parametrize(
    ("batch_size", "blocks"),
    [(1, [8192, 1808]), (3000, [9000, 1000]), (10_000, [10_000]), (20_000, [10_000])],
)
def test_a_block_is_a_number_of_whole_batches(parse, tmp_path, batch_size, blocks):
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((10_000, 4), np.uint8))
    options = parse(path, "--batch-size", batch_size)
    rows = streamed(options, Model(init_network([4, 2]), "a.npz"))
    assert [len(block) for block, _ in rows] == blocks


def test_rows_that_do_not_fit_are_the_files_fault(parse, tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((3, 4), np.uint8))
    rows = streamed(parse(path), Model(init_network([784, 2]), "a.npz"))
    with pytest.raises(DataError, match=r"images\.npy: `images` must be rows of 784 values"):
        next(rows)


def test_a_device_is_warmed_up_with_the_options_of_the_computation(parse, monkeypatch):
    # Other options take other kernels, which would compile while the computation is timed.
    strict = pytest.importorskip("array_api_strict")
    options = parse("--batch-size", "7", "--threads", "2", "--reproducible")
    model, _ = opened(options)
    there = model.network.map_arrays(lambda x: move(x, strict, strict.Device("device1")))
    calls = []
    monkeypatch.setattr(
        "xpnet.inference.predict.outputs_of",
        lambda _, images, **options: calls.append((images.shape, options)),
    )
    n_rows = sum(len(rows) for rows, _ in streamed(options, replace(model, network=there)))
    expected = {"batch_size": 7, "threads": 2}
    assert calls == [((n_rows, 28, 28), expected)]
