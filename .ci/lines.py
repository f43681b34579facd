"""Compare the size of each room with its ceiling in pyproject.toml; exit with 1 above one.

A room is counted in lines of Python and shell, docs/ in words of Markdown with their code.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

ceilings = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["xpnet"]["lines"]
names = subprocess.run(["git", "ls-files"], capture_output=True, check=True, text=True).stdout
above = []
for room, ceiling in ceilings.items():
    suffixes = (".md",) if room == "docs" else (".py", ".sh")
    files = [x for x in names.splitlines() if x.startswith(f"{room}/") and x.endswith(suffixes)]
    texts = [Path(file).read_text("utf-8") for file in files]
    size = sum(len(text.split() if room == "docs" else text.splitlines()) for text in texts)
    print(f"{room:18} {size:6} of {ceiling:6}")
    above += [room] * (size > ceiling)
sys.exit(f"above their ceilings: {', '.join(above)}" if above else 0)
