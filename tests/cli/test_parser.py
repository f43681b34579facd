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
def test_the_help_of_a_command(help_of, name):
    lines = help_of(name, "--help")
    assert lines[0].startswith(f"usage: xpnet {name} ")
    assert 10 < len(lines) <= 55
    assert max(map(len, lines)) <= 100
    assert lines.index("examples:") < lines.index("options:")
    assert lines.index("examples:") < 8
    assert max(map(len, help_of(name, "--help", columns="60"))) <= 80  # examples are not wrapped


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_valid_commands(help_of, name):
    found = re.search(r"examples:\n((?:  .*\n)+)", "\n".join(help_of(name, "--help")))
    examples = [shlex.split(line) for line in found[1].splitlines()]
    assert len(examples) >= 2
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
    ("words", "hint"),
    [
        ("evalute", "no command 'evalute'; did you mean evaluate?"),
        ("fly", "no command 'fly'; choose from evaluate, predict, train, fetch, convert,"),
        ("--device gpu evaluate", "options follow the command, as in xpnet evaluate --device"),
        ("evaluate --roww 5", "--roww; did you mean --rows? (see xpnet evaluate --help)"),
        ("evaluate --roww=5", "--roww=5; did you mean --rows?"),
        ("evaluate --model_ x", "--model_; did you mean --model?"),
        ("evaluate --batch 5", "--batch; did you mean --batch-size?"),
        ("evaluate --gpu", "--gpu; did you mean --device gpu?"),
        ("train --lr 1 -o x.npz", "--lr; did you mean --learning-rate?"),
        ("train --activation swish -o x.npz", "'swish'; did you mean silu?"),
        ("train --activation rleu -o x.npz", "'rleu'; did you mean relu?"),
    ],
)
def test_the_nearest_word(refused, tmp_path, monkeypatch, words, hint):
    monkeypatch.chdir(tmp_path)
    code, line = refused(*words.split())
    assert code == 2
    assert hint in line


@pytest.mark.parametrize("words", ["evaluate --lr 1", "evaluate --qqqq", "plot --gpu", "draw x y"])
def test_no_word_is_near(refused, words):
    code, line = refused(*words.split())
    assert code == 2
    assert "unrecognized arguments: " in line
    assert "did you mean" not in line


def test_help_has_no_colour_in_a_pipe(help_of, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "")
    assert "\x1b" not in "".join(help_of("--help") + help_of("train", "--help"))
