"""The command line in process, and small files for it to work on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray

from xpnet import Dense, Network, Scale, load, sample, save
from xpnet.arrays.libraries import KNOWN
from xpnet.cli.main import main
from xpnet.inference import throughput
from xpnet.inference.throughput import Throughput


@dataclass(frozen=True)
class Result:
    """What a command line gave."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]
Refusal = Callable[..., tuple[int, str]]
Digits = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture
def xpnet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command line in this process, on a terminal of 80 columns and without colors."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PYTHON_COLORS", "0")

    def run(*words: str | Path) -> Result:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def known_speeds(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Let `xpnet bench` take no time: the best batches have 1,000 images; return the function."""

    def measure(*_: Any, batch_sizes: list[int], **__: Any) -> list[Throughput]:
        sizes = [size for size in batch_sizes if size <= 10_000]
        best = {size: 25e3 * size**0.5 / (1 + size / 1000) for size in sizes}
        return [Throughput(size, best[size], 0.9 * best[size], 10 * size) for size in sizes]

    spy = Mock(side_effect=measure)
    monkeypatch.setattr(throughput, "measure_throughput", spy)
    return spy


@pytest.fixture
def refused(xpnet: Command) -> Refusal:
    """Run a command line that must fail as all failures do; return its code and its line."""

    def run(*words: str | Path) -> tuple[int, str]:
        result = xpnet(*words)
        (line,) = result.err.splitlines()
        assert (result.out, line[:7], result.err) == ("", "xpnet: ", f"{line}\n")
        assert len(line) <= 400
        assert "Traceback" not in line
        return result.code, result.err

    return run


@pytest.fixture
def strict_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open array-api-strict's device1 where a GPU is asked for."""
    strict = pytest.importorskip("array_api_strict")
    gpu = replace(KNOWN["array-api-strict"], name="cupy", open=lambda _: strict.Device("device1"))
    monkeypatch.setitem(KNOWN, "cupy", gpu)


@pytest.fixture(scope="session")
def digits() -> Digits:
    """Return the first of the embedded digits."""
    images, labels = sample()
    return images[:40], labels[:40]


@pytest.fixture
def labelled(digits: Digits, tmp_path: Path) -> Path:
    """Return a CSV file of digits as Kaggle writes them: a header, label first."""
    images, labels = digits
    rows = np.column_stack((labels, images.reshape(len(images), -1)))
    names = ["label", *(f"pixel{i}" for i in range(rows.shape[1] - 1))]
    lines = [",".join(map(str, row)) for row in (names, *rows.tolist())]
    path = tmp_path / "labelled.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def unlabelled(labelled: Path) -> Path:
    """Turn `labelled` into a CSV file of the same digits without labels."""
    rows = [line.partition(",")[2] for line in labelled.read_text().splitlines()]
    path = labelled.rename(labelled.with_name("unlabelled.csv"))
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Write the embedded network as another program does, for pixels in 0..1; return its file."""
    arrays: dict[str, Any] = {}
    for i, layer in enumerate(load("sample").layers, start=1):
        arrays |= {f"W{i}": layer.weight, f"b{i}": layer.bias}
    path = tmp_path / "book.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def save_network(tmp_path: Path) -> Callable[..., Path]:
    """Write a network of one random layer; return its file."""

    def write(n_out: int, n_in: int = 784, **meaning: Any) -> Path:
        weight = np.random.default_rng(0).standard_normal((n_in, n_out), np.float32)
        layers = [Dense(weight, np.zeros(n_out, np.float32))]
        path = tmp_path / "network.safetensors"
        save(Network(layers, preprocessing=Scale(1 / 255), **meaning), path)
        return path

    return write
