"""Packages that the first run on a card needs and that are missing or too old here.

As a script it prints them, with the commands that install them without a network, and exits with
code 2. It needs the standard library only.
"""

import re
import shlex
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
# Wheels are installed without their dependencies, which would replace the machine's NumPy.
_OF_PYTEST = ("iniconfig", "packaging", "pluggy", "pygments")


def requirements() -> dict[str, str]:
    """Return the lowest version of each package by its name; an empty string for any version."""
    project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    newer = [each for each in extras["test"] if each.startswith("pytest>")]
    each = [*project["dependencies"], *extras["testing"], *newer, *_OF_PYTEST]
    pairs = [requirement.partition(">=") for requirement in each]
    return {name: least for name, _, least in pairs}


def lacking() -> list[str]:
    """Return the requirements that are not met."""
    found = []
    for name, least in requirements().items():
        try:
            is_met = _numbers(version(name)) >= _numbers(least)
        except PackageNotFoundError:
            is_met = False
        if not is_met:
            found.append(f"{name}>={least}" if least else name)
    return found


def _numbers(release: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", release)]


def main() -> int:
    """Print the requirements that are not met."""
    if not (found := lacking()):
        return 0
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    options = f"--no-deps --only-binary=:all: --python-version {python} -d wheels"
    print(f"missing or too old for {sys.executable}: {', '.join(found)}")
    print("On a machine with a network, download them (about 3 MB without NumPy):")
    print(f"  pip download {options} {shlex.join(found)}")
    print("Copy the folder, and run this script again with --wheels wheels; or install them:")
    print("  pip install --no-index --no-deps --target site wheels/*.whl")
    print("  export PYTHONPATH=$PWD/site")
    return 2


if __name__ == "__main__":
    sys.exit(main())
