"""Files of certificates: read only with the same network and input, if undamaged."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.files import DataError
from xpnet.networks.execution import layer_results
from xpnet.networks.fingerprint import sha256_of_array
from xpnet.networks.preprocessing import Scale
from xpnet.parity.certificate import FACTS, certify
from xpnet.parity.certificate_file import read_certificate, write_certificate

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


def stages_of(network, x):
    return [np.asarray(y) for _, y in layer_results(network, x, np)]


def record(network=NETWORK, x=X, **place):
    """Return a certificate; with reproducible=True, of the same stages with their hash."""
    facts = {"recorded": "2025-06-01", **PLACE, **place}
    return certify(network, x, stages_of(network, x), **facts)


@pytest.fixture
def path(tmp_path):
    write_certificate(tmp_path / "gpu.npz", record())
    return tmp_path / "gpu.npz"


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


def save(path, *, sign=True, description=None, **changed):
    """Save a certificate again with other members, using NumPy."""
    with np.load(path) as archive:
        arrays = dict(archive)
    if description is not None:
        text = json.dumps(json.loads(arrays["certificate"].item()) | description)
        arrays["certificate"] = np.asarray(text)
    arrays |= {name: array for name, array in changed.items() if array is not None}
    for name in (name for name, array in changed.items() if array is None):
        del arrays[name]
    if sign and "certificate" in arrays:
        text = arrays["certificate"].item()
        arrays["sha256"] = np.asarray(hashlib.sha256(text.encode()).hexdigest())
    np.savez(path, **arrays)


def zipped(path, name, content, method=zipfile.ZIP_DEFLATED):
    """Replace the bytes of one member."""
    with zipfile.ZipFile(path) as archive:
        contents = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, old in contents.items():
            archive.writestr(member, content if member == name else old, method)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_written_certificate_is_read(tmp_path, dtype):
    network = xpnet.Network(make_layers(dtype))
    certificate = record(network)
    assert [stage.dtype for stage in certificate.stages] == [dtype] * 3
    write_certificate(tmp_path / "gpu.npz", certificate)
    assert_same(read_certificate(tmp_path / "gpu.npz", network, X), certificate)


def test_a_certificate_of_reproducible_results_holds_their_hash(tmp_path):
    path, certificate = tmp_path / "gpu.npz", record(reproducible=True)
    write_certificate(path, certificate)
    assert_same(read_certificate(path, NETWORK, X), certificate)
    with np.load(path, allow_pickle=False) as archive:
        description = json.loads(archive["certificate"].item())
    # An xpnet that does not know the key reads the file, too.
    assert (description["version"], description["result_hash"]) == (1, certificate.result_hash)


@pytest.mark.parametrize("text", ["0000-0000-0000-0000", "", "\x1b[2J", 1, [], True])
def test_a_hash_of_other_outputs_is_rejected(path, text):
    save(path, description={"result_hash": text})
    expected = record(reproducible=True).result_hash
    refused(path, f"'result_hash' in the certificate, found '.*', expected {expected}, that of its")


def test_stages_may_be_nan_infinite_and_column_major(tmp_path):
    stages = [np.asfortranarray(stage) for stage in record().stages]
    stages[1][0, :] = np.nan, -np.inf
    certificate = replace(record(), stages=tuple(stages))
    write_certificate(tmp_path / "gpu.npz", certificate)
    assert_same(read_certificate(tmp_path / "gpu.npz", NETWORK, X), certificate)


def test_stages_are_writeable(path):
    assert all(stage.flags.writeable for stage in read_certificate(path, NETWORK, X).stages)


def test_the_same_certificate_gives_the_same_bytes(path, tmp_path):
    write_certificate(tmp_path / "again.npz", record())
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_numpy_reads_the_file(path):
    with np.load(path, allow_pickle=False) as archive:
        assert archive.files == ["certificate", "sha256", "stage_0", "stage_1", "stage_2"]
        description = json.loads(archive["certificate"].item())
        np.testing.assert_array_equal(archive["stage_2"], record().stages[2])
    assert description["version"] == 1
    assert "result_hash" not in description
    assert tuple(description["facts"]) == FACTS
    assert description["facts"]["device"] == "gpu:0"
    assert description["network"]["activation of layer 1"] == "elu(alpha=1.0)"
    assert description["input"]["shape"] == "5 x 3"


def test_a_copy_saved_by_numpy_is_read(path):
    save(path, sign=False)
    assert_same(read_certificate(path, NETWORK, X), record())


def test_an_existing_file_stays_unless_forced(path):
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="--force"):
        write_certificate(path, record(recorded="2026-01-01"))
    assert path.read_bytes() == before
    write_certificate(path, record(recorded="2026-01-01"), force=True)
    assert read_certificate(path, NETWORK, X).facts["recorded"] == "2026-01-01"


def test_a_description_that_is_too_long_to_read_is_not_written(tmp_path):
    certificate = record(hardware="x" * (1 << 20))
    with pytest.raises(ValueError, match=r"at most 1048576 characters; got 1050\d\d\d"):
        write_certificate(tmp_path / "gpu.npz", certificate)
    assert list(tmp_path.iterdir()) == []


ANOTHER = np.float32([[1, 2], [3, 4]])
SQUARE = xpnet.Dense(ANOTHER, ANOTHER[0])


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (xpnet.Network(LAYERS[:1]), "network: number of layers, found 2, expected 1, as the"),
        (xpnet.Network(make_layers("float64")), "dtype, found float32, expected float64, as"),
        (xpnet.Network([LAYERS[0], SQUARE]), "shape of layer 2, found 2 x 4, expected 2 x 2"),
        (
            replace(NETWORK, layers=(replace(LAYERS[0], activation="relu", options={}), LAYERS[1])),
            r"activation of layer 1, found elu\(alpha=1.0\), expected relu, as the network given",
        ),
        (
            replace(NETWORK, layers=(replace(LAYERS[0], options={"alpha": 2}), LAYERS[1])),
            r"activation of layer 1, found elu\(alpha=1.0\), expected elu\(alpha=2.0\), as",
        ),
        (
            replace(NETWORK, layers=(LAYERS[0], replace(LAYERS[1], weight=LAYERS[1].weight * 2))),
            "weight of layer 2, found SHA-256 [0-9a-f]{12}, expected SHA-256 [0-9a-f]{12}, as the",
        ),
        (
            replace(NETWORK, layers=(replace(LAYERS[0], bias=-LAYERS[0].bias), LAYERS[1])),
            "bias of layer 1, found SHA-256 [0-9a-f]{12}, expected SHA-256 [0-9a-f]{12}, as the",
        ),
        (
            replace(NETWORK, preprocessing=()),
            r"preprocessing, found Scale\(factor=0.003\d*\), expected none, as the network given",
        ),
        (
            replace(NETWORK, output="values"),
            "output, found logits, expected values, as the network given here has, give the netw",
        ),
        (
            replace(NETWORK, classes=("a", "b", "c", "d")),
            "classes, found none, expected SHA-256 [0-9a-f]{12}, as the network given here has,",
        ),
    ],
    ids=[
        "number of layers",
        "dtype",
        "shape",
        "activation",
        "option",
        "weight",
        "bias",
        "preprocessing",
        "output",
        "classes",
    ],
)
def test_another_network_is_rejected(path, network, message):
    refused(path, message, network=network)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[:4], "another input: number of rows, found 5, expected 4, as the input given here has"),
        (X[:, :2], "another input: shape, found 5 x 3, expected 5 x 2, as the input given here"),
        (X.astype("f4"), "another input: dtype, found uint8, expected float32, as the input given"),
        (
            X[::-1],
            "another input: values, found SHA-256 [0-9a-f]{12}, expected SHA-256 [0-9a-f]{12}, as",
        ),
    ],
    ids=["rows", "shape", "dtype", "values"],
)
def test_another_input_is_rejected(path, x, message):
    refused(path, message, x=x)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a certificate, found 0 bytes, expected an npz file that xpnet parity --record"),
        (b"a,b\n", "not a certificate, found first bytes 61 2c 62 0a, expected an npz file"),
        (npy(np.zeros(3)), "not a certificate, found first bytes 93 4e 55 4d, expected"),
        (b"PK\x03\x04" + bytes(50), "corrupt or truncated npz, found File is not a zip file, save"),
        (b"PK\x03\x04" + b"PK\x05\x06" + bytes(18), "npz without arrays"),
        (b"PK\x03\x04" + b"PK\x05\x06" + b"\1" * 16 + bytes(2), "found Bad offset for central di"),
    ],
)
def test_other_files_are_rejected(tmp_path, content, message):
    (tmp_path / "a.npz").write_bytes(content)
    refused(tmp_path / "a.npz", message)


def test_too_large_files_are_rejected(path, monkeypatch):
    monkeypatch.setattr("xpnet.parity.certificate_file.MAX_BYTES", 1000)
    refused(path, "too large for a certificate, expected at most 2000 bytes")


def test_unreadable_files_raise_the_error_of_the_system(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_certificate(tmp_path, NETWORK, X)
    with pytest.raises(FileNotFoundError):
        read_certificate(tmp_path / "none.npz", NETWORK, X)


def edited(stage):
    stage = record().stages[stage].copy()
    stage[0, 0] += 1
    return stage


def test_edited_values_are_rejected(path):
    save(path, sign=False, stage_2=edited(2))
    found, expected = sha256_of_array(edited(2))[:12], sha256_of_array(record().stages[2])[:12]
    refused(path, f"'stage_2' was changed after .*, found SHA-256 {found}, expected {expected}, re")


def test_an_edited_description_is_rejected(path):
    save(path, sign=False, description={"facts": {"device": "gpu:1"}})
    refused(path, "the description was changed after it was recorded, found SHA-256 .* record it")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (2, "version of the format, found 2, expected 1, which this xpnet reads, use a newer"),
        (0, "version of the format, found 0, expected 1, which this xpnet reads, record it again"),
        (True, "found True, expected 1, which this xpnet reads, record it again"),
        ("1", "found '1', expected 1, which this xpnet reads, record it again"),
        (None, "found None, expected 1, which this xpnet reads, record it again"),
    ],
)
def test_another_version_of_the_format_is_rejected(path, version, message):
    save(path, description={"version": version})
    refused(path, message)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"format": "another"}, "not a certificate, expected JSON of the format 'xpnet parity cer"),
        (
            {"facts": None},
            "'facts' in the certificate, expected a JSON object of printable strings",
        ),
        ({"network": {"dtype": 1}}, "'network' in the certificate, expected a JSON object of"),
        ({"input": []}, "'input' in the certificate, expected a JSON object of printable strings"),
        ({"stages": {"stage_0": "\x1b[2J"}}, "'stages' in the certificate, expected a JSON object"),
        ({"facts": {}}, "facts of the certificate, found without compute_type, device, hardware,"),
        ({"network": {}}, "number of layers, found nothing, expected 2, as the network given here"),
        ({"stages": {"x": "x"}}, "found without stage_0, stage_1, stage_2 and with additional x"),
    ],
)
def test_an_invalid_description_is_rejected(path, description, message):
    save(path, description=description)
    refused(path, message)


def test_a_fact_that_only_the_file_has_is_rejected(path):
    save(path, description={"network": {**record().network, "more": "1"}})
    refused(path, "network: more, found 1, expected nothing, as the network given here has")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "1" * 5000, "\0", "[]", "null"])
def test_a_description_that_is_no_json_object_is_rejected(path, text):
    save(path, certificate=np.asarray(text))
    refused(path, "is not JSON, found|not a certificate, expected JSON")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"certificate": None}, "no member 'certificate', expected an npz file that xpnet parity"),
        ({"sha256": None}, "no member 'sha256', expected an npz file that xpnet parity"),
        ({"stage_1": None}, "members of the certificate, found without stage_1"),
        ({"more": ANOTHER}, "members of the certificate, found with additional more"),
        (
            {"certificate": ANOTHER},
            r"'certificate' has a wrong dtype or shape, found '<f4 \(2, 2\)', ",
        ),
        ({"sha256": np.asarray("0" * 65)}, "found .*U65.*, expected a string of at most 64 char"),
        (
            {"stage_0": ANOTHER},
            r"'stage_0' has a wrong dtype or shape, found '<f4 \(2, 2\)', expected float32",
        ),
        ({"stage_0": X}, r"found '\|u1 \(5, 3\)', expected float32, 5 x 3, little-endian, by"),
        ({"stage_0": record().stages[0].astype(">f4")}, r"found '>f4 \(5, 3\)', expected float32"),
        (
            {"stage_0": np.asfortranarray(record().stages[0])},
            r"found '<f4 \(5, 3\), by columns', exp",
        ),
    ],
)
def test_another_member_is_rejected(path, changed, message):
    save(path, sign=False, **changed)
    refused(path, message)


HEADER = npy(record().stages[0])[:128]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(np.asarray([{}])), "dtype of the array, found object, expected plain numbers"),
        (b"\x80\x04N.", "npy version, found 80 04 4e 2e, expected 1.0 or 2.0"),
        (b"", "npy version, found 0 bytes, expected 1.0 or 2.0"),
        (HEADER, "'stage_0.npy' has less than its header declares, expected 60 bytes"),
        (HEADER + bytes(61), "'stage_0.npy' has more than its header declares, expected 60"),
        (HEADER + bytes(10**7), "'stage_0.npy' has more than its header declares, expected 60"),
        (HEADER + bytes(60), "'stage_0' was changed after it was recorded"),
    ],
)
def test_a_damaged_member_is_rejected(path, content, message):
    zipped(path, "stage_0.npy", content)
    refused(path, message)


def test_a_description_that_is_no_string_is_rejected(path):
    header = npy(np.asarray("ab"))[:128]
    zipped(path, "certificate.npy", header + b"\xff" * 8)
    refused(path, "the member 'certificate' is not JSON, found Expecting value")


def test_an_encrypted_member_is_rejected(path):
    content = bytearray(path.read_bytes())
    # The flags of the first member, in its local header and in the directory.
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    refused(path, "npz member with an unsupported compression, or encrypted, found 'certificate")


def test_a_member_twice_is_rejected(path):
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("stage_0.npy", b"")
    refused(path, "duplicate npz member, found 'stage_0.npy'")
