"""Records: facts and arrays in an npz file, or one error for any other or damaged file."""

import io
import json

import numpy as np
import pytest

from xpnet.files.errors import DataError
from xpnet.files.npz import npz_bytes
from xpnet.files.record import RecordFormat

FORMAT = RecordFormat("logbook", "log it again")
FACTS = {"place": "here", "n": 3, "list": [1.5, None, "\u00e9"]}
X = np.arange(6.0).reshape(2, 3)
HEAD = json.dumps({"format": "logbook", "arrays": ["x"]}).encode()


def file(facts, **arrays):
    return npz_bytes({"facts": np.frombuffer(facts, np.uint8), **arrays})


def test_a_record_is_read_and_numpy_may_write_it_again():
    content = FORMAT.to_bytes(FACTS, {"a b": X, "b": X > 1})
    with np.load(io.BytesIO(content)) as archive:
        np.savez(again := io.BytesIO(), **archive)
    for text in (content, again.getvalue()):
        facts, arrays = FORMAT.from_bytes(text, "log.npz")
        assert (facts, list(arrays)) == (FACTS, ["a b", "b"])
        np.testing.assert_array_equal(arrays["a b"], X, strict=True)
    assert FORMAT.from_bytes(file(HEAD, x=X), "log.npz")[0] == {}  # the next test changes it


OTHERS = [b"a,b\n1", npz_bytes({"x": X}), RecordFormat("diary", "").to_bytes({}, {"x": X})]
OTHERS += [file(x, x=X) for x in (b"{", b"\xff", b"null", b"{}")]
OTHERS += [file(HEAD, x=X, y=X), file(HEAD)]


@pytest.mark.parametrize("content", OTHERS, ids=range(len(OTHERS)))
def test_other_and_damaged_files_are_rejected(content):
    with pytest.raises(DataError, match=r"logbook .* log it again$") as caught:
        FORMAT.from_bytes(content, "log.npz")
    assert caught.value.file == "log.npz"
