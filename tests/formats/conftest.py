"""Bytes as a file of weights; each module says by the fixture `path` what the file is called."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xpnet import Network, load


@pytest.fixture
def opened(path: Path) -> Callable[..., Network]:
    """Write bytes and load them."""

    def go(content: bytes, **options: Any) -> Network:
        path.write_bytes(content)
        return load(path, **options)

    return go
