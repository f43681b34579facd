"""pickle: all protocols bit by bit, and no code that runs."""

import pickle
import pickletools
import struct
import tracemalloc
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from xpnet import load
from xpnet.files.errors import WeightsError
from xpnet.formats.format_table import match_format
from xpnet.formats.model_file import LoadOptions
from xpnet.formats.pickle import read

repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=200)
PROTOCOLS = range(6)


def book(dtype="float32"):
    draw = np.random.default_rng(0).standard_normal
    shapes = {"W1": (3, 4), "b1": (4,), "W2": (4, 2), "b2": (2,)}
    return {name: draw(shape).astype(dtype) for name, shape in shapes.items()}


GOOD = pickle.dumps(book(), 3)


def of_numpy_1(content):
    """Return a pickle, without its frame, with the names of NumPy 1, which have other lengths."""
    new, old = "numpy._core.multiarray", "numpy.core.multiarray"
    content = content.replace(f"c{new}\n".encode(), f"c{old}\n".encode())
    for length in (b"\x8c%c", b"X%c\0\0\0"):
        content = content.replace(
            length % len(new) + new.encode(), length % len(old) + old.encode()
        )
    return content[:2] + content[11:] if content[2:3] == b"\x95" else content


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pkl"


@pytest.fixture
def error(path):
    """Return the error message for bytes: one line, raised in little memory."""

    def go(content, **options):
        path.write_bytes(content)
        tracemalloc.start()
        try:
            with pytest.raises(WeightsError, match=r"weights\.pkl: ") as caught:
                load(path, **options)
            assert tracemalloc.get_traced_memory()[1] < (1 << 21) + 100 * len(content)
        finally:
            tracemalloc.stop()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) <= 390
        return str(caught.value)

    return go


def bits(network):
    """Return the arrays by the book's names, bit by bit."""
    return {
        name: (x.dtype, x.shape, x.tobytes())
        for i, layer in enumerate(network.layers, 1)
        for name, x in ((f"W{i}", layer.weight), (f"b{i}", layer.bias))
    }


def bits_of(arrays):
    return {name: (x.dtype, x.shape, x.tobytes()) for name, x in arrays.items()}


@pytest.fixture(scope="session")
def book_file(shared_data):
    return shared_data / "weights" / "book_sample_weight.pkl"


def test_the_file_of_the_book(book_file):
    # The content was made here and is safe to unpickle.
    expected = pickle.loads(book_file.read_bytes())
    network = load(book_file)
    assert [layer.activation for layer in network.layers] == ["sigmoid", "sigmoid", "identity"]
    assert bits(network) == bits_of(expected)


def test_the_convolutions_of_the_book(shared_data):
    with pytest.raises(WeightsError, match=r"W1 has the shape \(16, 1, 3, 3\); found W1, W2"):
        load(shared_data / "weights" / "book_convnet_params.pkl")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("change", [bytes, of_numpy_1, pickletools.optimize])
def test_identical_bits(opened, protocol, change):
    for dtype in ("float16", "float32", "float64"):
        content = change(pickle.dumps(book(dtype), protocol))
        # Protocol 5 names another function in a module whose name is as new.
        assert (b"numpy.core" in content) == (change is of_numpy_1 and protocol < 5)
        network = opened(content)
        assert bits(network) == bits_of(book(dtype))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_orders(opened, protocol):
    for change in (np.asfortranarray, lambda x: x.astype(">f4")):
        content = pickle.dumps({name: change(x) for name, x in book().items()}, protocol)
        network = opened(content)
        assert bits(network) == bits_of(book())
        assert all(layer.weight.flags.c_contiguous for layer in network.layers)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_dictionaries(path, protocol):
    zeros = np.zeros(4)
    twice = {"W1": np.ones((4, 4)), "b1": zeros, "W2": np.eye(4), "b2": zeros}
    for arrays in (OrderedDict(book()), twice):
        path.write_bytes(pickle.dumps(arrays, protocol))
        assert match_format(path.read_bytes()[:16]).name == "pickle"
        assert bits_of(dict(read(path, LoadOptions()).arrays)) == bits_of(arrays)


class Evil:
    """An object whose pickle calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [eval, exec, getattr, open, print, np.load, np.zeros, Path])
def test_a_call_of_anything_else(error, tmp_path, function):
    mark = tmp_path / "called"
    call = Evil(function, f"__import__('pathlib').Path({str(mark)!r}).touch()")
    for protocol in range(2, 6):
        text = error(pickle.dumps({"W1": call}, protocol))
        assert "which no dictionary of arrays needs" in text
        assert function.__name__ in text
        assert not mark.exists()


def call(module, name, arguments=b")"):
    return f"c{module}\n{name}\n".encode() + arguments + b"R"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("numpy", "load"),
        ("numpy", "core"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy._core.multiarray", "_reconstruct.__globals__"),
        ("numpy.ndarray", "tofile"),
        ("", ""),
        ("numpy.dtype", ""),
        ("x" * 1000, "x"),
    ],
)
def test_names_that_are_not_known(error, module, name):
    text = error(b"\x80\x02}X\x01\0\0\0W" + call(module, name) + b"s.")
    assert f"the name '{(module + '.' + name)[:50]}" in text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (call("numpy", "ndarray"), "a call of ndarray"),
        (call("_codecs", "encode", b"X\1\0\0\0aX\5\0\0\0utf-8\x86"), "a call of encode"),
        (call("numpy", "dtype", b"X\2\0\0\0O8\x85"), "plain numbers; got the dtype 'O8'"),
        (call("numpy", "dtype", b"X\2\0\0\0U8\x85"), "plain numbers; got the dtype 'U8'"),
        (call("numpy", "dtype", b"X\2\0\0\0f1\x85"), "not a pickle of a dictionary of arrays"),
        (call("numpy", "dtype", b"K\1\x85"), "an object of type int instead of a string"),
        (call("numpy", "dtype", b"N"), "arguments must be a tuple"),
        (call("numpy", "dtype"), "missing 1 required positional argument: 'code'"),
        (call("_codecs", "encode", b"X\2\0\0\0ab"), "arguments must be a tuple"),
        (b"K\1)R", "a call of an object that is not a name"),
        (b"K\1}b", "a state for an object without one"),
        (b"K\1K\1a", "'int' object has no attribute 'append'"),
        (b"K\1K\1K\1s", "object does not support item assignment"),
        (call("collections", "OrderedDict", b"]]K\1aa\x85"), "not enough values to unpack"),
        (call("collections", "OrderedDict", b")\x85"), "a dictionary must be made of a list of"),
        # A state would set the attributes of a function of xpnet.
        (b"cnumpy\ndtype\nN}X\x0c\0\0\0__defaults__Ns\x86b", "a state for an object without one"),
    ],
    ids=str,
)
def test_calls_that_make_no_array(error, call, message):
    assert message in error(b"\x80\x02}X\x01\0\0\0W" + call + b"s.")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (pickle.dumps({"W1": 5}), "the entry 'W1' is not an array"),
        (pickle.dumps({"W1": [1.0]}), "the entry 'W1' is not an array"),
        (pickle.dumps({"W1": None}), "the entry 'W1' is not an array"),
        (pickle.dumps({"W1": {"a": np.ones(1)}}), "the entry 'W1' is not an array"),
        (pickle.dumps({"W1": np.float32(5)}), "numpy._core.multiarray.scalar"),
        (pickle.dumps({"W1": np.asarray([None])}), "got the dtype 'O8'"),
        (pickle.dumps({"W1": np.asarray(["a"])}), "got the dtype 'U1'"),
        (pickle.dumps({"W1": np.asarray([True])}), "got the dtype 'b1'"),
        (pickle.dumps({"W1": np.asarray([1j])}), "got the dtype 'c16'"),
        (pickle.dumps({1: np.ones(1)}), "an object of type int instead of a string"),
        (pickle.dumps({None: np.ones(1)}), "an object of type NoneType instead of a string"),
        (pickle.dumps({("W", 1): np.ones(1)}), "an object of type tuple instead of a string"),
        (pickle.dumps({}), "no weights, such as W1 and b1"),
        (pickle.dumps([np.ones(1)], 2), "it holds an object of type list"),
        (pickle.dumps(np.ones(1), 2), "it holds an object of type array"),
        (pickle.dumps("W1", 2), "it holds an object of type str"),
        (pickle.dumps(None, 2), "it holds an object of type nonetype"),
        (pickle.dumps({"W1": {1, 2}}, 4), "instruction EMPTY_SET"),
    ],
    ids=str,
)
def test_values_that_are_no_arrays(error, value, shown):
    assert shown in error(value)


def array(shape, content=bytes(4)):
    """Return the instructions for an array of float32; the shape is an instruction."""
    dtype = (
        call("numpy", "dtype", b"X\2\0\0\0f4\x85") + b"(K\3X\1\0\0\0<NNNJ\xff\xff\xff\xffJ\0\0\0\0"
    )
    dtype += b"K\0tb"
    made = call("numpy.core.multiarray", "_reconstruct", b"cnumpy\nndarray\nK\0\x85C\1b\x87")
    data = b"B" + struct.pack("<I", len(content)) + content
    return made + b"(K\1" + shape + dtype + b"\x89" + data + b"tb"


def test_the_array_that_the_others_change(path):
    path.write_bytes(b"\x80\x03}X\1\0\0\0W" + array(b"K\1\x85") + b"s.")
    assert read(path, LoadOptions()).arrays["W"].tolist() == [0.0]


def test_a_dictionary_out_of_pairs(path):
    # As Python 2 wrote ordered dictionaries: a list of lists.
    pair = b"](X\1\0\0\0W" + array(b"K\1\x85") + b"e"
    path.write_bytes(b"\x80\x03ccollections\nOrderedDict\n](" + pair + b"e\x85R.")
    assert read(path, LoadOptions()).arrays["W"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (b"K\2\x85", "an array of shape (2,) must have 8 bytes; got 4"),
        (b"J\xff\xff\xff\xff\x85", "must be a tuple of a few integers"),
        (b"\x88\x85", "must be a tuple of a few integers"),
        (b"X\1\0\0\0a\x85", "must be a tuple of a few integers"),
        (b"]K\1a", "must be a tuple of a few integers"),
        (b"K\1", "must be a tuple of a few integers"),
        (b"\x8a\x09" + b"\xff" * 8 + b"\0\x85", "must be a tuple of a few integers"),
        (b"\x8a\x08" + b"\xff" * 7 + b"\x7f\x85", "must have 36893488147419103228 bytes; got 4"),
        (b"(" + b"K\1" * 33 + b"t", "must be a tuple of a few integers"),
    ],
    ids=[
        "two", "negative", "true", "text", "list", "number", "overflow", "large", "dimensions",
    ],
)  # fmt: skip
def test_shapes_that_lie(error, shape, message):
    assert message in error(b"\x80\x03}X\1\0\0\0W" + array(shape) + b"s.")


def doubled(count, start=b")"):
    """Return the instructions for a tuple that contains itself twice, at `count` levels."""
    return start + b"q\0h\0\x86" * count


DEEP = doubled(80)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x80\x02Nr\xff\xff\xff\x7f.", id="memo"),
        pytest.param(b"\x80\x04N\x94j\xff\xff\xff\xff.", id="no such memo"),
        pytest.param(b"\x80\x03}B\xff\xff\xff\x7f.", id="BINBYTES"),
        pytest.param(b"\x80\x04}\x8e" + b"\xff" * 7 + b"\x7f.", id="BINBYTES8"),
        pytest.param(b"\x80\x04}\x8e\0\0\0\0\1\0\0\0.", id="BINBYTES8, 4 GiB"),
        pytest.param(b"\x80\x05}\x96\0\0\0\0\1\0\0\0.", id="BYTEARRAY8, 4 GiB"),
        pytest.param(b"\x80\x04}\x8d\0\0\0\0\1\0\0\0.", id="BINUNICODE8, 4 GiB"),
        pytest.param(b"\x80\x02}\x8b\xff\xff\xff\x7f.", id="LONG4"),
        pytest.param(b"\x80\x02}K\1" + DEEP[:-3] + b"\x86K\1s.", id="deep key"),
        pytest.param(b"\x80\x02}" + DEEP + b"K\1s.", id="wide key"),
        pytest.param(b"\x80\x02}(" + DEEP + b"K\1" + DEEP + b"K\1u.", id="wide keys"),
        pytest.param(b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\1s.", id="nested key"),
        pytest.param(b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".", id="nested lists"),
        pytest.param(b"\x80\x02" + b"(" * 50_000 + b"t" * 50_000 + b".", id="nested tuples"),
        pytest.param(b"\x80\x02cnumpy\ndtype\n" + DEEP + b"\x85R.", id="wide dtype"),
        pytest.param(b"\x80\x02cnumpy\ndtype\n" + DEEP + b"R.", id="wide arguments"),
        pytest.param(b"\x80\x04" + DEEP + b"\x8c\1a\x93.", id="wide name"),
        pytest.param(
            b"\x80\x02cnumpy\ndtype\nX\2\0\0\0f4\x85R(K\1" + DEEP + b"tb.", id="wide byte order"
        ),
        pytest.param(
            b"\x80\x02cnumpy.core.numeric\n_frombuffer\n(NNN" + DEEP + b"tR.", id="wide order"
        ),
        pytest.param(b"\x80\x03}X\1\0\0\0W" + array(DEEP) + b"s.", id="wide shape"),
        pytest.param(
            b"\x80\x03}X\1\0\0\0W"
            + array(b"(\x8a\xff" + b"\1" * 255 + b"q\1" + b"h\1" * 50_000 + b"t")
            + b"s.",
            id="shape of huge numbers",
        ),
        pytest.param(
            b"\x80\x02](" + b"K\1" * 5000 + b"eq\1"
            b"ccollections\nOrderedDict\n](" + b"h\1" * 50_000 + b"e\x85R.",
            id="pairs that are long",
        ),
        pytest.param(
            b"\x80\x02("
            + b"".join(b"X\5\0\0\0%05dN\x86" % i for i in range(30_000))
            + b"l\x85q\1ccollections\nOrderedDict\nq\2"
            + b"h\2h\1R" * 1000
            + b".",
            id="dictionaries of the same pairs",
        ),
        pytest.param(
            b"\x80\x02X\x40\x42\x0f\0" + b"a" * 1_000_000 + b"q\1X\6\0\0\0latin1q\2"
            b"c_codecs\nencode\nq\3" + b"h\3h\1h\2\x86R" * 1000 + b".",
            id="text encoded again and again",
        ),
        pytest.param(
            b"\x80\x03B\x40\x42\x0f\0" + bytes(1_000_000) + b"q\1"
            b"cnumpy\ndtype\nX\2\0\0\0f4\x85Rq\2cnumpy.core.numeric\n_frombuffer\nq\3"
            + b"h\3(h\1h\2J\x90\xd0\3\0\x85X\1\0\0\0CtR" * 1000
            + b".",
            id="bytes of many arrays",
        ),
        pytest.param(
            b"\x80\x02(" + b"N" * 90_000 + b"tq\1cnumpy.core.multiarray\n_reconstruct\nq\2"
            b"" + b"h\2h\1R" * 30_000 + b".",
            id="many arguments again and again",
        ),
    ],
)
def test_bombs(error, content):
    assert "not a pickle of a dictionary of arrays: " in error(content)


def test_one_array_under_many_names(error):
    names = {f"W{i}": 0 for i in range(2000)}
    content = pickle.dumps(dict.fromkeys(names, np.zeros(1 << 14, ">f8")), 4)
    text = error(content)
    assert "arrays of a pickle are too large, found 262,144,000 bytes, expected" in text


def test_containers_that_hold_themselves(error):
    itself: dict[str, Any] = {}
    itself["W1"] = itself
    assert "the entry 'W1' is not an array" in error(pickle.dumps(itself))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02\x82\x01.", "instruction EXT1"),
        (b"\x80\x02\x83\x01\x01.", "instruction EXT2"),
        (b"\x80\x02\x84\x01\x01\x01\x01.", "instruction EXT4"),
        (b"\x80\x02Pid\n.", "instruction PERSID"),
        (b"\x80\x02K\1Q.", "unsupported persistent id encountered"),
        (b"\x80\x02)cos\nsystem\n\x81.", "os.system"),
        (b"\x80\x02)\x81.", "instruction NEWOBJ"),
        (b"\x80\x02(ios\nsystem\n.", "instruction INST"),
        (b"\x80\x02(K\1o.", "instruction OBJ"),
        (b"\x80\x05\x97.", "instruction NEXT_BUFFER"),
        (b"\x80\x022.", "instruction DUP"),
        (b"\x80\x02\xff.", "unknown"),
        (b"\x80\x02.", "IndexError: pop from empty list"),
        (b"\x80\x02NN.", "too many values are in it"),
        (b"\x80\x02(NN.", "too many values are in it"),
        (b"\x80\x02t.", "IndexError: pop from empty list"),
        (b"\x80\x02}(K\1u.", "IndexError: list index out of range"),
        (b"\x80\x02(K\1d.", "zip() argument 2 is shorter than argument 1"),
        (b"(dp3\n.", "an object of the number 3, after"),
        (b"\x80\x02}q\3.", "an object of the number 3, after 2 instructions"),
        (b"\x80\x02}r\xff\xff\xff\xff.", "an object of the number 4294967295, after 2"),
        (b"\x80\x02h\7.", "Memo value not found at index 7"),
        (b"\x80\x02I" + b"9" * 5000 + b"\n.", "not a pickle of a dictionary of arrays"),
        (b"\x80\x02X\1\0\0\0\xff.", "UnicodeDecodeError: 'utf-8' codec can't decode"),
        (b"\x80\x02U\1\\S'\\8'\n\x86.", "it holds an object of type tuple"),
    ],
)
def test_instructions_that_are_refused(error, content, message):
    assert message in error(content)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_name_twice(error, protocol):
    arrays = {"W1": np.ones((2, 2)), "V1": np.ones((2, 2))}
    content = pickle.dumps(arrays, protocol).replace(b"V1", b"W1")
    assert "'W1' occurs twice" in error(content)


def test_a_name_twice_in_one_instruction(error):
    assert "'a' occurs twice" in error(b"\x80\x02(" + b"X\1\0\0\0aN" * 2 + b"d.")


@pytest.mark.parametrize("more", [b"\0", GOOD], ids=["byte", "pickle"])
def test_something_behind(error, more):
    assert "more data follows the pickle" in error(GOOD + more)


def test_a_sparse_file_is_not_read(tmp_path):
    path = tmp_path / "sparse.pkl"
    with path.open("wb") as stream:
        stream.write(b"\x80\3")
        stream.truncate(5 << 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xpnet.formats.pickle.take", None)  # nothing is read
        with pytest.raises(WeightsError, match=r"too large, found .* at most 4,294,967,296, --max"):
            load(path)


def test_an_order_that_is_not_known(error):
    content = pickle.dumps(book(), 5)
    place = content.index(b"\x8c\x01C")
    text = error(content[:place] + b"\x8c\x01K" + content[place + 3 :])
    assert "the order of an array must be C or F; got 'K'" in text


def test_a_protocol_that_is_not_known(error):
    assert "unsupported pickle protocol: 35" in error(b"\x80\x23" + GOOD[2:])


@pytest.mark.parametrize("module", ["sklearn.pipeline", "sklearn.neural_network._perceptron"])
def test_a_pickle_of_sklearn_gets_a_hint(error, module):
    text = error(b"\x80\x02" + call(module, "Pipeline") + b".")
    assert "give the estimator to xpnet.from_sklearn" in text


def test_a_pickle_of_torch_gets_a_hint(error):
    content = b"\x80\x02" + call("torch._utils", "_rebuild_tensor_v2") + b"."
    assert "save model.state_dict() with torch.save, or as safetensors" in error(content)


opcodes = st.sampled_from([code.code.encode("latin-1") for code in pickletools.opcodes])


@repeatable
@given(parts=st.lists(opcodes | st.binary(max_size=6) | st.just(b"\1\0\0\0a"), max_size=30))
def test_any_instructions(parts, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "instructions.pkl"
    path.write_bytes(b"\x80\x04" + b"".join(parts) + b".")
    try:
        assert read(path, LoadOptions()).arrays == {}
    except WeightsError as error:
        assert len(str(error)) <= 390  # noqa: PT017 (or none is raised)


@pytest.mark.parametrize("instruction", [b"}", b"]", b")", b"(", b"}\x94", b"N\x85"])
def test_many_instructions(error, instruction):
    assert "more than 200,000 instructions" in error(b"\x80\x04" + instruction * 300_000 + b".")
