"""npz: the same bits back, the same bytes again, and nothing unpacked that is not wanted."""

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xpnet import Dense, Network, Scale, Standardize, Whiten, load, save
from xpnet.files.errors import WeightsError
from xpnet.formats.format_table import match_format
from xpnet.formats.model_file import LoadOptions
from xpnet.formats.npz import read_headers, serialize
from xpnet.functions.activations import ACTIVATIONS

repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=100)


def make(dtype: str = "float32", **meaning: Any) -> Network:
    """Return a network of two layers, 3 -> 4 relu -> 2."""
    draw = np.random.default_rng(0).standard_normal
    layers = [
        Dense(draw((3, 4)).astype(dtype), draw(4).astype(dtype), "relu"),
        Dense(draw((4, 2)).astype(dtype), draw(2).astype(dtype)),
    ]
    return Network(layers, **meaning)


GOOD = bytes(serialize(make(preprocessing=Scale(1 / 255), classes=["no", "yes"])))
BOOK = {
    "W1": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b1": np.arange(4, dtype=np.float32),
    "W2": np.arange(8, dtype=np.float32).reshape(4, 2),
    "b2": np.arange(2, dtype=np.float32),
}


def npy(array: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, member in members.items():
            archive.writestr(f"{name}.npy", member)
    return content.getvalue()


def foreign(**changes: Any) -> bytes:
    """Return the book's arrays in an npz file; a change to None leaves one out."""
    chosen = {name: array for name, array in {**BOOK, **changes}.items() if array is not None}
    return zipped({name: npy(array) for name, array in chosen.items()})


def header(descr: str, shape: str) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.npz"


@pytest.fixture
def error(path: Path) -> Callable[..., str]:
    """Return the text of the error that bytes give: one line that begins with the file."""

    def go(content: bytes, **options: Any) -> str:
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"model\.npz: ") as caught:
            load(path, **options)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) <= 390
        return str(caught.value)

    return go


def contents(network: Network) -> list[Any]:
    """Return all that must survive of the arrays, bit by bit, and of the activations."""
    return [
        (x.activation, dict(x.options), x.weight.dtype, x.weight.tobytes(), x.bias.tobytes())
        for x in network.layers
    ]


def steps(network: Network) -> list[Any]:
    return [
        [x if isinstance(x, float) else x.tobytes() for x in vars(step).values()]
        for step in network.preprocessing
    ]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_identical_bits(path: Path, dtype: str) -> None:
    network = make(dtype)
    save(network, path)
    assert contents(load(path)) == contents(network)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation(path: Path, activation: str) -> None:
    network = Network([Dense([[1.0]], [0.5], activation)])
    save(network, path)
    assert contents(load(path)) == contents(network)


@pytest.mark.parametrize(
    ("activation", "options"),
    [
        ("celu", {"alpha": 0.1}),
        ("gelu", {"approximate": "tanh"}),
        ("leaky_relu", {"negative_slope": 1 / 3}),
        ("softplus", {"beta": 1e6}),
        ("threshold", {"threshold": -0.7, "value": 20.0}),
    ],
)
def test_options(path: Path, activation: str, options: dict[str, Any]) -> None:
    save(Network([Dense([[1.0]], [0.5], activation, options)]), path)
    assert load(path).layers[0].options == options


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    "preprocessing",
    [
        Scale(1 / 255),
        Standardize(0.1, 0.3),
        Standardize(np.asarray([1.0, 1 / 3, -2.0]), np.asarray([0.1, 2.0, 3.0])),
        (Scale(0.5), Standardize(np.asarray([1.0, 2.0, 3.0]), 7.0), Standardize(-0.5)),
        (Scale(0.5), Whiten(np.asarray([1.0, 1 / 3, -2.0]), np.eye(3) / 3 - 0.1)),
    ],
    ids=["scale", "numbers", "arrays", "several", "whiten"],
)
def test_preprocessing(path: Path, preprocessing: Any, dtype: str) -> None:
    network = make(dtype, preprocessing=preprocessing)
    save(network, path)
    again = load(path)
    assert repr(again) == repr(network)
    assert steps(again) == steps(network)


def test_the_names_in_the_file(path: Path) -> None:
    save(make(preprocessing=(Scale(2.0), Standardize(np.ones(3)))), path)
    with np.load(path) as file:
        assert sorted(file) == ["W1", "W2", "b1", "b2", "preprocessing.1.mean", "xpnet"]
        assert file["W1"].shape == (3, 4)


def test_headers_tell_the_shapes(path: Path) -> None:
    path.write_bytes(foreign())
    arrays = read_headers(path, LoadOptions())["arrays"]
    assert arrays == [[name, "float32", list(x.shape)] for name, x in BOOK.items()]


def test_the_same_network_gives_the_same_bytes() -> None:
    assert serialize(make(preprocessing=Scale(1 / 255), classes=["no", "yes"])) == GOOD


def test_a_file_that_does_not_say_how_many_members_it_has(
    opened: Callable[..., Network], path: Path
) -> None:
    # As xpnet wrote them at first.
    path.write_bytes(GOOD)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b""
    content = path.read_bytes()
    assert len(content) < len(GOOD)
    assert bytes(serialize(opened(content))) == GOOD


def test_a_description_that_was_taken_away(error: Callable[..., str], path: Path) -> None:
    content = io.BytesIO()
    path.write_bytes(GOOD)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, "w") as new:
        for info in old.infolist():
            if info.filename != "xpnet.npy":
                new.writestr(info, old.read(info))
        new.comment = old.comment
    assert "found 'xpnet members: 5', expected 'xpnet members: 4' or none" in error(
        content.getvalue()
    )


@st.composite
def networks(draw: st.DrawFn) -> Network:
    dtype = np.dtype(draw(st.sampled_from([np.float16, np.float32, np.float64])))
    width = dtype.itemsize * 8
    values = st.floats(allow_nan=False, allow_infinity=False, width=width)
    divisors = st.floats(0.125, 8.0, width=width)
    widths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    layers = [
        Dense(
            draw(arrays(dtype, shape, elements=values)),
            draw(arrays(dtype, shape[1], elements=values)),
            draw(st.sampled_from(sorted(ACTIVATIONS))),
        )
        for shape in pairwise(widths)
    ]
    step = st.builds(Scale, divisors) | st.builds(
        Standardize,
        values | arrays(dtype, widths[0], elements=values),
        divisors | arrays(dtype, widths[0], elements=divisors),
    )
    step |= st.builds(
        Whiten,
        arrays(dtype, widths[0], elements=values),
        arrays(dtype, (widths[0], widths[0]), elements=values),
    )
    output = draw(st.sampled_from(["logits", "probabilities", "values"]))
    classes = None
    if output != "values" and draw(st.booleans()):
        n_classes = max(widths[-1], 2)
        names = st.text() | st.integers()
        classes = draw(st.lists(names, min_size=n_classes, max_size=n_classes, unique=True))
    preprocessing = draw(st.lists(step, max_size=3))
    return Network(layers, preprocessing=preprocessing, output=output, classes=classes)


@repeatable
@given(network=networks())
def test_any_network_survives(network: Network, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.npz"
    save(network, path, force=True)
    found = load(path)
    assert contents(found) == contents(network)
    assert steps(found) == steps(network)
    assert (found.output, found.classes) == (network.output, network.classes)
    assert serialize(found) == path.read_bytes()


def test_the_names_of_the_book_mean_sigmoid(opened: Callable[..., Network]) -> None:
    network = opened(foreign())
    assert [layer.activation for layer in network.layers] == ["sigmoid", "identity"]
    assert network.layers[1].weight.tolist() == BOOK["W2"].tolist()


def test_other_names_ask_for_the_activation(
    error: Callable[..., str], opened: Callable[..., Network]
) -> None:
    content = zipped({"0.weight": npy(BOOK["W1"].T), "0.bias": npy(BOOK["b1"])})
    assert "the file does not contain the activations; give them" in error(content)
    assert opened(content, activation="relu").layers[0].weight.tolist() == BOOK["W1"].tolist()


@pytest.mark.parametrize("option", [{"activation": "relu"}, {"layout": "in_out"}], ids=str)
def test_what_the_file_tells_must_be_left_out(
    error: Callable[..., str], option: dict[str, Any]
) -> None:
    assert f"`{next(iter(option))}` must be left out" in error(GOOD, **option)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">f2", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_other_orders_of_bytes_and_of_memory(
    opened: Callable[..., Network], dtype: str, order: Any
) -> None:
    changed = {name: np.asarray(x, dtype, order=order) for name, x in BOOK.items()}
    layer = opened(foreign(**changed)).layers[0]
    assert layer.weight.dtype == np.dtype(dtype).newbyteorder("=")
    assert layer.weight.dtype.isnative
    assert layer.weight.flags.c_contiguous
    assert layer.weight.flags.writeable
    assert layer.weight.tolist() == BOOK["W1"].tolist()


def test_dtypes_become_the_widest(opened: Callable[..., Network]) -> None:
    network = opened(foreign(b1=BOOK["b1"].astype(np.float16), W2=BOOK["W2"].astype(">f8")))
    assert network.dtype == np.float64


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.float32(1), "b1 must have the shape (n_out,) for the weight (3, 4); got ()"),
        (np.zeros(4, bool), "b1 must be float16, float32 or float64; got bool"),
        (np.zeros(4, complex), "b1 must be float16, float32 or float64; got complex128"),
        (np.zeros(4, "U3"), "b1 must be float16, float32 or float64; got <U3"),
        (np.zeros(4, "S3"), "b1 must be float16, float32 or float64; got |S3"),
        (np.zeros(4, "M8[s]"), "b1 must be float16, float32 or float64; got datetime64[s]"),
        (np.zeros(4, [("a", "f4")]), "dtype of the array, found [('a', '<f4')], expected plain"),
        (np.zeros(4, object), "dtype of the array, found object, expected plain numbers"),
    ],
    ids=["0-d", "bool", "complex", "text", "bytes", "dates", "structure", "objects"],
)
def test_other_dtypes(error: Callable[..., str], array: Any, message: str) -> None:
    # NumPy says complex128 and <U3 in its own ways: the beginning tells.
    assert message.partition("; got <U3")[0] in error(foreign(b1=array))


def test_whole_numbers_that_float32_has(opened: Callable[..., Network]) -> None:
    network = opened(foreign(**{name: x.astype(np.int64) for name, x in BOOK.items()}))
    assert network.dtype == np.float32
    assert network.layers[0].weight.tolist() == BOOK["W1"].tolist()


def test_whole_numbers_that_float32_has_not(error: Callable[..., str]) -> None:
    text = error(foreign(b1=np.full(4, 2**24 + 1)))
    assert "b1 must hold integers that are exact in float32; got larger int64" in text


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(
    error: Callable[..., str], opened: Callable[..., Network], number: float
) -> None:
    content = foreign(b1=np.float32([0, number, 1, number]))
    assert "b1 must be finite; got 2 values that are infinite or NaN" in error(content)
    network = opened(content, allow_nonfinite=True)
    assert np.array_equal(network.layers[0].bias, [0, number, 1, number], equal_nan=True)


@pytest.mark.parametrize("preprocessing", [Standardize(np.ones(3)), Standardize(0.0, np.ones(3))])
def test_arrays_of_preprocessing_that_are_damaged(
    path: Path, error: Callable[..., str], preprocessing: Standardize
) -> None:
    save(make("float64", preprocessing=preprocessing), path)
    with np.load(path) as file:
        members = {name: file[name] for name in file}
    name = next(name for name in members if name.startswith("preprocessing."))
    without = {key: npy(x) for key, x in members.items() if key != name}
    assert "must be finite; got 1 values" in error(zipped({**without, name: npy([np.nan, 1, 1])}))
    assert "one " in error(zipped({**without, name: npy(np.ones(2))}))
    assert "preprocessing must have " in error(
        zipped({**without, name: npy(np.ones(3)), "preprocessing.7.mean": npy(np.ones(3))})
    )


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (header("'<f4'", "(-1, 4)"), "npy shape, found (-1, 4), expected lengths"),
        (header("'<f4'", "(True, 4)"), "npy shape, found (True, 4), expected lengths"),
        (header("'<f4'", "(18446744073709551616, 0)"), "npy shape, found ('over 92233720368547"),
        (header("'<f4'", f"(0x{'f' * 9000},)"), "npy shape, found ('over 9223372036854775807',)"),
        (header("'<f4'", f"({'1, ' * 65})"), "npy shape, found (1, 1, 1"),
        (header("'<f4'", "(4294967295, 4294967295)"), "array 'b1' has another size than its head"),
        (header("'<f4'", "__import__('os').system('true')"), "npy header, found "),
        (header("'<f4'", "(4,), 'more': 1"), "npy header, found Header does not contain"),
        (header("'|O'", "(4,)"), "dtype of the array, found object"),
        (npy(BOOK["b1"])[:6] + b"\x09" + npy(BOOK["b1"])[7:], "npy version, found 93 4e 55 4d"),
        (b"\x93NUMPY\x01\x00\x20\x4e" + b" " * 20_000, "npy header, found 20000 bytes, expected"),
        (npy(BOOK["b1"]) + b"\0", "than its header declares, found 145"),
        (npy(BOOK["b1"])[:-1], "array 'b1' has another size than its header declares, found 143"),
        (b"text", "npy version, found 74 65 78 74"),
        (b"", "npy version"),
    ],
    ids=[
        "negative", "bool", "overflow", "huge", "dimensions", "large", "code", "key", "objects",
        "version", "long", "longer", "cut", "text", "empty",
    ],
)  # fmt: skip
def test_members_that_are_refused(error: Callable[..., str], member: bytes, message: str) -> None:
    members = {name: npy(x) for name, x in BOOK.items()}
    assert message in error(zipped({**members, "b1": member}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (foreign()[:-1], "corrupt or truncated npz, found File is not a zip file"),
        (foreign()[:100], "corrupt or truncated npz, found File is not a zip file"),
        (foreign() + b"\0", "found something else behind the archive"),
        (b"PK" + foreign(), "found something else before the archive"),
        (zipped({}), "npz without arrays"),
        (zipped({"../W1": npy(BOOK["W1"])}), "npz member whose name leads elsewhere, found '../W1"),
        (zipped({"/tmp/W1": npy(BOOK["W1"])}), "npz member whose name leads elsewhere"),
        (zipped({"a\\..\\W1": npy(BOOK["W1"])}), "npz member whose name leads elsewhere"),
        (zipped({"W1": npy(BOOK["W1"])}, zipfile.ZIP_LZMA), "npz member compressed in another way"),
        (zipped({"W1": npy(BOOK["W1"])}, zipfile.ZIP_BZIP2), "npz member compressed in another"),
    ],
    ids=[
        "cut", "start", "behind", "before", "empty", "parent", "absolute", "windows", "lzma", "bz2",
    ],
)  # fmt: skip
def test_archives_that_are_refused(error: Callable[..., str], content: bytes, message: str) -> None:
    assert message in error(content)


def test_a_member_that_is_no_array(error: Callable[..., str], path: Path) -> None:
    path.write_bytes(foreign())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "x")
    assert "npz member that is no npy file, found 'readme.txt'" in error(path.read_bytes())


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_member_twice(error: Callable[..., str], path: Path) -> None:
    path.write_bytes(foreign())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("W1.npy", npy(BOOK["W1"]))
    assert "npz member twice, found 'W1.npy'" in error(path.read_bytes())


@pytest.mark.parametrize("name", ["W01", "layers.0.weight"])
def test_two_names_of_one_array(error: Callable[..., str], path: Path, name: str) -> None:
    path.write_bytes(GOOD)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b""
        archive.writestr(f"{name}.npy", npy(BOOK["W1"]))
    assert name in error(path.read_bytes())


def test_an_encrypted_member(error: Callable[..., str]) -> None:
    content = bytearray(foreign())
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + place] |= 1
    text = error(bytes(content))
    assert "npz member compressed in another way than npz files are, or encrypted, found" in text


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_number_that_is_wrong(error: Callable[..., str], compression: int) -> None:
    weight = np.random.default_rng(1).standard_normal((3, 4))
    content = bytearray(zipped({"W1": npy(weight), "b1": npy(np.zeros(4))}, compression))
    content[content.index(b"PK\3\4", 4) - 20] ^= 1
    assert "corrupt or truncated npz" in error(bytes(content))


def test_a_zip_of_torch_gets_a_hint(error: Callable[..., str]) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}q\x00.")
    assert "save the module's state_dict as safetensors" in error(content.getvalue())


def test_more_arrays_than_any_network_has(error: Callable[..., str]) -> None:
    content = zipped({f"a{i}": b"" for i in range(4097)})
    assert "too many arrays in an npz file, found 4097, expected at most 4096" in error(content)


def peak_bytes(path: Path, **options: Any) -> int:
    """Return the most memory in use while a file is refused."""
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError):
            load(path, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Zeros: 64 MiB of weights in about 64 KiB."""
    return zipped(
        {"W1": npy(np.zeros((1 << 14, 1 << 10), np.float32)), "b1": npy(np.zeros(1 << 10, "f4"))},
        zipfile.ZIP_DEFLATED,
    )


def test_a_bomb_is_refused_before_it_is_unpacked(
    error: Callable[..., str], path: Path, bomb: bytes
) -> None:
    assert "arrays unpack to too many bytes, found 67,112,960 bytes, expected at most" in error(
        bomb
    )
    assert peak_bytes(path) < 1 << 20


def test_the_limit_can_be_raised_and_lowered(
    error: Callable[..., str], opened: Callable[..., Network], bomb: bytes
) -> None:
    assert opened(bomb, max_bytes=67_112_960).n_in == 1 << 14
    text = error(bomb, max_bytes=67_112_959)
    assert "expected at most 67,112,959, --max-bytes (max_bytes=) raises the limit" in text
    assert "arrays unpack to too many bytes, found 104 bytes, expected" in error(
        foreign(), max_bytes=103
    )


@pytest.mark.parametrize("place", [20, 24], ids=["compressed", "unpacked"])
def test_a_size_that_lies(error: Callable[..., str], path: Path, place: int) -> None:
    content = bytearray(zipped({"W1": header("'<f4'", "(1073741792, 1)")}))
    start = content.index(b"PK\1\2")
    size = 1073741792 * 4 + len(header("'<f4'", "(1073741792, 1)"))
    content[start + place : start + place + 4] = struct.pack("<I", size % (1 << 32))
    error(bytes(content), max_bytes=1 << 40)
    assert peak_bytes(path, max_bytes=1 << 40) < 1 << 21


def bytes_or_error(path: Path) -> bytes | type[WeightsError]:
    """Return what the network would be written as; any error but the one allowed goes through."""
    try:
        return bytes(serialize(load(path)))
    except WeightsError as error:
        return type(error)


@repeatable
@given(places=st.dictionaries(st.integers(0, len(GOOD) - 1), st.integers(0, 255), min_size=1))
def test_any_damage(places: dict[int, int], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "damage.npz"
    content = bytearray(GOOD)
    for place, value in places.items():
        content[place] = value
    path.write_bytes(content)
    assert bytes_or_error(path) in {GOOD, WeightsError}


@pytest.mark.parametrize(
    ("head", "known"), [(b"PK\3\4", True), (b"PK", True), (b"P", False), (b"", False)]
)
def test_recognition(head: bytes, known: bool) -> None:  # noqa: FBT001 (a case)
    assert (getattr(match_format(head), "name", None) == "npz") is known
