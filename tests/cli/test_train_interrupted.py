"""``xpnet train``: the kept results after an interrupt or a failed write."""

import errno
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from xpnet import load
from xpnet.cli.main import main
from xpnet.files import reserving
from xpnet.training import train as training

WORDS = ("--rows", "40", "--epochs", "3", "--batch-size", "10", "--hidden", "5")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def checkpoint(output):
    return Path(f"{output}.checkpoint")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the model of a training that nothing disturbs."""
    path = tmp_path_factory.mktemp("whole") / "model.safetensors"
    assert main(["train", *WORDS, "-o", str(path)]) == 0
    return path.read_bytes()


@contextmanager
def when_learned(happens):
    """Let something happen when the training is over, before anything of it is written."""
    original = training.train

    def learn(*given, **options):
        run = original(*given, **options)
        happens()
        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train", learn)
        yield


def interrupt():
    raise KeyboardInterrupt


def n_epochs(err):
    return sum(line.startswith("epoch ") for line in err.splitlines())


@pytest.mark.parametrize(
    ("option", "again"), [("-o", "--resume"), ("--history", "--force"), ("--plot", "--resume")]
)
def test_a_file_that_appears_meanwhile_costs_nothing(xpnet, tmp_path, whole, option, again):
    names = {"-o": "model.safetensors", "--history": "history.json", "--plot": "curve.png"}
    files = {word: tmp_path / name for word, name in names.items()}
    words = ["train", *WORDS, *(word for pair in files.items() for word in pair)]
    checkpoint = Path(f"{files['-o']}.checkpoint")
    with when_learned(lambda: files[option].write_bytes(b"precious")):
        result = xpnet(*words)
    assert result.code == 2
    assert result.err.splitlines()[-1] == (
        f"xpnet: {files[option]}: already exists; {checkpoint} holds the training so far:"
        " --resume continues it and replaces the file"
    )
    assert files[option].read_bytes() == b"precious"
    result = xpnet(*words, again)
    assert (result.code, n_epochs(result.err)) == (0, 0)
    assert files["-o"].read_bytes() == whole
    assert len(json.loads(files["--history"].read_text())) == 3
    assert files["--plot"].read_bytes().startswith(b"\x89PNG")
    assert sorted(tmp_path.iterdir()) == sorted(files.values())


def test_resuming_nothing_replaces_no_file_that_appears_meanwhile(xpnet, output, checkpoint):
    with when_learned(lambda: output.write_bytes(b"precious")):
        result = xpnet("train", *WORDS, "-o", output, "--resume")
    assert (result.code, output.read_bytes()) == (2, b"precious")
    assert f"{checkpoint} holds the training so far: --resume continues it" in result.err


def test_a_model_that_cannot_be_written_is_not_lost(xpnet, output, checkpoint, whole):
    with when_learned(output.mkdir):
        result = xpnet("train", *WORDS, "-o", output)
    assert result.code == 3
    assert result.err.splitlines()[-1] == (
        f"xpnet: {output}: Is a directory; {checkpoint} holds the training so far: --resume"
        " continues it"
    )
    result = xpnet("train", *WORDS, "-o", output, "--resume")  # while it is in the way
    assert (result.code, checkpoint.exists()) == (3, True)
    output.rmdir()
    result = xpnet("train", *WORDS, "-o", output, "--resume")
    assert (result.code, n_epochs(result.err)) == (0, 0)
    assert output.read_bytes() == whole
    assert [*output.parent.iterdir()] == [output]


def full(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_full_at_the_end_costs_nothing(
    xpnet, output, checkpoint, whole, monkeypatch
):
    message = (
        f"xpnet: {output}: No space left on device; {checkpoint} holds the training so far:"
        " --resume continues it"
    )
    with monkeypatch.context() as patch:
        with when_learned(lambda: patch.setattr(os, "fsync", full)):
            result = xpnet("train", *WORDS, "-o", output)
        assert (result.code, result.err.splitlines()[-1]) == (3, message)
        assert [*output.parent.iterdir()] == [checkpoint]
        for again in ("--resume", "--force"):  # it still is
            result = xpnet("train", *WORDS, "-o", output, again)
            assert (result.code, result.err) == (3, f"{message}\n")
            assert [*output.parent.iterdir()] == [checkpoint]
    result = xpnet("train", *WORDS, "-o", output, "--resume")
    assert (result.code, n_epochs(result.err)) == (0, 0)
    assert output.read_bytes() == whole


def test_a_disk_that_is_full_meanwhile(xpnet, output, checkpoint, whole, monkeypatch):
    monkeypatch.setattr("xpnet.training.checkpoints._SECONDS_BETWEEN", 0.0)
    n_calls = iter(range(100))
    original = os.fsync

    def full_later(descriptor):
        if next(n_calls) > 1:
            full(descriptor)
        original(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_later)
        result = xpnet("train", *WORDS, "-o", output)
    assert result.code == 3
    assert result.err.splitlines()[-1] == (
        f"xpnet: {checkpoint}: No space left on device; {checkpoint} holds the training so far:"
        " --resume continues it"
    )
    result = xpnet("train", *WORDS, "-o", output, "--resume")
    assert (result.code, n_epochs(result.err)) == (0, 1)
    assert output.read_bytes() == whole


@pytest.mark.parametrize("words", [("--seed", "1"), ("--epochs", "4")], ids=" ".join)
def test_force_begins_another_training_anew(xpnet, output, checkpoint, words):
    with when_learned(interrupt):
        assert xpnet("train", *WORDS, "-o", output).code == 130
    assert checkpoint.exists()
    result = xpnet("train", *WORDS, *words, "-o", output, "--force")
    assert (result.code, n_epochs(result.err)) == (0, 4 if "--epochs" in words else 3)
    assert [*output.parent.iterdir()] == [output]


def test_an_unfinished_training(xpnet, output, checkpoint, whole, monkeypatch):
    from xpnet.training.loop import Loop

    original = Loop.end_epoch

    def stop_in_third(self, *given):
        if len(self.history) == 2:
            interrupt()
        original(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "end_epoch", stop_in_third)
        result = xpnet("train", *WORDS, "-o", output)
        # The second epoch was over within a second of the first; it is kept all the same.
        assert (result.code, n_epochs(result.err)) == (130, 2)
    assert f"{checkpoint} holds the training so far: --resume continues it\n" in result.err
    assert [*output.parent.iterdir()] == [checkpoint]
    content = checkpoint.read_bytes()
    result = xpnet("train", *WORDS, "-o", output)
    assert result.code == 2
    assert "holds an unfinished training: --resume continues it, --force starts" in result.err
    result = xpnet("train", *WORDS, "--seed", "1", "-o", output, "--resume")
    assert (result.code, "a checkpoint of another training" in result.err) == (4, True)
    result = xpnet("train", *WORDS, "-o", output, "--force")
    assert (result.code, n_epochs(result.err)) == (0, 3)
    assert output.read_bytes() == whole
    output.unlink()
    checkpoint.write_bytes(content)
    result = xpnet("train", *WORDS, "-o", output, "--resume")
    assert (result.code, n_epochs(result.err)) == (0, 1)
    assert output.read_bytes() == whole
    assert not checkpoint.exists()


def test_an_interrupt_before_the_first_epoch_leaves_nothing(refused, output, monkeypatch):
    monkeypatch.setattr("xpnet.training.loop.Loop.end_epoch", lambda *_: interrupt())
    assert refused("train", *WORDS, "-o", output) == (130, "xpnet: interrupted\n")
    assert [*output.parent.iterdir()] == []


def test_an_interrupt_while_the_model_is_written(xpnet, output, checkpoint, whole):
    with (
        pytest.MonkeyPatch.context() as patch,
        when_learned(lambda: patch.setattr(os, "fsync", lambda _: interrupt())),
    ):
        result = xpnet("train", *WORDS, "-o", output)
    assert result.code == 130
    assert f"{checkpoint} holds the training so far: --resume continues it\n" in result.err
    assert [*output.parent.iterdir()] == [checkpoint]
    assert xpnet("train", *WORDS, "-o", output, "--resume").code == 0
    assert output.read_bytes() == whole


@pytest.mark.skipif(not reserving.HAS_LOCKS, reason="this system has no file locks")
def test_a_second_training_is_refused_before_it_reads_anything(refused, xpnet, output, checkpoint):
    words = ["train", "--epochs", "100000", "--hidden", "5", "-o", output]
    command = [sys.executable, "-m", "xpnet", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        assert first.stderr.readline().startswith("training with --hidden 5 ")
        assert first.stderr.readline().startswith("epoch 1/")
        for again in ([], ["--resume"], ["--force"]):
            code, line = refused("train", "missing.csv", "-o", output, *again)
            rule = f"in use by process {first.pid}: wait until it ends, or choose another file"
            assert (code, line) == (3, f"xpnet: {checkpoint}: {rule}\n")
        assert xpnet("train", *WORDS, "-o", output.with_name("other.npz")).code == 0
        first.send_signal(signal.SIGKILL)
    assert checkpoint.exists()
    result = xpnet("train", *WORDS, "-o", output, "--force")
    assert (result.code, n_epochs(result.err)) == (0, 3)
    assert sorted(x.name for x in output.parent.iterdir()) == [output.name, "other.npz"]
    assert load(output).n_in == 784


def test_a_link_and_its_file_have_one_checkpoint(refused, output, checkpoint, tmp_path):
    link = tmp_path / "link.safetensors"
    output.touch()
    link.symlink_to(output)
    with reserving.exclusive(checkpoint):
        checkpoint.touch()
        code, line = refused("train", *WORDS, "-o", link, "--force", "--resume")
    assert code == 4
    assert line.startswith(f"xpnet: {checkpoint}: ")


@pytest.mark.skipif(os.name == "nt", reason="needs named pipes")
def test_a_pipe_in_place_of_a_checkpoint(refused, output, checkpoint):
    os.mkfifo(checkpoint)
    code, line = refused("train", *WORDS, "-o", output, "--resume")
    assert code == 4
    assert f"{checkpoint}: not a training checkpoint, remove it to start over" in line
