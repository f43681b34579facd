"""Compare the size of each room with its ceiling in pyproject.toml; exit with 1 above one.

A room is counted in lines of Python and shell, docs/ in words of Markdown with their code. Two
ceilings hold everywhere: the lines of the longest Python file, and the comments that suppress a
linter, a type checker or the formatter.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

SUPPRESSION = re.compile(r"# (noqa|type: ignore|fmt: (off|skip)|ruff: noqa)")

ceilings = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["xpnet"]["lines"]
names = subprocess.run(["git", "ls-files"], capture_output=True, check=True, text=True).stdout
texts = {
    name: Path(name).read_text("utf-8")
    for name in names.splitlines()
    if name.endswith((".py", ".pyi", ".sh", ".md")) and Path(name).is_file()
}
python = {name: text for name, text in texts.items() if name.endswith((".py", ".pyi"))}
sizes = {"suppressions": sum(len(SUPPRESSION.findall(text)) for text in python.values())}
longest = max(python, key=lambda name: python[name].count("\n"))
sizes["longest file"] = python[longest].count("\n")
for room in ceilings.keys() - sizes.keys():
    suffixes = (".md",) if room == "docs" else (".py", ".sh")
    inside = [
        x for name, x in texts.items() if name.startswith(f"{room}/") and name.endswith(suffixes)
    ]
    sizes[room] = sum(len(x.split() if room == "docs" else x.splitlines()) for x in inside)
for room, ceiling in ceilings.items():
    print(f"{room:18} {sizes[room]:6} of {ceiling:6}")
print(f"The longest file is {longest}.")
above = [room for room, ceiling in ceilings.items() if sizes[room] > ceiling]
sys.exit(f"above their ceilings: {', '.join(above)}" if above else 0)
