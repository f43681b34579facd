"""Files to read, and the check of the exact error of a rejected file."""

import numpy as np
import pytest

from xpnet.datasets import read
from xpnet.files import DataError


@pytest.fixture
def write(tmp_path):
    """Write a file of lines, bytes or an array, and return its path."""

    def write_file(*content, name="a.csv"):
        path = tmp_path / name
        if isinstance(content[0], np.ndarray):
            with path.open("wb") as file:
                np.save(file, content[0])
        elif isinstance(content[0], bytes):
            path.write_bytes(content[0])
        else:
            path.write_bytes("\n".join(content).encode())
        return path

    return write_file


@pytest.fixture
def rejected():
    """Read a file, which must fail with exactly this message after its name."""

    def check(path, message, **options):
        with pytest.raises(DataError) as caught:
            read(path, **options)
        assert str(caught.value).removeprefix(str(path)) == message
        return caught.value

    return check
