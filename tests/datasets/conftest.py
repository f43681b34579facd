"""CSV files of a few lines, and what is said of them where they are refused."""

import re

import pytest

from xpnet.datasets import read
from xpnet.files import DataError


@pytest.fixture
def write(tmp_path):
    def write_lines(*lines):
        path = tmp_path / "a.csv"
        path.write_text("\n".join(lines))
        return path

    return write_lines


@pytest.fixture
def refused():
    def expect(path, message, **options):
        with pytest.raises(DataError, match=re.escape(message)) as caught:
            read(path, **options)
        assert str(caught.value).removeprefix(str(path)) == message

    return expect
