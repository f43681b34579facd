"""Optional packages, imported only where they are needed."""

from importlib import import_module
from typing import Any

__all__ = ["MissingPackageError", "import_optional"]


class MissingPackageError(ModuleNotFoundError):
    """An optional package is not installed; the message names the command that installs it."""


def import_optional(name: str, need: str, package: str | None = None) -> Any:
    """Import a module; if it is missing, raise MissingPackageError with `need` and its package."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        msg = f"{need}: pip install {package or name.partition('.')[0]}"
        raise MissingPackageError(msg, name=error.name) from error
