"""Help, and nearest words in errors."""

import re
import shlex

import pytest

from xpnet.cli.parser import parse

NAMES = ["evaluate", "predict", "train", "fetch", "convert", "inspect", "parity", "bench", "show"]
NAMES += ["plot", "draw", "doctor"]


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """Have 80 columns, as argparse and textwrap see them."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def help_of(xpnet):
    """Return a function that returns the text of a help."""

    def run(*words):
        result = xpnet(*words)
        assert (result.code, result.err) == (0, "")
        return result.out

    return run


def test_these_are_all_commands(help_of):
    assert re.findall(r"^    ([a-z]+) ", help_of("--help"), re.MULTILINE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_command(help_of, name):
    lines = help_of(name, "--help").splitlines()
    assert lines[0].startswith(f"usage: xpnet {name} ")
    assert max(map(len, lines)) <= 80
    assert lines.index("examples:") < 15


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_valid_commands(help_of, name):
    found = re.search(r"examples:\n((?:  .*\n)+)", help_of(name, "--help"))
    examples = [shlex.split(line) for line in found[1].splitlines()]
    assert len(examples) == 2
    for program, *words in examples:
        assert program == "xpnet"
        assert parse(words).command == words[0] == name


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["evalute"], "did you mean evaluate?"),
        (["evaluate", "smaple"], "smaple: No such file or directory; did you mean sample?"),
        (["evaluate", "--model", "smaple"], "smaple: No such file or directory; did you mean sam"),
        (["evaluate", "--model", "radnom"], "radnom: No such file or directory; did you mean ran"),
        (["predict", "--plot"], "--plot; did you mean --split?"),
        (["train", "--activation", "rleu", "-o", "x.npz"], "'rleu'; did you mean relu?"),
        (["train", "--optimizer", "adma", "-o", "x.npz"], "'adma'; did you mean adam?"),
    ],
    ids=" ".join,
)
def test_the_nearest_word(refused, words, hint):
    assert hint in refused(*words)[1]


def test_the_nearest_file(refused, tmp_path):
    (tmp_path / "Train.csv").write_text("1,2\n")
    code, line = refused("evaluate", tmp_path / "train.cvs")
    hint = "train.cvs: No such file or directory; did you mean Train.csv?"
    assert (code, hint in line) == (3, True)


def test_a_common_suffix_does_not_make_names_similar(refused, tmp_path):
    (tmp_path / "idx.csv").write_text("1,2\n")
    assert "did you mean" not in refused("evaluate", tmp_path / "tarin.csv")[1]


def test_no_word_is_near(refused):
    assert "did you mean" not in refused("evaluate", "--model", "qqqqqq")[1]


def test_help_has_no_colour_in_a_pipe(help_of, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "")
    assert "\x1b" not in help_of("--help") + help_of("train", "--help")


def test_the_default_of_data(help_of):
    text = " ".join(help_of("evaluate", "--help").split())
    assert "(./mnist is a file of that name) (default: sample)" in text
