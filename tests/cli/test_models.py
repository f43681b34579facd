"""The network of --model: where it comes from, and in which range it is given its inputs."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from xpnet import Network, Scale, Standardize, sample, save
from xpnet.cli.arguments import UsageError, add_data_arguments
from xpnet.cli.input_range import with_range
from xpnet.cli.models import Model, add_model_arguments, open_model, stream_rows
from xpnet.cli.stopwatch import Phase, Stopwatch
from xpnet.files.errors import DataError, WeightsError
from xpnet.formats.model_file import ModelFile
from xpnet.networks.initializers import init_network


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_data_arguments(parser)
    add_model_arguments(parser)
    return parser


def model_of(network: Network, *, tells_range: bool = True, is_own: bool = True) -> Model:
    return Model(network, "model.onnx", tells_range, is_own)


def test_defaults(parser: argparse.ArgumentParser) -> None:
    args = parser.parse_args([])
    assert (args.model, args.device, args.seed, args.batch_size) == ("sample", "cpu", 0, None)
    assert (args.precision, args.threads) == (None, None)
    assert (args.activation, args.layout, args.input_range, args.max_bytes) == (None,) * 4
    assert (args.allow_nonfinite, args.allow_external) == (False, False)


def test_the_books_network(parser: argparse.ArgumentParser) -> None:
    model, device = open_model(parser.parse_args(["--model", "random"]), Stopwatch())
    network = model.network
    assert [layer.weight.shape for layer in network.layers] == [(784, 50), (50, 100), (100, 10)]
    assert [layer.activation for layer in network.layers] == ["sigmoid", "sigmoid", "identity"]
    assert float(np.std(network.layers[0].weight)) == pytest.approx(0.01, rel=0.02)
    assert network.preprocessing[0].factor == 1 / 255
    assert device.name == "cpu"


def test_the_seed_of_the_books_network(parser: argparse.ArgumentParser) -> None:
    zero, one = (
        open_model(parser.parse_args(["--model", "random", "--seed", seed]), Stopwatch())[0].network
        for seed in ("0", "1")
    )
    assert not np.any(zero.layers[0].weight == one.layers[0].weight)


def test_a_file_called_random(
    parser: argparse.ArgumentParser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("random").write_text("not weights")
    with pytest.raises(WeightsError, match="random: not a file of weights"):
        open_model(parser.parse_args(["--model", "./random"]), Stopwatch())


def test_missing_weights_are_a_weights_error(parser: argparse.ArgumentParser) -> None:
    with pytest.raises(WeightsError, match="missing") as caught:
        open_model(parser.parse_args(["--model", "missing"]), Stopwatch())
    assert isinstance(caught.value.__cause__, FileNotFoundError)


class Phases(Stopwatch):
    """A stopwatch that keeps which phases there were, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def switch(self, phase: Phase) -> None:
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
def test_what_the_start_of_a_gpu_is(
    parser: argparse.ArgumentParser, device: str, phases: list[str]
) -> None:
    stopwatch = Phases()
    model, opened = open_model(parser.parse_args(["--device", device]), stopwatch)
    assert stopwatch.seen == phases
    assert model.network.library == opened.library


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize(
    ("batch_size", "blocks"),
    [(None, [1000]), (300, [1000]), (1, [1000]), (10_000, [1000])],
)
def test_the_sample_is_one_block_on_a_terminal_or_not(
    parser: argparse.ArgumentParser,
    monkeypatch: pytest.MonkeyPatch,
    is_terminal: bool,  # noqa: FBT001 (a case)
    batch_size: int | None,
    blocks: list[int],
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal, raising=False)
    args = parser.parse_args([] if batch_size is None else ["--batch-size", str(batch_size)])
    _, stream = stream_rows(args, model_of(init_network([784, 10])), "testing", Stopwatch())
    rows = list(stream)
    assert [len(block) for block, _ in rows] == blocks
    assert all(block.shape[1:] == (784,) for block, _ in rows)


@pytest.mark.parametrize(
    ("batch_size", "blocks"),
    [(1, [4096, 4096, 1808]), (3000, [6000, 4000]), (10_000, [10_000]), (20_000, [10_000])],
)
def test_a_block_is_a_number_of_whole_batches(
    parser: argparse.ArgumentParser, tmp_path: Path, batch_size: int, blocks: list[int]
) -> None:
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((10_000, 4), np.uint8))
    args = parser.parse_args([str(path), "--batch-size", str(batch_size)])
    _, rows = stream_rows(args, model_of(init_network([4, 2])), "testing", Stopwatch())
    assert [len(block) for block, _ in rows] == blocks


def test_rows_that_do_not_fit_are_the_files_fault(
    parser: argparse.ArgumentParser, tmp_path: Path
) -> None:
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((3, 4), np.uint8))
    model = model_of(init_network([784, 2]))
    _, rows = stream_rows(parser.parse_args([str(path)]), model, "testing", Stopwatch())
    with pytest.raises(DataError, match=r"images\.npy: `images` must be rows of 784 values"):
        next(rows)


BYTES = np.asarray([[0, 255]], np.uint8)
FLOATS = np.asarray([[0.0, 1.0]], np.float32)
LARGE = np.asarray([[0.0, 200.0]], np.float32)
TAKEN = "model.onnx is taken to expect pixels in 0..1, so raw bytes are divided by 255"


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
        (LARGE, ["--input-range=0..1"], (True, "")),
        (BYTES[:0], [], (True, TAKEN)),
    ],
    ids=str,
)
def test_the_inputs_of_a_network_from_elsewhere(
    parser: argparse.ArgumentParser,
    capsys: pytest.CaptureFixture[str],
    images: NDArray[Any],
    words: list[str],
    case: tuple[bool, str],
) -> None:
    is_scaled, told = case
    inside = Standardize(0.1307, 0.3081)
    model = model_of(init_network([2, 2], preprocessing=inside), tells_range=False, is_own=False)
    network = with_range(parser.parse_args(words), model, images)
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
        (FLOATS, Scale(1 / 255), "divides its inputs by 255, but they are at most 1 already"),
        (LARGE, Scale(1 / 255), ""),
        (0 * FLOATS, Scale(1 / 255), ""),
    ],
    ids=str,
)
def test_a_network_that_says_how_it_takes_its_inputs_is_left_alone(
    parser: argparse.ArgumentParser,
    capsys: pytest.CaptureFixture[str],
    images: NDArray[Any],
    steps: Any,
    told: str,
) -> None:
    model = model_of(init_network([2, 2], preprocessing=steps))
    assert with_range(parser.parse_args([]), model, images) is model.network
    line = capsys.readouterr().err
    assert told in line
    assert bool(line) == bool(told)


def test_a_network_that_xpnet_wrote_without_preprocessing_can_be_given_a_range(
    parser: argparse.ArgumentParser,
) -> None:
    args = parser.parse_args(["--input-range", "0..1"])
    network = with_range(args, model_of(init_network([2, 2])), BYTES)
    assert network.preprocessing == (Scale(1 / 255),)


def test_a_range_against_what_the_file_says(parser: argparse.ArgumentParser) -> None:
    args = parser.parse_args(["--input-range", "0..1"])
    model = model_of(init_network([2, 2], preprocessing=Scale(0.5)))
    with pytest.raises(UsageError, match=r"says how it takes its inputs: Scale\(factor=0.5\)"):
        with_range(args, model, BYTES)


def test_what_a_file_does_not_tell_is_asked_for(xpnet: Any, tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    layer = init_network([784, 10], scheme="xavier").layers[0]
    np.savez(path, **{"fc.weight": layer.weight.T, "fc.bias": layer.bias})
    result = xpnet("predict", "--rows", "3", "--model", path)
    assert result.code == 4
    assert "(--activation relu) for the hidden layers" in result.err
    result = xpnet("predict", "--rows", "3", "--model", path, "--activation", "identity")
    assert (result.code, len(result.out.splitlines())) == (0, 4)
    assert "divided by 255" in result.err


def test_the_range_changes_the_results(xpnet: Any, tmp_path: Path) -> None:
    path = tmp_path / "book.npz"
    images, _ = sample()
    weight = np.random.default_rng(0).normal(size=(784, 10))
    np.savez(path, W1=weight, b1=np.linspace(-50.0, 50.0, 10))
    scaled = xpnet("predict", "--model", path).out
    raw = xpnet("predict", "--model", path, "--input-range", "0..255").out
    rows = images.reshape(len(images), -1)
    for printed, x in ((scaled, rows / 255), (raw, rows)):
        expected = np.argmax(x @ weight + np.linspace(-50.0, 50.0, 10), axis=1)
        assert [int(line.split(",")[1]) for line in printed.splitlines()[1:]] == expected.tolist()


def test_a_network_of_xpnet_is_not_given_activations(xpnet: Any, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save(init_network([784, 10]), path)
    result = xpnet("predict", "--model", path, "--activation", "relu")
    assert result.code == 4
    assert "`activation` must be left out for a file that contains it; got 'relu'" in result.err


@pytest.mark.parametrize("step", [Scale(1 / 255), Standardize(0.0, 255.0), Standardize(33.3)])
def test_a_network_from_elsewhere_that_divides_by_itself_is_given_raw_bytes(
    parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str], step: Any
) -> None:
    network = init_network([2, 2], preprocessing=step)
    contents = ModelFile(network, "ONNX", is_own=False)
    assert contents.declares_input_range
    model = model_of(network, tells_range=contents.declares_input_range, is_own=False)
    assert with_range(parser.parse_args([]), model, BYTES) is network
    assert "so raw bytes go in as they are" in capsys.readouterr().err
    scaled = with_range(parser.parse_args(["--input-range", "0..1"]), model, BYTES)
    assert scaled.preprocessing[0] == Scale(1 / 255)


@pytest.mark.parametrize("steps", [(), Scale(2.0), Standardize(0.5, 0.5), Standardize(0.1307, 0.3)])
def test_a_network_from_elsewhere_that_takes_0_to_1(steps: Any) -> None:
    assert not ModelFile(
        init_network([2, 2], preprocessing=steps), "ONNX", is_own=False
    ).declares_input_range


def test_inputs_that_are_declared_as_whole_numbers_tell_their_range() -> None:
    contents = ModelFile(init_network([2, 2]), "ONNX", is_own=False, has_integer_input=True)
    assert contents.declares_input_range
