"""Test of the fuzzing: each planted fault is found, and correct rejections are no faults."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from xpnet.datasets import csv_file

FOLDER = Path(__file__).parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """Return a judge of all valid files; the program's modules are in this folder."""
    pytest.importorskip("onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        patch.chdir(tmp_path_factory.mktemp("files"))
        from judging import Judge
        from kinds import make_kinds

        kinds = make_kinds()
        judge = Judge(kinds)
        judge.kinds = {kind.name: kind for kind in kinds}
        yield judge


def case_of(judge, kind, change=bytes, command="predict"):
    from judging import Case

    kind = judge.kinds[kind]
    good = kind.goods[0]
    commands = [words for words in good.commands if words[0] == command]
    return Case(0, kind, good, commands[0], change(good.content))


def cut(content):
    return content[:-9]


def with_another_pixel(content):
    """Return an npz without compression in which one bit of the images differs."""
    changed = bytearray(content)
    changed[content.index(b" \n") + 40] ^= 1
    return bytes(changed)


def spoiled(main, spoil):
    """Return a command line that applies `spoil` to the exit code of a rejection."""

    def run(command):
        code = main(command)
        return spoil(code) if code else 0

    return run


TRACEBACK = "Traceback (most recent call last):\nKeyError: 0\n"
# What a command does that refuses a file; the code that it returns; and what must be found.
PLANTED = {
    "exit 0": (lambda code: code * 0, "accepted, and then refused: damaged"),
    "another code": (lambda code: code + 1, "exit 4: xpnet: damaged"),
    "a second line": (lambda code: sys.stderr.write("more\n") and code, "not in one line"),
    "a long line": (lambda code: sys.stderr.write("x" * 400) and code, "not in one line"),
    "stdout": (lambda code: sys.stdout.write("Id\n") and code, r"refused, and printed: 'Id\\n'"),
    "a traceback": (lambda _: sys.stderr.write(TRACEBACK) and 70, "exit 70: KeyError: 0"),
    "a file": (lambda code: Path(".xpnet-1.tmp").touch() or code, "left or gone: .xpnet-1.tmp$"),
    "no file": (lambda code: Path("damaged").unlink() or code, "are left or gone: damaged$"),
    "a change": (lambda code: Path("damaged").write_bytes(b"") or code, "the file was changed"),
    "memory": (lambda code: len(b"1" * (310 << 20)) and code, r"took 3[01]\d MB; refused"),
}


@pytest.mark.parametrize(("spoil", "reason"), PLANTED.values(), ids=PLANTED)
def test_a_fault_of_refusing_is_found(judge, monkeypatch, spoil, reason):
    from judging import command_line

    case = case_of(judge, "images-npz", cut)
    assert judge.judge(case).name == "refused"
    monkeypatch.setattr(command_line, "main", spoiled(command_line.main, spoil))
    outcome = judge.judge(case)
    assert outcome.name == "fault"
    assert re.search(reason, outcome.reason)


def test_a_reader_that_compares_no_checksum_is_found(judge, monkeypatch):
    case = case_of(judge, "images-npz", with_another_pixel)
    assert judge.judge(case).name == "refused"
    monkeypatch.setattr(zipfile.ZipExtFile, "_update_crc", lambda *_: None)
    outcome = judge.judge(case)
    assert outcome.name == "fault"
    assert outcome.reason == "accepted, and must be refused: ValueError: checksum"


def test_a_reader_that_is_wrong_about_a_good_file_is_found(judge, monkeypatch):
    case = case_of(judge, "csv")
    assert judge.judge(case).name == "same"
    read = vars(csv_file)["_parse"]
    monkeypatch.setattr(csv_file, "_parse", lambda *given: read(*given)[::-1])
    outcome = judge.judge(case)
    assert (outcome.name, outcome.reason) == ("fault", "accepted with a wrong result")


def test_what_was_changed_rightly_is_no_fault(judge):
    case = case_of(judge, "npy", lambda content: content[:-1] + b"\7")
    assert judge.judge(case).name == "changed"


def program(*arguments, planted="", cwd):
    code = f"import sys, fuzz_files, workers\n{planted}\nsys.exit(fuzz_files.main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, "--jobs=2", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )


PLANTED_IN_A_PROCESS = {
    "os.kill(os.getpid(), 11)": "the process died: SIGSEGV",
    "time.sleep(60)": "took longer than 1 s",
}


@pytest.mark.parametrize(("fault", "reason"), PLANTED_IN_A_PROCESS.items())
def test_a_process_that_dies_or_hangs_is_found(tmp_path, fault, reason):
    planted = f"""
import os, time
from judging import command_line
workers._SECONDS = 1
main = command_line.main
def spoiled(command):
    code = main(command)
    if code:
        {fault}
    return code
command_line.main = spoiled
"""
    done = program("--kinds=idx", "--cases=2", planted=planted, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f": {reason}\n" in done.stdout
    assert re.search(r"^idx +2 ", done.stdout, re.MULTILINE)
    assert re.search(r"\n2 cases, [12] faults\n$", done.stdout)
    kept = tmp_path / re.search(r"cd (\S+) && xpnet ", done.stdout)[1]
    assert (kept / "model.safetensors").is_file()


def test_a_case_is_the_same_whenever_it_is_made(judge):
    from fuzz_files import random_case

    kinds = tuple(judge.kinds.values())
    made = [[random_case(kinds, 0, number) for number in range(100)] for _ in range(2)]
    assert made[0] == made[1]
    assert sum(case.content != case.good.content for case in made[0]) > 90
