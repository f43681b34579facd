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


def exits_with_zero(_):
    return 0


def exits_with_another_code(_):
    return 4


def prints_a_second_line(code):
    sys.stderr.write("and this\n")
    return code


def prints_a_long_line(code):
    sys.stderr.write("x" * 400)
    return code


def prints_on_stdout(code):
    sys.stdout.write("ImageId,Label\n")
    return code


def ends_in_a_traceback(_):
    sys.stderr.write("Traceback (most recent call last):\nKeyError: 0\n")
    return 70


def leaves_a_file(code):
    Path(".xpnet-1234.tmp").touch()
    return code


def loses_the_file(code):
    Path("damaged").unlink()
    return code


def changes_the_file(code):
    Path("damaged").write_bytes(b"")
    return code


def fills_the_memory(code):
    assert len(b"1" * (310 << 20))
    return code


PLANTED = [
    (exits_with_zero, "accepted, and then refused: damaged"),
    (exits_with_another_code, "exit 4: xpnet: damaged"),
    (prints_a_second_line, "not in one line"),
    (prints_a_long_line, "not in one line"),
    (prints_on_stdout, r"refused, and printed: 'ImageId,Label\\n'"),
    (ends_in_a_traceback, "exit 70: KeyError: 0"),
    (leaves_a_file, "refused, and files are left or gone: .xpnet-1234.tmp$"),
    (loses_the_file, "refused, and files are left or gone: damaged$"),
    (changes_the_file, "refused, and the file was changed"),
    (fills_the_memory, r"took 3[01]\d MB; refused"),
]


@pytest.mark.parametrize(("spoil", "reason"), PLANTED)
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


def test_the_program_counts_outcomes(tmp_path):
    done = program("--kinds=certificate,idx", "--cases=60", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^certificate +30 ", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("60 cases, 0 faults\n")
    assert not list(tmp_path.iterdir())


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
    kept = tmp_path / re.search(r"cd (\S+) && xpnet ", done.stdout)[1]
    assert (kept / "model.safetensors").is_file()


def test_a_case_is_the_same_whenever_it_is_made(judge):
    from fuzz_files import random_case

    kinds = tuple(judge.kinds.values())
    made = [[random_case(kinds, 0, number) for number in range(100)] for _ in range(2)]
    assert made[0] == made[1]
    assert sum(case.content != case.good.content for case in made[0]) > 90


def test_every_byte_has_every_other_value(judge):
    from fuzz_files import single_byte_case

    kinds = [judge.kinds["certificate"], judge.kinds["checkpoint"]]
    first, second = (kind.goods[0].content for kind in kinds)
    changed = {single_byte_case(kinds, number).content for number in range(2 * 255)}
    assert len(changed) == 510
    assert {content[2:] == first[2:] for content in changed} == {True}
    last = single_byte_case(kinds, 255 * (len(first) + len(second)) - 1)
    assert (last.kind.name, last.content[:-1]) == ("checkpoint", second[:-1])
    with pytest.raises(IndexError):
        single_byte_case(kinds, 255 * (len(first) + len(second)))
