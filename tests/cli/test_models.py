"""The network of --model: its source, its device and the range of its inputs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xpnet import Scale, Standardize
from xpnet.arrays.transfer import move
from xpnet.cli.arguments import UsageError
from xpnet.cli.models import open_model
from xpnet.cli.report import Stopwatch
from xpnet.cli.scaled_rows import stream_rows, with_range
from xpnet.files.errors import DataError, WeightsError
from xpnet.networks.initializers import init_network
from xpnet.networks.input_range import InputRange


def opened(options, stopwatch=None):
    return open_model(options.model, options.device, stopwatch or Stopwatch())


def streamed(options, model):
    """Return the blocks of rows that a network takes."""
    _, blocks = stream_rows(options.data, model, options.device.batching(), "testing", Stopwatch())
    return blocks


def ranged(options, model, images):
    model = replace(model, input_range=options.model.input_range)
    return with_range(model, options.data.path, images)


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
    with pytest.raises(WeightsError, match="random: not a file of weights"):
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
    model_of, parse, monkeypatch, *, is_terminal, batch_size
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal, raising=False)
    options = parse(*([] if batch_size is None else ["--batch-size", batch_size]))
    ((block, _),) = streamed(options, model_of(init_network([784, 10])))
    assert block.shape == (1000, 784)


@pytest.mark.parametrize(
    ("batch_size", "blocks"),
    [(1, [4096, 4096, 1808]), (3000, [6000, 4000]), (10_000, [10_000]), (20_000, [10_000])],
)
def test_a_block_is_a_number_of_whole_batches(model_of, parse, tmp_path, batch_size, blocks):
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((10_000, 4), np.uint8))
    options = parse(path, "--batch-size", batch_size)
    rows = streamed(options, model_of(init_network([4, 2])))
    assert [len(block) for block, _ in rows] == blocks


def test_rows_that_do_not_fit_are_the_files_fault(model_of, parse, tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((3, 4), np.uint8))
    rows = streamed(parse(path), model_of(init_network([784, 2])))
    with pytest.raises(DataError, match=r"images\.npy: `images` must be rows of 784 values"):
        next(rows)


BYTES = np.asarray([[0, 255]], np.uint8)
FLOATS = np.asarray([[0.0, 1.0]], np.float32)
LARGE = np.asarray([[0.0, 200.0]], np.float32)
TAKEN = "model.onnx is assumed to expect pixels in 0..1, so raw bytes are divided by 255"


@pytest.mark.parametrize(
    ("images", "words", "case"),
    [
        (BYTES, [], (True, TAKEN)),
        (BYTES, ["--input-range=0..1"], (True, "")),
        (BYTES, ["--input-range=0..255"], (False, "")),
        (FLOATS, [], (False, "")),
        (FLOATS, ["--input-range=0..1"], (False, "")),
        (FLOATS, ["--input-range=0..255"], (False, "")),
        (
            LARGE,
            [],
            (False, "sample has values above 1 (200 in row 1), and model.onnx is given them as"),
        ),
        (
            LARGE,
            ["--input-range=0..1"],
            (True, "sample has values above 1: all are divided by 255"),
        ),
        (BYTES[:0], [], (True, TAKEN)),
    ],
    ids=str,
)
def test_the_inputs_of_a_network_from_elsewhere(model_of, parse, capsys, images, *, words, case):
    is_scaled, told = case
    inside = Standardize(0.1307, 0.3081)
    model = model_of(init_network([2, 2], preprocessing=inside), is_own=False)
    network = ranged(parse(*words), model, images)
    assert network.preprocessing[0] == (
        Scale(1 / 255) if is_scaled else model.network.preprocessing[0]
    )
    assert len(network.preprocessing) == 1 + is_scaled
    line = capsys.readouterr().err
    assert told in line
    assert bool(line) == bool(told)


@pytest.mark.parametrize(
    ("images", "steps", "told"),
    [
        (BYTES, (), "model.onnx has no preprocessing, and is given raw bytes (--input-range 0..1"),
        (BYTES, Scale(1 / 255), ""),
        (FLOATS, (), ""),
    ],
    ids=str,
)
def test_a_network_that_says_how_it_takes_its_inputs_is_left_alone(
    model_of, parse, capsys, images, *, steps, told
):
    model = model_of(init_network([2, 2], preprocessing=steps))
    assert ranged(parse(), model, images) is model.network
    line = capsys.readouterr().err
    assert told in line
    assert bool(line) == bool(told)


def test_a_network_that_xpnet_wrote_without_preprocessing_can_be_given_a_range(model_of, parse):
    options = parse("--input-range", "0..1")
    network = ranged(options, model_of(init_network([2, 2])), BYTES)
    assert network.preprocessing == (Scale(1 / 255),)


def test_a_range_against_what_the_file_says(model_of, parse):
    options = parse("--input-range", "0..1")
    model = model_of(init_network([2, 2], preprocessing=Scale(0.5)))
    with pytest.raises(UsageError, match=r"contains its preprocessing, pixels \* 0\.5: leave"):
        ranged(options, model, BYTES)


@pytest.mark.parametrize("step", [Scale(1 / 255), Standardize(0.0, 255.0), Standardize(33.3)])
def test_a_network_from_elsewhere_that_divides_by_itself_is_given_raw_bytes(
    model_of, parse, capsys, step
):
    network = init_network([2, 2], preprocessing=step)
    model = model_of(network, is_own=False)
    assert model.expects is InputRange.BYTES
    assert ranged(parse(), model, BYTES) is network
    assert "so raw bytes go in as they are" in capsys.readouterr().err
    scaled = ranged(parse("--input-range", "0..1"), model, BYTES)
    assert scaled.preprocessing[0] == Scale(1 / 255)


@pytest.mark.parametrize("steps", [(), Scale(2.0), Standardize(0.5, 0.5), Standardize(0.1307, 0.3)])
def test_a_network_from_elsewhere_that_takes_0_to_1(model_of, steps):
    network = init_network([2, 2], preprocessing=steps)
    assert model_of(network, is_own=False).expects is InputRange.UNIT
    assert model_of(network).expects is not InputRange.UNIT


def test_inputs_that_are_declared_as_whole_numbers_tell_their_range(model_of):
    model = model_of(init_network([2, 2]), is_own=False, has_integer_input=True)
    assert model.expects is InputRange.BYTES


def test_a_device_is_warmed_up_with_the_options_of_the_computation(parse, monkeypatch):
    # Other options take other kernels, which would compile while the computation is timed.
    strict = pytest.importorskip("array_api_strict")
    options = parse("--batch-size", "7", "--threads", "2", "--reproducible")
    model, _ = opened(options)
    there = model.network.map_arrays(lambda x: move(x, strict, strict.Device("device1")))
    calls = []
    monkeypatch.setattr(
        "xpnet.inference.predict.predict_ids",
        lambda _, images, **options: calls.append((images.shape, options)),
    )
    n_rows = sum(len(rows) for rows, _ in streamed(options, replace(model, network=there)))
    expected = {"batch_size": 7, "threads": 2}
    assert calls == [((n_rows, 28, 28), expected)]
