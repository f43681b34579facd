"""Data for pages."""

import pytest

from xpnet.datasets.fetch import FILES


@pytest.fixture
def mnist(request, tmp_path_factory, monkeypatch):
    """Put MNIST's training images into the cache; its test images are not here, so empty files."""
    folder = tmp_path_factory.mktemp("cache") / "mnist"
    folder.mkdir()
    monkeypatch.setenv("XPNET_CACHE", str(folder.parent))
    for name in FILES:
        if name.startswith("train"):
            (folder / name).symlink_to(request.getfixturevalue("shared_data") / "mnist" / name)
        else:
            (folder / name).touch()
