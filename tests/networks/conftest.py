"""The program that hashes reproducible results, as a module."""

import importlib.util
import json
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def program():
    """Return tests/networks/reproducible_hashes.py as a module."""
    path = Path(__file__).with_name("reproducible_hashes.py")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def committed(program):
    """Return the hashes in tests/networks/reproducible_hashes.json, by name."""
    return json.loads(program.COMMITTED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def cases(program):
    """Return the networks and rows of the hashes, by name."""
    return program.cases()
