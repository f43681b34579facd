"""The command line in process, and small files for it to work on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from xpnet import Dense, Network, Scale, sample, save
from xpnet.arrays.libraries import KNOWN
from xpnet.arrays.library import Library
from xpnet.cli.main import main

N_DIGITS = 40


@dataclass(frozen=True)
class Result:
    """What a command line gave."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]
Refusal = Callable[..., tuple[int, str]]


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


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time a hundredth of the usual number of images: no test needs exact speeds."""
    monkeypatch.setattr("xpnet.inference.throughput._ROUND_SECONDS", 0.002)
    monkeypatch.setattr("xpnet.inference.throughput._MAX_ROWS", 1000)


@pytest.fixture
def refused(xpnet: Command) -> Refusal:
    """Run a command line that must fail as all failures do; return its code and its line."""

    def run(*words: str | Path) -> tuple[int, str]:
        result = xpnet(*words)
        assert result.out == ""
        assert result.err.startswith("xpnet: ")
        assert result.err.endswith("\n")
        assert len(result.err.splitlines()) == 1
        assert len(result.err.rstrip("\n")) <= 400
        assert "Traceback" not in result.err
        return result.code, result.err

    return run


@pytest.fixture
def strict_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open array-api-strict's device1 where a GPU is asked for."""
    strict = pytest.importorskip("array_api_strict")
    monkeypatch.setitem(KNOWN, "cupy", stand_in("array-api-strict", strict.Device("device1")))


def stand_in(library: str, device: Any) -> Library:
    """Return a library's entry, in which this device is every GPU."""
    return replace(KNOWN[library], name="cupy", open=lambda _: device)


def as_csv(images: NDArray[np.uint8], labels: NDArray[np.uint8] | None = None) -> str:
    """Return digits as Kaggle writes them: label first, a header."""
    rows = images.reshape(len(images), -1)
    names = [f"pixel{i}" for i in range(rows.shape[1])]
    if labels is not None:
        rows, names = np.column_stack((labels, rows)), ["label", *names]
    lines = [",".join(names), *(",".join(map(str, row)) for row in rows.tolist())]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session", name="as_csv")
def as_csv_fixture() -> Callable[..., str]:
    """Return the function that writes digits as CSV."""
    return as_csv


@pytest.fixture(scope="session")
def digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the first of the embedded digits."""
    images, labels = sample()
    return images[:N_DIGITS], labels[:N_DIGITS]


@pytest.fixture
def labelled(digits: tuple[NDArray[np.uint8], NDArray[np.uint8]], tmp_path: Path) -> Path:
    """Return a CSV file of digits with labels."""
    path = tmp_path / "labelled.csv"
    path.write_text(as_csv(*digits))
    return path


@pytest.fixture
def unlabelled(digits: tuple[NDArray[np.uint8], NDArray[np.uint8]], tmp_path: Path) -> Path:
    """Return a CSV file of the same digits without labels."""
    path = tmp_path / "unlabelled.csv"
    path.write_text(as_csv(digits[0]))
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
