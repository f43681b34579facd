"""Files to read."""

import numpy as np
import pytest


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
