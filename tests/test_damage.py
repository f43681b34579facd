"""Damaged files: each is refused in one line, or holds exactly what it held before.

npz files all of them, and the headers of safetensors: their numbers have no checksum.

`check` takes any damage, so that a longer run can try more than the tests here.
"""

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from xpnet import DataError, Dense, Network, Scale, WeightsError, load, read
from xpnet.formats import npz, safetensors
from xpnet.networks.network import layer_results
from xpnet.parity.certificates.certificate import read_certificate, write_certificate
from xpnet.parity.certificates.recording import certify

NETWORK = Network(
    [
        Dense(np.asarray([[0.5, -1.0], [2.0, 0.25]], "f4"), np.asarray([1.0, 2.0], "f4"), "relu"),
        Dense(np.asarray([[1.5], [-0.5]], "f4"), np.asarray([0.125], "f4")),
    ],
    preprocessing=Scale(0.5),
)
IMAGES = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
LABELS = np.asarray([7, 0, 9])
X = np.asarray([[1.0, 2.0], [3.0, 4.0]], "f4")


@dataclass(frozen=True)
class Kind:
    """A good file, what must not change of it, the class of its errors, and what is guarded."""

    content: bytes
    contents: Callable[[Path], Any]
    error: type[ValueError]
    n_guarded: int


class Pipe(io.BytesIO):
    """A stream that cannot go back, into which zipfile writes other records."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def images_file(stream: io.BytesIO) -> bytes:
    np.savez(stream, images=IMAGES, labels=LABELS)
    return stream.getvalue()


def large_file() -> bytes:
    """Return a piped archive, with the end of one that has more than 65,535 members."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
        return images_file(Pipe())


def certificate_file() -> bytes:
    stages = [np.asarray(y) for _, y in layer_results(NETWORK, X, np)]
    place = dict.fromkeys(("device", "hardware", "library", "library_version"), "a")
    made = certify(NETWORK, X, stages, compute_type="float32", recorded="2025-06-01", **place)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.npz"
        write_certificate(path, made)
        return path.read_bytes()


def weights_of(path: Path) -> bytes:
    return bytes(npz.serialize(load(path)))


def images_of(path: Path) -> Any:
    images, labels = read(path)
    return [(x.dtype.str, x.shape, x.tobytes()) for x in (images, labels) if x is not None]


def certificate_of(path: Path) -> Any:
    found = read_certificate(path, NETWORK, X)
    stages = [(x.dtype.str, x.shape, x.tobytes()) for x in found.stages]
    return stages, dict(found.network), dict(found.input), dict(found.facts)


def kinds() -> dict[str, Kind]:
    native = safetensors.serialize(NETWORK)
    files = {
        "weights": (npz.serialize(NETWORK), weights_of, WeightsError),
        "images": (images_file(io.BytesIO()), images_of, DataError),
        "large archive": (large_file(), images_of, DataError),
        "certificate": (certificate_file(), certificate_of, DataError),
        "safetensors": (native, weights_of, WeightsError),
    }
    header = 8 + int.from_bytes(native[:8], "little")
    guarded = {name: header if name == "safetensors" else len(files[name][0]) for name in files}
    return {name: Kind(bytes(x), *rest, guarded[name]) for name, (x, *rest) in files.items()}


KINDS = kinds()


def changed(kind: Kind, change: Callable[[int], int]) -> Iterator[bytes]:
    """Yield the file with one byte changed, at each place that is guarded."""
    content = kind.content
    for place in range(kind.n_guarded):
        yield content[:place] + bytes([change(content[place])]) + content[place + 1 :]


def check(kind: Kind, damaged: Iterable[bytes], folder: Path) -> tuple[int, int]:
    """Return how many files were refused, and how many hold what they held; raise for others."""
    path = folder / "damaged"
    path.write_bytes(kind.content)
    expected = kind.contents(path)
    n_refused = n_same = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            assert kind.contents(path) == expected, first_difference(content, kind.content)
            n_same += 1
        except kind.error as error:
            text = str(error)
            assert text.startswith(f"{path}:"), text
            assert text.isprintable(), text
            assert len(text) <= 390, text
            n_refused += 1
    return n_refused, n_same


def first_difference(damaged: bytes, good: bytes) -> str:
    pairs = enumerate(zip(damaged, good, strict=False))
    where = next((i for i, (x, y) in pairs if x != y), min(len(damaged), len(good)))
    return (
        f"byte {where}: {good[where : where + 1].hex()} became {damaged[where : where + 1].hex()}"
    )


every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@every_kind
@pytest.mark.parametrize("mask", [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80])
def test_every_byte_changed(tmp_path: Path, kind: Kind, mask: int) -> None:
    n_refused, _ = check(kind, changed(kind, lambda byte: byte ^ mask), tmp_path)
    # Dates, versions, permissions and unused bits of the packed data change nothing.
    assert n_refused > 0.75 * kind.n_guarded


@every_kind
@pytest.mark.parametrize("value", [0x00, 0xFF])
def test_every_byte_overwritten(tmp_path: Path, kind: Kind, value: int) -> None:
    n_refused, _ = check(kind, changed(kind, lambda _: value), tmp_path)
    assert n_refused > 0.4 * kind.n_guarded


@every_kind
def test_every_cut_is_refused(tmp_path: Path, kind: Kind) -> None:
    cuts = [kind.content[:length] for length in range(len(kind.content))]
    assert check(kind, cuts, tmp_path) == (len(cuts), 0)


@every_kind
def test_every_byte_that_is_missing_or_too_many_is_refused(tmp_path: Path, kind: Kind) -> None:
    places = range(len(kind.content))
    shorter = [kind.content[:i] + kind.content[i + 1 :] for i in places]
    longer = [kind.content[:i] + b"\0" + kind.content[i:] for i in places]
    assert check(kind, shorter, tmp_path) == (len(places), 0)
    assert check(kind, longer, tmp_path) == (len(places), 0)
