"""Bytes, or a model of ONNX, as a file; each module chooses its name with the fixture `path`."""

import pytest

from xpnet import WeightsError, load


@pytest.fixture
def opened(path):
    """Write a file and load it."""

    def go(content, **options):
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        return load(path, **options)

    return go


@pytest.fixture
def error(path, opened):
    """Return the message about a file that is rejected: one line that begins with its name."""

    def go(content, **options):
        with pytest.raises(WeightsError, match=path.name) as caught:
            opened(content, **options)
        message = str(caught.value)
        assert caught.value.file == str(path)
        assert message.startswith(f"{path}: ")
        assert message.isprintable()
        assert len(message) <= 390
        return message

    return go
