"""pickle: all protocols bit by bit, and no code that runs."""

import copyreg
import pickle
import pickletools
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from xpnet import WeightsError, load
from xpnet.formats.pickle import read

repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=300)
PROTOCOLS = range(6)


def book(dtype="float32"):
    draw = np.random.default_rng(0).standard_normal
    shapes = {"W1": (3, 4), "b1": (4,), "W2": (4, 2), "b2": (2,)}
    return {name: draw(shape).astype(dtype) for name, shape in shapes.items()}


def bits(arrays):
    return {name: (x.dtype, x.shape, x.tobytes()) for name, x in arrays.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pkl"


@pytest.fixture
def arrays_of(path):
    """Return the arrays of a pickle, bit by bit."""

    def go(content):
        path.write_bytes(content)
        return bits(read(path)[0])

    return go


def of_numpy_1(content):
    """Return a pickle, without its frame, with the names of NumPy 1, which have other lengths."""
    for module in ("multiarray", "numeric"):
        new, old = (f"numpy.{core}.{module}".encode() for core in ("_core", "core"))
        content = content.replace(b"c%b\n" % new, b"c%b\n" % old)
        for length in (b"\x8c%c", b"X%c\0\0\0"):
            content = content.replace(length % len(new) + new, length % len(old) + old)
    return content[:2] + content[11:] if content[2:3] == b"\x95" else content


def test_the_file_of_the_book(shared_data):
    path = shared_data / "weights" / "book_sample_weight.pkl"
    expected = bits(pickle.loads(path.read_bytes()))  # made here, and safe to unpickle
    assert bits(read(path)[0]) == expected
    layers = load(path).layers
    found = {f"W{i}": layer.weight for i, layer in enumerate(layers, 1)}
    assert bits(found | {f"b{i}": layer.bias for i, layer in enumerate(layers, 1)}) == expected
    with pytest.raises(WeightsError, match=r"W1.*\(16, 1, 3, 3\)"):
        load(path.with_name("book_convnet_params.pkl"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("change", [bytes, of_numpy_1, pickletools.optimize])
def test_identical_bits(arrays_of, protocol, change):
    for dtype in ("f2", "f4", "f8", "i1", "i8", "u2"):
        content = change(pickle.dumps(book(dtype), protocol))
        assert (b"numpy.core" in content) == (change is of_numpy_1)
        assert arrays_of(content) == bits(book(dtype))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_orders_and_dictionaries(path, protocol):
    def big_endian(x):
        return x.astype(x.dtype.newbyteorder(">"))

    one = np.ones((2, 2), ">f4", order="F")
    for arrays in (
        *({name: f(x) for name, x in book().items()} for f in (np.asfortranarray, big_endian)),
        OrderedDict(book()),
        {"W1": one, "W2": one, "W3": one.T[::-1]},
    ):
        path.write_bytes(pickle.dumps(arrays, protocol))
        for name, x in read(path)[0].items():
            np.testing.assert_array_equal(x, arrays[name], strict=True)
        assert bits({"W": load(path).layers[0].weight}) == bits({"W": arrays["W1"].astype("f4")})


def call(module, name, arguments=b")", form=b"R"):
    """Return the instructions that call a function."""
    if form == b"i":
        return b"(" + arguments + f"i{module}\n{name}\n".encode()
    function = f"c{module}\n{name}\n".encode()
    return b"(" + function + arguments + b"o" if form == b"o" else function + arguments + form


@pytest.mark.parametrize(
    "form", [b"R", b"\x81", b"i", b"o", b"}\x92"], ids=["R", "NEWOBJ", "i", "o", "EX"]
)
@pytest.mark.parametrize(
    "name",
    ["os.system", "posix.system", "builtins.eval", "builtins.getattr", "numpy.load", "numpy.core",
     "numpy.core.multiarray.scalar", "numpy._core.multiarray._reconstruct.__globals__",
     "xpnet.formats.pickle._Array", "sklearn.pipeline.Pipeline", "."],
)  # fmt: skip
def test_calls_of_other_functions(error, tmp_path, name, form):
    mark = tmp_path / "called"
    code = f"touch {mark}" if name.endswith("system") else f"open({str(mark)!r}, 'w')"
    argument = b"X%c\0\0\0" % len(code) + code.encode()
    argument += b"" if form in {b"i", b"o"} else b"\x85"
    module, _, function = name.rpartition(".")
    content = b"\x80\x02}X\2\0\0\0W1" + call(module, function, argument, form) + b"s."
    assert module in error(content)
    assert not mark.exists()


def deep(count=80):
    """Return the instructions for a tuple that contains itself twice, at each level."""
    return b")" + b"q\0h\0\x86" * count


def array(shape=b"K\1\x85", code=b"X\2\0\0\0f4", order=b"X\1\0\0\0<", content=b"C\4" + bytes(4)):
    """Return the instructions for an array of float32."""
    dtype = (
        call("numpy", "dtype", code + b"\x85") + b"(K\3" + order + b"NNNJ\xff\xff\xff\xffK\0K\0tb"
    )
    made = call("numpy.core.multiarray", "_reconstruct", b"cnumpy\nndarray\nK\0\x85C\1b\x87")
    return made + b"(K\1" + shape + dtype + b"\x89" + content + b"tb"


def entry(value):
    return b"\x80\x03}X\1\0\0\0W" + value + b"s."


REJECTED = {
    "memo": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "no such memo": b"\x80\x04N\x94j\xff\xff\xff\xff.",
    "cut bytes": b"\x80\x03}B\xff\xff\xff\x7f.",
    "4 GiB of bytes": b"\x80\x04}\x8e\0\0\0\0\1\0\0\0.",
    "16 EiB of bytes": b"\x80\x05}\x96" + b"\xff" * 8 + b".",
    "1 TiB of bytearray": b"\x80\x05}\x96\0\0\0\0\0\1\0\0.",
    "LONG4": b"\x80\x02}\x8b\xff\xff\xff\x7f.",
    "many digits": b"\x80\x02I" + b"9" * 5000 + b"\n.",
    "no number": b"\x80\x02F" + b"\x1b" * 5000 + b"\n.",
    "wide key": b"\x80\x02}" + deep() + b"K\1s.",
    "wide keys": b"\x80\x02}(" + deep() + b"K\1" + deep() + b"K\1u.",
    "wide DICT": b"\x80\x02(" + deep() + b"K\1d.",
    "wide set": b"\x80\x04\x8f(" + deep() + b"\x90.",
    "wide frozenset": b"\x80\x04(" + deep() + b"\x91.",
    "nested key": b"\x80\x02})" + b"\x85" * 300_000 + b"K\1s.",
    "nested lists": b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
    "a key of itself": b"\x80\x02}]q\1h\1a\x85K\1s.",
    "wide dtype": entry(array(code=deep())),
    "wide byte order": entry(array(order=deep())),
    "wide shape": entry(array(deep())),
    "wide name": b"\x80\x04" + deep() + b"\x8c\1a\x93.",
    "wide order": entry(call("numpy.core.numeric", "_frombuffer", b"(C\0NN" + deep() + b"t")),
    "EXT1": b"\x80\x02}\x82\x01.",
    "EXT2": b"\x80\x02}\x83\x01\x01.",
    "EXT4": b"\x80\x02}\x84\x01\x01\x01\x01.",
    "PERSID": b"\x80\x02Pid\n.",
    "BINPERSID": b"\x80\x02K\1Q.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "READONLY_BUFFER": b"\x80\x05K\1\x98.",
    "unknown": b"\x80\x02}\xff.",
    "protocol": b"\x80\x23" + pickle.dumps(book(), 3)[2:],
    "nothing": b"\x80\x02.",
    "no STOP": b"\x80\x02}",
    "more": pickle.dumps(book(), 3) + b"\0",
    "two pickles": pickle.dumps(book(), 4) * 2,
    "text": b"a,b,c\n",
    "shape too large": entry(array(b"K\2\x85")),
    "shape too small": entry(array(b")", content=b"C\x08" + bytes(8))),
    "huge shape": entry(array(b"\x8a\x08" + b"\xff" * 7 + b"\x7f\x85")),
    "shape of text": entry(array(b"X\1\0\0\0a\x85")),
    "number of zeros as content": entry(array(content=b"J\xff\xff\xff\x7f")),
    "no state": entry(call("numpy.core.multiarray", "_reconstruct", b")")),
    "call of ndarray": entry(call("numpy", "ndarray")),
    "call of a number": entry(b"K\1)R"),
    "other encoding": entry(call("_codecs", "encode", b"X\1\0\0\0aX\5\0\0\0utf-8\x86")),
    "W of number": pickle.dumps({"W1": 5}),
    "W of dict": pickle.dumps({"W1": {"a": np.ones(1)}}),
    "W of scalar": pickle.dumps({"W1": np.float32(5)}),
    "W of set": pickle.dumps({"W1": {1, 2}}, 4),
    "key of number": pickle.dumps({1: np.ones(1)}),
    "key of tuple": pickle.dumps({("W", 1): np.ones(1)}),
    "key of None": pickle.dumps({None: np.ones(1)}),
    "list": pickle.dumps([np.ones(1)], 2),
    "array": pickle.dumps(np.ones(1), 2),
    "empty": pickle.dumps({}),
    **{dtype: pickle.dumps({"W1": np.zeros(1, dtype)}) for dtype in ["O", "U1", "?", "c16"]},
    "integers": pickle.dumps(book("i8")),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED)
def test_rejected(error, name):
    assert error(REJECTED[name])


def test_the_array_that_the_others_change(arrays_of):
    assert arrays_of(entry(array())) == bits({"W": np.zeros(1, "f4")})


def test_extensions_of_the_process(error):
    copyreg.add_extension("os", "system", 1)
    try:
        with pytest.raises(pickle.UnpicklingError):
            pickle.loads(b"\x80\x02\x82\x01)\x81.")
        error(b"\x80\x02}X\1\0\0\0W\x82\x01s.")
    finally:
        copyreg.remove_extension("os", "system", 1)


@pytest.mark.parametrize("name", ["numpy dtype", "numpy.core.multiarray _reconstruct",
                                  "_codecs encode", "collections OrderedDict"])  # fmt: skip
def test_a_state_of_a_stand_in_stays_in_its_file(error, arrays_of, name):
    function = "c{}\n{}\n".format(*name.split()).encode()
    names = ("__setstate__", "__defaults__", "__code__", "__kwdefaults__", "__class__", "fill")
    for attribute in names:
        state = b"}X%c\0\0\0" % len(attribute) + attribute.encode() + function + b"s"
        for value in (state, b"N" + state + b"\x86"):
            error(entry(function + value + b"b"))
    assert arrays_of(pickle.dumps(book(), 2)) == bits(book())


OPCODES = [code.code.encode("latin-1") for code in pickletools.opcodes]


@pytest.mark.parametrize("protocol", [0, 3, 5])
def test_every_instruction(path, protocol):
    good = pickle.dumps({"W1": np.ones((1, 1)), "b1": np.ones(1)}, protocol)
    places = [place for _, _, place in pickletools.genops(good)]
    n_rejected = 0
    pairs = [(code, place) for i, code in enumerate(OPCODES) for place in places[i % 7 :: 7]]
    for code, place in pairs:
        path.write_bytes(good[:place] + code + good[place:])
        try:
            load(path)
        except WeightsError as error:
            assert str(error).isprintable()  # noqa: PT017 (or a network is read)
            n_rejected += 1
    assert n_rejected > 0.8 * len(pairs)


@repeatable
@given(
    parts=st.lists(
        st.sampled_from(OPCODES)
        | st.binary(max_size=6)
        | st.sampled_from([b"X\1\0\0\0W", array(), deep(), b"cnumpy\ndtype\n", b"q\1", b"h\1"]),
        max_size=30,
    )
)
def test_any_instructions(parts, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "instructions.pkl"
    path.write_bytes(b"\x80\x04" + b"".join(parts) + b".")
    try:
        assert set(read(path)[0]) <= {"W"}
    except WeightsError as error:
        assert len(str(error)) <= 390  # noqa: PT017 (or none is raised)
