"""Certificates: validation of stages, sizes and facts, and files of one network and input."""

import io
import platform
import re
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

import xpnet
from xpnet.files import DataError
from xpnet.networks.preprocessing import Scale
from xpnet.parity import certificate as room
from xpnet.parity.candidates import stage_results
from xpnet.parity.certificate import (
    FACTS,
    certify,
    read_certificate,
    stage_forms,
    write_certificate,
)

PLACE = {
    "device": "gpu:0",
    "hardware": "a card",
    "library": "cupy",
    "library_version": "14.2.0",
    "compute_type": "float32",
}


def make_layers(dtype="float32"):
    random = np.random.default_rng(0)
    sizes = ((3, 2, "elu"), (2, 4, "identity"))
    return [
        xpnet.Dense(
            random.normal(size=(n_in, n_out)).astype(dtype),
            random.normal(size=n_out).astype(dtype),
            activation,
        )
        for n_in, n_out, activation in sizes
    ]


LAYERS = make_layers()
NETWORK = xpnet.Network(LAYERS, preprocessing=Scale(1 / 255))
X = np.random.default_rng(1).integers(0, 256, (5, 3), dtype=np.uint8)


def record(network=NETWORK, x=X, **place):
    """Return a certificate of the results of the ordinary network."""
    facts = {"recorded": "2025-06-01", **PLACE, **place}
    return certify(network, x, stage_results(network.ordinary, x), **facts)


@pytest.fixture
def path(tmp_path):
    write_certificate(tmp_path / "gpu.npz", record())
    return tmp_path / "gpu.npz"


def changed(path, facts=None, stages=None):
    """Write a certificate again with other facts and stages, and the right digests."""
    with ExitStack() as closing:
        found = room.CERTIFICATE_FORMAT.open(io.BytesIO(path.read_bytes()), path, closing)
        arrays = found.arrays(1 << 20) | (stages or {})
    arrays = {name: x for name, x in arrays.items() if x is not None}
    path.write_bytes(room.CERTIFICATE_FORMAT.to_bytes({**found.facts, **(facts or {})}, arrays))


def assert_same(certificate, other):
    assert certificate.network == other.network
    assert certificate.input == other.input
    assert certificate.facts == other.facts
    assert certificate.result_hash == other.result_hash
    for stage, expected in zip(certificate.stages, other.stages, strict=True):
        assert stage.dtype == expected.dtype
        assert stage.dtype.isnative
        np.testing.assert_array_equal(stage, expected)


def refused(path, message, network=NETWORK, x=X):
    with pytest.raises(DataError, match=message) as caught:
        read_certificate(path, network, x)
    assert caught.value.file == str(path)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_written_certificate_is_read(tmp_path, dtype):
    network = xpnet.Network(make_layers(dtype))
    certificate = record(network)
    assert [stage.dtype for stage in certificate.stages] == [dtype] * 3
    write_certificate(tmp_path / "gpu.npz", certificate)
    assert_same(read_certificate(tmp_path / "gpu.npz", network, X), certificate)


def test_a_certificate_of_reproducible_results_holds_their_hash(tmp_path):
    path, certificate = tmp_path / "gpu.npz", record(xpnet.reproducible(NETWORK))
    write_certificate(path, certificate)
    assert_same(read_certificate(path, NETWORK, X), certificate)
    assert re.fullmatch("([0-9a-f]{4}-){3}[0-9a-f]{4}", certificate.result_hash)


@pytest.mark.parametrize("text", ["0000-0000-0000-0000", "", "\x1b[2J", 1, [], True])
def test_a_hash_of_other_outputs_is_rejected(path, text):
    changed(path, {"result_hash": text})
    expected = record(xpnet.reproducible(NETWORK)).result_hash
    refused(path, f"hash of other outputs, found '.*', expected {expected}")


def test_stages_may_be_nan_infinite_and_column_major(tmp_path):
    stages = [np.asfortranarray(stage) for stage in record().stages]
    stages[1][0, :] = np.nan, -np.inf
    certificate = replace(record(), stages=tuple(stages))
    write_certificate(tmp_path / "gpu.npz", certificate)
    assert_same(read_certificate(tmp_path / "gpu.npz", NETWORK, X), certificate)


def test_the_same_certificate_gives_the_same_bytes(path, tmp_path):
    write_certificate(tmp_path / "again.npz", record())
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_an_existing_file_stays_unless_forced(path):
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="--force"):
        write_certificate(path, record(recorded="2026-01-01"))
    assert path.read_bytes() == before
    write_certificate(path, record(recorded="2026-01-01"), force=True)
    assert read_certificate(path, NETWORK, X).facts["recorded"] == "2026-01-01"


ANOTHER = np.float32([[1, 2], [3, 4]])
SQUARE = xpnet.Dense(ANOTHER, ANOTHER[0])


def with_layer(i, **changes):
    """Return the network with one layer changed."""
    layers = list(LAYERS)
    layers[i] = replace(layers[i], **changes)
    return replace(NETWORK, layers=tuple(layers))


HASHES = "found SHA-256 [0-9a-f]{12}, expected SHA-256 [0-9a-f]{12}, as the"
OTHERS = {
    "number of layers": (xpnet.Network(LAYERS[:1]), "number of layers, found 2, expected 1, as"),
    "dtype": (xpnet.Network(make_layers("float64")), "dtype, found float32, expected float64, as"),
    "shape": (xpnet.Network([LAYERS[0], SQUARE]), "shape of layer 2, found 2 x 4, expected 2 x 2"),
    "activation": (
        with_layer(0, activation="relu", options={}),
        r"activation of layer 1, found elu\(alpha=1.0\), expected relu, as the network given",
    ),
    "option": (
        with_layer(0, options={"alpha": 2}),
        r"activation of layer 1, found elu\(alpha=1.0\), expected elu\(alpha=2.0\), as",
    ),
    "weight": (with_layer(1, weight=LAYERS[1].weight * 2), f"weight of layer 2, {HASHES}"),
    "bias": (with_layer(0, bias=-LAYERS[0].bias), f"bias of layer 1, {HASHES}"),
    "preprocessing": (
        replace(NETWORK, preprocessing=()),
        r"preprocessing, found Scale\(factor=0.003\d*\), expected none, as the network given",
    ),
    "output": (
        replace(NETWORK, output="values"),
        "output, found logits, expected values, as the network given here has, give the netw",
    ),
    "classes": (
        replace(NETWORK, classes=("a", "b", "c", "d")),
        "classes, found none, expected SHA-256 [0-9a-f]{12}, as the network given here has,",
    ),
}


@pytest.mark.parametrize(("network", "message"), OTHERS.values(), ids=OTHERS)
def test_another_network_is_rejected(path, network, message):
    refused(path, message, network=network)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[:4], "another input: number of rows, found 5, expected 4, as the input given here has"),
        (X[:, :2], "another input: shape, found 5 x 3, expected 5 x 2, as the input given here"),
        (X.astype("f4"), "another input: dtype, found uint8, expected float32, as the input given"),
        (X[::-1], f"another input: values, {HASHES}"),
    ],
    ids=["rows", "shape", "dtype", "values"],
)
def test_another_input_is_rejected(path, x, message):
    refused(path, message, x=x)


def test_other_files_are_rejected(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"a,b\n")
    refused(
        tmp_path / "a.npz",
        "not a certificate of version 2, found first bytes 61 2c 62 0a, expected a file that"
        " xpnet parity --record wrote, record it again",
    )


def test_too_large_files_are_rejected(path, monkeypatch):
    monkeypatch.setattr(room, "MAX_STAGE_BYTES", 100)
    refused(path, "too large for a certificate, expected at most 200 bytes")


def test_a_file_without_end_that_is_no_certificate_is_not_read(monkeypatch):
    monkeypatch.setattr(room, "MAX_STAGE_BYTES", 1 << 62)
    refused("/dev/zero", "found first bytes 00 00 00 00")


def test_unreadable_files_raise_the_error_of_the_system(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_certificate(tmp_path, NETWORK, X)
    with pytest.raises(FileNotFoundError):
        read_certificate(tmp_path / "none.npz", NETWORK, X)


def test_a_damaged_file_is_rejected(path):
    path.write_bytes(path.read_bytes()[:-1])
    refused(path, "corrupt or truncated npz")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"facts": None}, "'facts' in the certificate, expected a JSON object of printable string"),
        ({"network": {"dtype": 1}}, "'network' in the certificate, expected a JSON object of"),
        ({"input": []}, "'input' in the certificate, expected a JSON object of printable strings"),
        ({"input": {"shape": "\x1b[2J"}}, "'input' in the certificate, expected a JSON object"),
        ({"facts": {}}, "facts of the certificate, found without compute_type, device, hardware,"),
        ({"network": {}}, "number of layers, found nothing, expected 2, as the network given here"),
        (
            {"network": {**record().network, "more": "1"}},
            "network: more, found 1, expected nothing, as the network given here has",
        ),
    ],
)
def test_invalid_facts_are_rejected(path, facts, message):
    changed(path, facts)
    refused(path, message)


@pytest.mark.parametrize("facts", [[], None, "facts", 1])
def test_facts_that_are_no_object_are_rejected(path, facts):
    stages = {f"stage_{i}": x for i, x in enumerate(record().stages)}
    path.write_bytes(room.CERTIFICATE_FORMAT.to_bytes(facts, stages))
    refused(path, "'facts' in the certificate, expected a JSON object of printable strings")


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({"stage_1": None}, "stages of the certificate, found without stage_1"),
        ({"more": ANOTHER}, "stages of the certificate, found with additional more"),
        (
            {"stage_0": X},
            r"found \[\('uint8', \(5, 3\)\), .*\], expected \[\('float32', \(5, 3\)\)",
        ),
        ({"stage_2": record().stages[2].reshape(4, 5)}, "stages of a wrong dtype or shape, found"),
        ({"stage_0": np.zeros((10**5, 3), "f4")}, "'stage_0.npy' is too large, found 1,200,128"),
    ],
)
def test_other_stages_are_rejected(path, stages, message):
    changed(path, stages=stages)
    refused(path, message)


ONES = xpnet.Network.from_arrays(
    {"W1": np.ones((3, 2)), "b1": np.ones(2), "W2": np.ones((2, 4)), "b2": np.ones(4)}
)
X_ONES = np.ones((5, 3), np.uint8)
STAGES = tuple(np.ones((5, width)) for width in (3, 2, 4))


def test_the_facts_of_a_certificate():
    before = datetime.now(UTC).replace(microsecond=0)
    facts = certify(ONES, X_ONES, STAGES, **PLACE).facts
    assert tuple(facts) == FACTS
    recorded = datetime.fromisoformat(facts["recorded"])
    assert before <= recorded <= datetime.now(UTC)
    assert facts | {"recorded": ""} == {
        "device": "gpu:0",
        "hardware": "a card",
        "library": "cupy",
        "library_version": "14.2.0",
        "compute_type": "float32",
        "xpnet": xpnet.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "recorded": "",
    }


def test_only_reproducible_results_have_a_hash():
    assert certify(ONES, X_ONES, STAGES, **PLACE).result_hash is None
    stages = stage_results(xpnet.reproducible(ONES), X_ONES)
    certificate = certify(xpnet.reproducible(ONES), X_ONES, stages, **PLACE)
    assert certificate.result_hash == xpnet.result_hash(ONES, X_ONES)


def test_the_forms_of_the_stages():
    shapes = [(7, 3), (7, 2), (7, 4)]
    assert stage_forms(ONES, 7) == [("float64", shape) for shape in shapes]


@pytest.mark.parametrize("shape", [(3,), (0, 3), (5, 2), (1, 5, 3)])
def test_an_input_without_rows_is_rejected(shape):
    message = f"`x` must have the shape (n, 3) with at least one row; got {shape}"
    with pytest.raises(ValueError, match=re.escape(message)):
        certify(ONES, np.ones(shape), STAGES, **PLACE)


@pytest.mark.parametrize(
    ("stages", "shown"),
    [
        (STAGES[:2], "float64 (5, 3), float64 (5, 2)"),
        ((STAGES[0], STAGES[1], np.ones((5, 5))), "float64 (5, 3), float64 (5, 2), float64 (5, 5)"),
        ((*STAGES[:2], np.ones((5, 4), "f4")), "float64 (5, 3), float64 (5, 2), float32 (5, 4)"),
        ((), "none"),
    ],
)
def test_wrong_stages_are_rejected(stages, shown):
    wanted = "float64 (5, 3), float64 (5, 2), float64 (5, 4)"
    message = re.escape(f"`stages` must be {wanted}; got {shown}")
    with pytest.raises(ValueError, match=f"{message}$"):
        certify(ONES, X_ONES, stages, **PLACE)


def test_too_many_rows_are_rejected(monkeypatch):
    monkeypatch.setattr("xpnet.parity.certificate.MAX_STAGE_BYTES", 359)
    message = "`stages` must take at most 359 bytes; got 360 for 5 rows: give fewer rows"
    with pytest.raises(ValueError, match=message):
        certify(ONES, X_ONES, STAGES, **PLACE)


@pytest.mark.parametrize("name", PLACE)
def test_unprintable_facts_are_rejected(name):
    for text in ("", "a\nb", "\x1b[2J"):
        message = re.escape(f"`{name}` must be a printable string; got {text!r}")
        with pytest.raises(ValueError, match=message):
            certify(ONES, X_ONES, STAGES, **(PLACE | {name: text}))


def test_a_certificate_in_a_line():
    assert str(record()) == "Certificate(5 rows by gpu:0, a card, 2025-06-01)"
