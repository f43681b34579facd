"""pickle: all protocols bit by bit, and no code that runs."""

import copyreg
import pickle
import pickletools
from collections import OrderedDict
from contextlib import suppress

import numpy as np
import pytest

from xpnet import WeightsError, load
from xpnet.formats.pickle import read

OPCODES = [code.code.encode("latin-1") for code in pickletools.opcodes]


def book(dtype="float32"):
    draw = np.random.default_rng(0).standard_normal
    shapes = {"W1": (3, 4), "b1": (4,), "W2": (4, 2), "b2": (2,)}
    return {name: draw(shape).astype(dtype) for name, shape in shapes.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pkl"


def of_numpy_1(content):
    """Return a pickle, without its frame, with the names of NumPy 1, which have other lengths."""
    for module in ("multiarray", "numeric"):
        new, old = (f"numpy.{core}.{module}".encode() for core in ("_core", "core"))
        content = content.replace(b"c%b\n" % new, b"c%b\n" % old)
        for length in (b"\x8c%c", b"X%c\0\0\0"):
            content = content.replace(length % len(new) + new, length % len(old) + old)
    return content[:2] + content[11:] if content[2:3] == b"\x95" else content


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("change", [bytes, of_numpy_1, pickletools.optimize])
def test_every_protocol_gives_the_same_arrays(path, protocol, change):
    def big_endian(x):
        return x.astype(x.dtype.newbyteorder(">"))

    one = np.ones((2, 2), ">f4", order="F")
    others = [{name: f(x) for name, x in book().items()} for f in (np.asfortranarray, big_endian)]
    others += [OrderedDict(book()), {"W1": one, "W2": one, "W3": one.T[::-1]}]
    for arrays in (*map(book, ("f2", "f4", "f8", "i1", "i8", "u2")), *others):
        content = change(pickle.dumps(arrays, protocol))
        assert (b"numpy.core" in content) == (change is of_numpy_1)
        path.write_bytes(content)
        found = read(path)[0]
        assert [*found] == [*arrays]
        for name, x in found.items():
            np.testing.assert_array_equal(x, arrays[name], strict=True)


def call(module, name, arguments=b")", form=b"R"):
    """Return the instructions that call a function."""
    if form == b"i":
        return b"(" + arguments + f"i{module}\n{name}\n".encode()
    function = f"c{module}\n{name}\n".encode()
    return b"(" + function + arguments + b"o" if form == b"o" else function + arguments + form


def entry(value):
    return b"\x80\x03}X\1\0\0\0W" + value + b"s."


OTHERS = "os system, posix system, builtins eval, numpy load, numpy.core.multiarray scalar"
OTHERS += ", numpy._core.multiarray _reconstruct.__globals__, xpnet.formats.pickle _Array"


@pytest.mark.parametrize("form", [b"R", b"\x81", b"i", b"o", b"}\x92"], ids=ascii)
def test_calls_of_other_functions(error, tmp_path, form):
    mark = tmp_path / "called"
    for module, name in map(str.split, OTHERS.split(", ")):
        code = f"touch {mark}" if name == "system" else f"open({str(mark)!r}, 'w')"
        argument = b"X%c\0\0\0" % len(code) + code.encode()
        argument += b"" if form in {b"i", b"o"} else b"\x85"
        assert module in error(entry(call(module, name, argument, form)))
        assert not mark.exists()


def array(shape=b"K\1\x85", code=b"X\2\0\0\0f4", content=b"C\4" + bytes(4)):
    """Return the instructions for an array of float32."""
    dtype = call("numpy", "dtype", code + b"\x85") + b"(K\3X\1\0\0\0<NNNJ\xff\xff\xff\xffK\0K\0tb"
    made = call("numpy.core.multiarray", "_reconstruct", b"cnumpy\nndarray\nK\0\x85C\1b\x87")
    return made + b"(K\1" + shape + dtype + b"\x89" + content + b"tb"


REJECTED = {
    "memo of 16 GiB": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "16 EiB of bytes": b"\x80\x05}\x96" + b"\xff" * 8 + b".",
    "many digits": b"\x80\x02I" + b"9" * 5000 + b"\n.",
    "nested lists": b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
    "a key of itself": b"\x80\x02}]q\1h\1a\x85K\1s.",
    "persistent object": b"\x80\x02Pid\n.",
    "buffer": b"\x80\x05\x97.",
    "protocol": b"\x80\x23" + pickle.dumps(book(), 3)[2:],
    "two pickles": pickle.dumps(book(), 4) * 2,
    "shape": entry(array(b"K\2\x85")),
    "number of zeros as content": entry(array(content=b"J\xff\xff\xff\x7f")),
    "no values": entry(call("numpy.core.multiarray", "_reconstruct", b")")),
    "number": pickle.dumps({"W1": 5}),
    "set": pickle.dumps({"W1": {1, 2}}, 4),
    "name of number": pickle.dumps({1: np.ones(1)}),
    "list": pickle.dumps([np.ones(1)]),
    **{dtype: pickle.dumps({"W1": np.zeros(1, dtype)}) for dtype in ["O", "U1", "?", "c16", "i4"]},
}


@pytest.mark.parametrize("name", REJECTED)
def test_rejected(error, name):
    assert error(REJECTED[name])


def test_extensions_of_the_process(error):
    copyreg.add_extension("os", "system", 1)
    try:
        for code in (b"\x82\1", b"\x83\1\0", b"\x84\1\0\0\0"):
            assert "extension 1" in error(entry(code))
    finally:
        copyreg.remove_extension("os", "system", 1)


@pytest.mark.parametrize("protocol", [0, 3, 5])
def test_every_instruction_at_every_place(path, protocol):
    good = pickle.dumps({"W1": np.ones((1, 1)), "b1": np.ones(1)}, protocol)
    places = [place for _, _, place in pickletools.genops(good)]
    for i, code in enumerate(OPCODES):
        for place in places[i % 7 :: 7]:
            path.write_bytes(good[:place] + code + good[place:])
            with suppress(WeightsError):  # or the instruction changes nothing
                assert load(path).n_in == 1
