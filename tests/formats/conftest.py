"""Bytes as a model file; each module chooses its name with the fixture `path`."""

import pytest

from xpnet import WeightsError, load


@pytest.fixture
def opened(path):
    """Write bytes and load them."""

    def go(content, **options):
        path.write_bytes(content)
        return load(path, **options)

    return go


@pytest.fixture
def error(path):
    """Return the message about bytes that are rejected: one line that begins with the file."""

    def go(content, **options):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=path.name) as caught:
            load(path, **options)
        message = str(caught.value)
        assert caught.value.file == str(path)
        assert message.startswith(f"{path}: ")
        assert message.isprintable()
        assert len(message) <= 390
        return message

    return go
