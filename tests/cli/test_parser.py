"""Help, near words in errors, and the names of options."""

import ast
import inspect
import re
import shlex
from dataclasses import fields
from importlib import import_module

import pytest

from xpnet.cli import data
from xpnet.cli.parser import build_parser, parse
from xpnet.datasets.read_options import ReadOptions

COMMANDS = list(build_parser()[1])


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
    assert re.findall(r"^    ([a-z]+) ", text, re.MULTILINE) == COMMANDS
    codes = "0 done, 1 out of bound, 2 usage, 3 data, 4 weights, 5 device,"
    codes += " 70 an internal error, 71 out of memory, 130 interrupted, 143 terminated"
    assert codes in " ".join(text.split())


@pytest.mark.parametrize("name", COMMANDS)
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
    for program, *words in examples:
        assert (program, words[0]) == ("xpnet", name)
        assert parse(words).run.__module__ == f"xpnet.cli.{name}"


def name_of(option):
    """Return the keyword that a command gets for an option."""
    flags = [word for word in option.words.split() if word.startswith("--")]
    return option.more.get("dest") or flags[0].removeprefix("--").replace("-", "_")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_taken(name):
    """A command ignores names that it does not know, so a misspelt one would do nothing.

    It takes names by parameters or strings of its functions, and of those that it imports.
    """
    module = import_module(f"xpnet.cli.{name}")
    functions = dict(inspect.getmembers(module, inspect.isfunction))
    if "open_rows" in functions:
        functions |= inspect.getmembers(data, inspect.isfunction)
    taken = {"json"}  # by `main`
    if "reading" in functions:
        taken |= {field.name for field in fields(ReadOptions)}
    for function in functions.values():
        taken |= inspect.signature(function).parameters.keys()
        nodes = ast.walk(ast.parse(inspect.getsource(function)))
        taken |= {node.value for node in nodes if isinstance(node, ast.Constant)}
    assert {name_of(option) for option in module.OPTIONS} - taken == set()


@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        ("evaluate", "--roww=5; did you mean --rows?"),
        ("evaluate", "--batch; did you mean --batch-size?"),
        ("evaluate", "--gpu=0; did you mean --device gpu?"),
        ("evaluate", "--lr"),  # an option of train
        ("plot", "--gpu"),
        ("draw", "x y"),
    ],
)
def test_the_nearest_option(refused, name, unknown):
    line = f"xpnet: unrecognized arguments: {unknown} (see xpnet {name} --help)\n"
    assert refused(name, *unknown.partition(";")[0].split()) == (2, line)
