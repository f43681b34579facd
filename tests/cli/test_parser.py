"""Help, near words in errors, and the names of options."""

import ast
import inspect
import re
import shlex
from dataclasses import fields

import pytest

from xpnet.cli import data, model
from xpnet.cli.parser import build_parser, parse
from xpnet.datasets.read_options import ReadOptions

NAMES = ["evaluate", "predict", "train", "fetch", "convert", "inspect", "parity", "bench", "show"]
NAMES += ["plot", "draw", "doctor"]


@pytest.fixture
def help_of(xpnet, monkeypatch):
    """Return a function that returns the lines of a help, on a terminal of 100 columns."""

    def run(*words, columns="100"):
        monkeypatch.setenv("COLUMNS", columns)
        result = xpnet(*words)
        assert (result.code, result.err) == (0, "")
        return result.out.splitlines()

    return run


@pytest.mark.parametrize("words", [(), ("--help",)], ids=["alone", "--help"])
def test_the_help_names_every_command_and_exit_code(help_of, words):
    text = "\n".join(help_of(*words))
    assert re.findall(r"^    ([a-z]+) ", text, re.MULTILINE) == NAMES
    codes = "0 done, 1 out of bound, 2 usage, 3 data, 4 weights, 5 device,"
    codes += " 70 an internal error, 71 out of memory, 130 interrupted, 143 terminated"
    assert codes in " ".join(text.split())


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_command_and_its_examples(help_of, name):
    lines = help_of(name, "--help")
    assert lines[0].startswith(f"usage: xpnet {name} ")
    assert 10 < len(lines) <= 45
    assert max(map(len, lines)) <= 100
    assert max(map(len, help_of(name, "--help", columns="60"))) <= 80  # examples are not wrapped
    start = lines.index("examples:") + 1
    end = lines.index("", start)
    examples = [shlex.split(line) for line in lines[start:end]]
    assert start <= 8
    assert len(examples) >= 2
    assert "options:" in lines[end:]
    for program, *words in examples:
        assert (program, words[0]) == ("xpnet", name)
        assert parse(words).run.__module__ == f"xpnet.cli.{name}"


def names_that_are_taken(command):
    """Return the names that a command takes of what is given: by parameters or as strings."""
    module = inspect.getmodule(command)
    functions = [x for x in ast.parse(inspect.getsource(module)).body if hasattr(x, "args")]
    nodes = [node for function in functions for node in ast.walk(function)]
    names = {*inspect.signature(command).parameters, "json"}  # `main` takes json
    names |= {node.value for node in nodes if isinstance(node, ast.Constant)}
    called = {node.id for node in nodes if isinstance(node, ast.Name)}
    if "open_model" in called:
        names |= inspect.signature(model.open_model).parameters.keys()
    if "reading" in called:
        names |= {field.name for field in fields(ReadOptions)}
    if "open_rows" in called and command != data.open_rows:
        names |= names_that_are_taken(data.open_rows)
    return names


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_taken(name):
    """A command ignores names that it does not know, so a misspelt one would do nothing."""
    parser = build_parser([name])[1][name]
    command = parser.get_default("run")
    options = {action.dest for action in parser._actions} - {"help", "debug"}  # noqa: SLF001
    assert options - names_that_are_taken(command) == set()
    assert "rwos" not in names_that_are_taken(command)


@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        ("evaluate", "--roww=5; did you mean --rows?"),
        ("evaluate", "--model_; did you mean --model?"),
        ("evaluate", "--batch; did you mean --batch-size?"),
        ("evaluate", "--gpu=0; did you mean --device gpu?"),
        ("evaluate", "--lr"),  # an option of train
        ("evaluate", "--qqqq"),
        ("plot", "--gpu"),
        ("draw", "x y"),
    ],
)
def test_the_nearest_option(refused, name, unknown):
    line = f"xpnet: unrecognized arguments: {unknown} (see xpnet {name} --help)\n"
    assert refused(name, *unknown.partition(";")[0].split()) == (2, line)
