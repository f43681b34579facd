"""What is finished, kept in a file, and the conditions under which it may be taken up again."""

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

import xpnet
from sweep.records import Results, merge_results
from xpnet.files.writing import atomic_write

BENCHMARKS = Path(__file__).resolve().parent.parent
PACKAGE = Path(str(xpnet.__file__)).parent
# What results depend on.
SOURCES = (
    *(BENCHMARKS / "sweep" / f"{name}.py" for name in ("candidates", "measuring", "selection")),
    *BENCHMARKS.glob("truth/*.py"),
    *PACKAGE.glob("functions/**/*.py"),
    *PACKAGE.glob("arrays/**/*.py"),
)
HAS_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class State:
    """The finished pieces.

    Parameters
    ----------
    path : Path or None
        The file that keeps them; ``None`` keeps nothing.
    conditions : dict
        All that results depend on; a file made under others is refused.
    """

    def __init__(self, path: Path | None, conditions: dict[str, Any]) -> None:
        self.path = path
        self.conditions = conditions | {"code": digest_of_code()}
        self.done: list[int] = []
        self.seconds: list[float] = []
        self.results: Results = {}

    def read(self) -> None:
        """Take over what the file holds, if there is one.

        Raises
        ------
        ValueError
            If it is no state, or one made under other conditions.
        """
        if self.path is None or not self.path.exists():
            return
        again = "--restart begins anew, --state FILE uses another file"
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            theirs = stored["conditions"]
            done, seconds, results = stored["done"], stored["seconds"], stored["results"]
        except (ValueError, KeyError, TypeError):
            msg = f"{self.path} is no state of this program; {again}"
            raise ValueError(msg) from None
        other = [key for key, value in self.conditions.items() if theirs.get(key) != value]
        if other:
            msg = f"{self.path} was made with other {', '.join(other)}; {again}"
            raise ValueError(msg)
        self.done, self.seconds, self.results = done, seconds, results

    def add(self, piece: int, seconds: float, results: Results) -> None:
        """Take over a piece, and write the file."""
        merge_results(self.results, results)
        self.done.append(piece)
        self.seconds.append(seconds)
        if self.path is not None:
            keys = ("conditions", "done", "seconds", "results")
            write_text(self.path, json.dumps({key: getattr(self, key) for key in keys}))


def digest_of_code() -> str:
    """Return a digest of what the sources do: of their syntax, without comments and docstrings."""
    digest = hashlib.sha256()
    for source in sorted(SOURCES):
        tree = ast.parse(source.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, HAS_DOCSTRING) and ast.get_docstring(node) is not None:
                del node.body[0]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with atomic_write(path, force=True) as stream:
        stream.write(text.encode())
