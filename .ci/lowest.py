"""Print constraints for pip: the lowest version of every dependency in pyproject.toml."""

import re
import tomllib
from itertools import chain
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
extras = project["optional-dependencies"].values()
for requirement in sorted({*project["dependencies"], *chain(*extras)}):
    bound = re.match(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", requirement)
    if bound:
        print("==".join(bound.groups()))
