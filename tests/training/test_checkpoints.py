"""Tests of checkpoints: interrupted, killed and resumed training runs, and damaged files."""

import errno
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import xpnet
from xpnet.arrays.cpu import threads
from xpnet.files import reserving
from xpnet.files.errors import WeightsError
from xpnet.formats.load_save import serialized
from xpnet.training import checkpoints, loop, train
from xpnet.training.optimizers import State
from xpnet.training.run import RunawayError


@pytest.fixture(autouse=True)
def _no_throttle(monkeypatch):
    """Write every epoch, however short it is."""
    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN", 0.0)


@pytest.fixture(scope="module")
def digits():
    images, labels = xpnet.sample()
    return images[:120], labels[:120]


def start(**options):
    options = {"activation": "sigmoid", **options}
    return xpnet.init_network([784, 8, 10], preprocessing=xpnet.Scale(1 / 255), **options)


OPTIONS = {"epochs": 4, "batch_size": 25, "validation": 0.25, "augment": 1}


class StopError(Exception):
    """Interrupts a training run."""


def stop_after(n):
    def on_epoch(epoch):
        if epoch.number == n:
            raise StopError

    return on_epoch


def stopped(path, n, *given, **options):
    """Train with checkpoints in a file, but only until the end of epoch n."""
    with pytest.raises(StopError):
        xpnet.train(*given, checkpoint=path, on_epoch=stop_after(n), **options)
    return path


@pytest.fixture(scope="module")
def assert_complete(digits, facts):
    """Return a function that compares a run with one that was not interrupted."""
    whole = facts(xpnet.train(start(), *digits, **OPTIONS))

    def compare(run):
        assert facts(run) == whole

    return compare


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "momentum", "nesterov", "sgd"])
def test_resumed_runs_have_the_same_bits(tmp_path, digits, facts, optimizer):
    options = {**OPTIONS, "optimizer": optimizer}
    whole = facts(xpnet.train(start(), *digits, **options))
    for n in (1, 2, 3, 4):
        path, seen = stopped(tmp_path / "training.ckpt", n, start(), *digits, **options), []
        resumed = {**options, "checkpoint": path, "on_epoch": seen.append, "resume": True}
        run = xpnet.train(start(), *digits, **resumed)
        assert facts(run) == whole
        assert [epoch.number for epoch in seen] == list(range(n + 1, 5))
        seconds = [epoch.seconds for epoch in run.history]
        assert seconds == sorted(seconds)  # continued
        assert [*tmp_path.iterdir()] == [path]
        path.unlink()


X = np.random.default_rng(0).normal(size=(50, 3))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("output", "y"), [("logits", np.arange(50) % 2), ("values", X @ [[1.0, 0], [2, 1], [-1, 0]])]
)
def test_every_precision_and_kind(tmp_path, facts, dtype, output, y):
    network = xpnet.init_network(
        [3, 4, 2], activation="sigmoid", scheme="normal", output=output, dtype=dtype
    )
    options = {"epochs": 4, "batch_size": 10, "learning_rate": 0.01}
    path = stopped(tmp_path / "training.ckpt", 2, network, X, y, **options)
    run = xpnet.train(network, X, y, checkpoint=path, resume=True, **options)
    assert facts(run) == facts(xpnet.train(network, X, y, **options))


def test_on_every_backend(tmp_path, xp_backend, digits, facts):
    if xp_backend.name == "dask":
        pytest.skip("Dask arrays are lazy: training would build an endless graph")
    options = {"epochs": 2, "batch_size": 30, "validation": 0.25}

    def network():
        return start().map_arrays(xp_backend.asarray)

    def facts_there(run):
        def to_host(x):
            return xp_backend.check(x, dtype="float32", shape=tuple(x.shape))

        return facts(replace(run, network=run.network.map_arrays(to_host)))

    whole = xpnet.train(network(), *digits, **options)
    path = stopped(tmp_path / "training.ckpt", 1, network(), *digits, **options)
    run = xpnet.train(network(), *digits, checkpoint=path, resume=True, **options)
    assert facts_there(run) == facts_there(whole)


@pytest.mark.parametrize("resume", [True, "finished"])
@pytest.mark.parametrize(
    "options",
    [{}, {"epochs": 50, "learning_rate": 1e-9, "patience": 1, "optimizer": "sgd"}],
    ids=["epochs", "patience"],
)
def test_a_finished_run_is_not_repeated(tmp_path, digits, facts, options, resume):
    options = {**OPTIONS, **options}
    path = tmp_path / "training.ckpt"
    run = xpnet.train(start(), *digits, checkpoint=path, **options)
    assert facts(run) == facts(xpnet.train(start(), *digits, **options))
    assert len(run.history) < 50
    content, batches, epochs = path.read_bytes(), [], []
    options |= {"progress": batches.append, "on_epoch": epochs.append}
    again = xpnet.train(start(), *digits, checkpoint=path, resume=resume, **options)
    assert facts(again) == facts(run)
    assert again.history == run.history  # seconds, too
    assert batches == epochs == []
    assert path.read_bytes() == content


def test_patience_is_kept(tmp_path, facts):
    random = np.random.default_rng(0)
    rows = random.normal(size=(40, 2))
    labels = (rows[:, 0] > 0).astype(int)

    def train(**options):
        # The held-out labels are the opposite of the training labels: the first epoch is the best.
        network = xpnet.Network([xpnet.Dense(np.asarray([[-1.0, 1.0], [0.0, 0.0]]), np.zeros(2))])
        return xpnet.train(
            network,
            rows,
            1 - labels,
            epochs=9,
            optimizer="momentum",
            validation=(rows[:20], labels[:20]),
            patience=3,
            **options,
        )

    expected = train()
    assert len(expected.history) == 4
    for n in (1, 2, 3, 4):
        path = tmp_path / f"{n}.ckpt"
        with pytest.raises(StopError):
            train(checkpoint=path, on_epoch=stop_after(n))
        assert facts(train(checkpoint=path, resume=True)) == facts(expected)


def test_resume_without_a_file_starts(tmp_path, digits):
    path = tmp_path / "training.ckpt"
    run = xpnet.train(start(), *digits, checkpoint=path, resume=True, **OPTIONS)
    assert len(run.history) == 4
    assert path.is_file()


def test_an_existing_file_is_not_replaced(tmp_path, digits):
    path = tmp_path / "training.ckpt"
    path.write_bytes(b"foreign")
    with pytest.raises(FileExistsError, match="already exists"):
        xpnet.train(start(), *digits, checkpoint=path, **OPTIONS)
    assert path.read_bytes() == b"foreign"


def test_a_missing_folder_raises_at_once(tmp_path, digits):
    seen = []
    with pytest.raises(FileNotFoundError, match="no such folder"):
        xpnet.train(
            start(), *digits, checkpoint=tmp_path / "no" / "x", progress=seen.append, **OPTIONS
        )
    assert seen == []


def other_schedule(n_done, n_steps):
    return 1.0 - n_done / n_steps


OTHERS = {
    "epochs": {"epochs": 5},
    "batch_size": {"batch_size": 24},
    "optimizer": {"optimizer": "adam"},
    "an option of it": {"optimizer": xpnet.Adam(beta1=0.8)},
    "learning_rate": {"learning_rate": 0.006},
    "schedule": {"schedule": "constant"},
    "a custom schedule": {"schedule": other_schedule},
    "validation": {"validation": 0.5},
    "patience": {"patience": 3},
    "augment": {"augment": 2},
    "seed": {"seed": 1},
}


@pytest.fixture(scope="module")
def content_of_kept(tmp_path_factory, digits):
    path = tmp_path_factory.mktemp("kept") / "training.ckpt"
    return stopped(path, 2, start(), *digits, **OPTIONS).read_bytes()


@pytest.fixture
def kept(tmp_path, content_of_kept):
    """Return a checkpoint after two epochs."""
    (tmp_path / "training.ckpt").write_bytes(content_of_kept)
    return tmp_path / "training.ckpt"


def assert_rejected(path, network, images, labels, **options):
    before = path.read_bytes()
    message = (
        "a checkpoint of another training run: data, options or initial network differ, remove"
    )
    with pytest.raises(WeightsError, match=message) as caught:
        xpnet.train(network, images, labels, checkpoint=path, resume=True, **{**OPTIONS, **options})
    assert caught.value.file == str(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("what", OTHERS)
def test_another_option_is_rejected(kept, digits, what):
    assert_rejected(kept, start(), *digits, **OTHERS[what])


def test_other_data_are_rejected(kept, digits):
    images, labels = (x.copy() for x in digits)
    images[7, 14, 14] ^= 1
    assert_rejected(kept, start(), images, labels)
    labels[7] = (labels[7] + 1) % 10
    assert_rejected(kept, start(), digits[0], labels)
    assert_rejected(kept, start(), digits[0][:-1], digits[1][:-1])
    assert_rejected(kept, start(), digits[0].astype(np.float32), digits[1])
    assert_rejected(kept, start(), *digits, validation=(digits[0][:30], digits[1][:30]))


def test_another_start_is_rejected(kept, digits):
    assert_rejected(kept, start(seed=1), *digits)
    assert_rejected(kept, start(dtype="float64"), *digits)
    assert_rejected(kept, start(activation="tanh"), *digits)
    layers = start().layers
    assert_rejected(kept, xpnet.Network(layers, xpnet.Scale(1 / 256)), *digits)
    mean, scale = np.zeros(784, np.float32), np.full(784, 255, np.float32)
    other = xpnet.Network(layers, xpnet.Standardize(mean, scale))
    assert_rejected(kept, other, *digits)
    bias = layers[1].bias.copy()
    bias[3] += 1e-6
    other = [layers[0], xpnet.Dense(layers[1].weight, bias)]
    assert_rejected(kept, xpnet.Network(other, xpnet.Scale(1 / 255)), *digits)


def test_the_numbers_of_the_preprocessing_count():
    def key(mean):
        step = xpnet.Standardize(np.asarray([mean, 0.0]), np.ones(2))
        network = xpnet.Network([xpnet.Dense(np.ones((2, 2)), np.zeros(2))], step)
        return checkpoints.fingerprint(network, (), {})

    assert key(0.0) == key(0.0)
    assert key(0.0) != key(1e-9)


def test_all_numbers_of_an_array_in_an_option_count():
    def key(decay):
        decays = np.zeros(2000)  # NumPy's repr abbreviates it
        decays[1000] = decay
        network = xpnet.Network([xpnet.Dense(np.ones((2, 2)), np.zeros(2))])
        return checkpoints.fingerprint(network, (), {"optimizer": SimpleNamespace(decays=decays)})

    assert key(0.1) == key(0.1)
    assert key(0.1) != key(0.1 + 1e-12)


def test_a_schedule_is_recognized_by_its_values(tmp_path, digits, facts):
    # Two functions, as two processes have them.
    path = tmp_path / "training.ckpt"
    one, same = (lambda n_done, n_steps: 1.0 - n_done / n_steps for _ in range(2))
    assert one is not same
    stopped(path, 2, start(), *digits, schedule=one, **OPTIONS)
    run = xpnet.train(start(), *digits, checkpoint=path, resume=True, schedule=same, **OPTIONS)
    assert facts(run) == facts(xpnet.train(start(), *digits, schedule=one, **OPTIONS))


EPOCH = {
    "number": 1, "loss": 1.0, "accuracy": 1.0, "validation_loss": 1.0,
    "validation_accuracy": 1.0, "learning_rate": 1.0, "seconds": 1.0,
}  # fmt: skip
FACTS = {"training": "a", "n_steps": 1, "best": 1, "history": [EPOCH]}
ARRAYS = {"parameters": np.zeros(3), "best": np.zeros(3)}


def made(**changes):
    """Return the bytes of a checkpoint of any content."""
    facts = {**FACTS, **changes}
    return checkpoints.CHECKPOINT_FORMAT.to_bytes(facts, ARRAYS, is_packed=False)


content_of = checkpoints.CHECKPOINT_FORMAT.read  # the facts and the arrays


NO_CHECKPOINT = "not a training checkpoint.* remove it to start over"
OTHER = "another training run"
FOREIGN = {
    "a checkpoint of an older version": (
        b"\x10" + bytes(7) + b'{"__metadata__":{}}',
        NO_CHECKPOINT,
    ),
    "a network": (bytes(serialized(start(), "x.npz")), NO_CHECKPOINT),
    "no history": (made(history=None), NO_CHECKPOINT),
    "an empty history": (made(history=[]), NO_CHECKPOINT),
    "an epoch of other things": (made(history=[{"epoch": 1}]), NO_CHECKPOINT),
    "epochs that are lists": (made(history=[[]]), NO_CHECKPOINT),
    "best 0": (made(best=0), NO_CHECKPOINT),
    "an unknown best": (made(best=7), NO_CHECKPOINT),
    "a best that is a string": (made(best="1"), NO_CHECKPOINT),
    "another training": (made(training="b"), OTHER),
}
DAMAGES = {
    "empty": lambda _: b"",
    "half of it": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content[:-1],
    "a text": lambda _: b"label,pixel0,pixel1\n1,2,3\n" * 100,
    "an archive": lambda _: b"PK\x03\x04" + bytes(1000),
    "other steps": lambda x: x.replace(b'"n_steps": ', b'"n_steps":1'),
}


def assert_one_line(caught, path, content):
    assert caught.value.file == str(path)
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_bytes() == content


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_rejected(kept, digits, damage):
    content = DAMAGES[damage](kept.read_bytes())
    kept.write_bytes(content)
    with pytest.raises(WeightsError, match=NO_CHECKPOINT) as caught:
        xpnet.train(start(), *digits, checkpoint=kept, resume=True, **OPTIONS)
    assert_one_line(caught, kept, content)


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_rejected(tmp_path, digits, kind):
    path = tmp_path / "training.ckpt"
    content, message = FOREIGN[kind]
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        checkpoints.CheckpointFile(path, "a").read()
    assert_one_line(caught, path, content)
    with pytest.raises(WeightsError) as caught:
        xpnet.train(start(), *digits, checkpoint=path, resume=True, **OPTIONS)
    assert_one_line(caught, path, content)


def test_a_folder_is_not_a_checkpoint(tmp_path):
    with pytest.raises(WeightsError, match=NO_CHECKPOINT):
        checkpoints.CheckpointFile(tmp_path, "a").read()


def test_a_written_checkpoint_can_be_read(tmp_path):
    (tmp_path / "one").write_bytes(made())
    found = checkpoints.CheckpointFile(tmp_path / "one", "a").read()
    assert (found.n_steps, found.best, len(found.history)) == (1, 1, 1)


def interrupt_after(n):
    """Return a function that interrupts a training run at its n-th call."""
    calls = iter(range(1, 1000))

    def interrupt(*_):
        if next(calls) == n:
            raise KeyboardInterrupt

    return interrupt


N_BATCHES_OF_AN_EPOCH = 4


@pytest.mark.parametrize("n_batches", range(1, 4 * N_BATCHES_OF_AN_EPOCH + 1))
def test_an_interrupt_keeps_the_last_epoch(
    tmp_path, digits, assert_complete, n_batches, monkeypatch
):
    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN", 1e9)  # but for the first one
    path = tmp_path / "training.ckpt"
    with pytest.raises(KeyboardInterrupt):
        xpnet.train(
            start(), *digits, checkpoint=path, progress=interrupt_after(n_batches), **OPTIONS
        )
    n_epochs = (n_batches - 1) // N_BATCHES_OF_AN_EPOCH
    assert [*tmp_path.iterdir()] == ([path] if n_epochs else [])
    seen = []
    options = {**OPTIONS, "checkpoint": path, "resume": True}
    run = xpnet.train(start(), *digits, on_epoch=seen.append, **options)
    assert [epoch.number for epoch in seen] == list(range(n_epochs + 1, 5))
    assert_complete(run)


@pytest.mark.parametrize("n", range(1, 5))
def test_an_interrupt_in_a_callback_keeps_the_epoch(tmp_path, digits, n, monkeypatch):
    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN", 1e9)
    path = tmp_path / "training.ckpt"
    with pytest.raises(KeyboardInterrupt):
        xpnet.train(start(), *digits, checkpoint=path, on_epoch=interrupt_after(n), **OPTIONS)
    assert len(content_of(path)[0]["history"]) == n


# A file that was just opened to look at is closed by Python, with a warning.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_before_any_line_is_resumed_to_the_same_bits(tmp_path, interrupted_at, facts):
    x, labels = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    options = {"epochs": 2, "batch_size": 10, "validation": 0.25, "optimizer": "sgd"}
    modules = checkpoints, loop, train

    def learn(**more):
        return xpnet.train(xpnet.init_network([3, 2]), x, labels, **options, **more)

    expected, path = facts(learn()), tmp_path / "training.ckpt"
    n_kept = 0
    for n in range(1, 2000, 7):  # each takes two trainings
        path.unlink(missing_ok=True)
        with interrupted_at(n, *modules) as lines, suppress(KeyboardInterrupt):
            learn(checkpoint=path)
        # An interrupt between the body of a `with` block and its end leaves the block open.
        threads._reset()  # noqa: SLF001
        if len(lines) < n:
            break
        assert [x for x in tmp_path.iterdir() if x != path] == [], lines[-1]
        n_kept += path.exists()
        assert facts(learn(checkpoint=path, resume=True)) == expected, lines[-1]
    assert n_kept > 15


HOLDER = """
import sys
import xpnet
images, labels = xpnet.sample()
def wait(_):
    print("learning", flush=True)
    sys.stdin.read()
xpnet.train(xpnet.load("sample"), images[:20], labels[:20], epochs=1, checkpoint=sys.argv[1],
            batch_size=20, progress=wait)
"""


@pytest.mark.skipif(not reserving.HAS_LOCKS, reason="this system has no file locks")
@pytest.mark.parametrize("is_killed", [False, True])
def test_a_second_training_raises_at_once(tmp_path, digits, is_killed):
    path, seen = tmp_path / "training.ckpt", []
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as first:
        assert first.stdout.readline() == "learning\n"
        rule = f"in use by process {first.pid}: wait until it ends, or choose another file"
        for resume in (False, True, "finished"):
            with pytest.raises(BlockingIOError, match=rule) as caught:
                xpnet.train(
                    start(),
                    *digits,
                    checkpoint=path,
                    resume=resume,
                    progress=seen.append,
                    **OPTIONS,
                )
            assert caught.value.filename == str(path)
        if is_killed:
            first.kill()
    assert seen == []
    assert path.exists() is not is_killed
    path.unlink(missing_ok=True)
    xpnet.train(start(), *digits, checkpoint=path, resume=True, **OPTIONS)
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("what", ["unfinished", "of another training", "damaged", "foreign"])
def test_any_other_file_is_replaced(kept, digits, assert_complete, what):
    if what == "of another training":
        other = {**OPTIONS, "seed": 1, "checkpoint": kept, "resume": "finished"}
        xpnet.train(start(), *digits, **other)
    elif what == "damaged":
        kept.write_bytes(kept.read_bytes()[:-1])
    elif what == "foreign":
        kept.write_bytes(b"foreign")
    seen = []
    options = {**OPTIONS, "checkpoint": kept, "resume": "finished"}
    run = xpnet.train(start(), *digits, on_epoch=seen.append, **options)
    assert [epoch.number for epoch in seen] == [1, 2, 3, 4]
    assert_complete(run)


def test_the_same_epoch_is_not_written_twice(kept, digits, monkeypatch):
    xpnet.train(start(), *digits, checkpoint=kept, resume=True, **OPTIONS)
    monkeypatch.setattr(os, "fsync", full)  # nothing can be written any more
    run = xpnet.train(start(), *digits, checkpoint=kept, resume=True, **OPTIONS)
    assert len(run.history) == 4


def full(descriptor):
    del descriptor
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_checkpoint(kept, digits, assert_complete, monkeypatch):
    before = kept.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left") as caught:
            xpnet.train(start(), *digits, checkpoint=kept, resume=True, **OPTIONS)
    assert caught.value.filename == str(kept)
    assert kept.read_bytes() == before
    assert [*kept.parent.iterdir()] == [kept]
    # The disk has space again.
    run = xpnet.train(start(), *digits, checkpoint=kept, resume=True, **OPTIONS)
    assert_complete(run)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
def test_a_full_device(digits):
    with pytest.raises(OSError, match="No space left"):
        xpnet.train(start(), *digits, checkpoint="/dev/full", **OPTIONS)


def test_divergence_keeps_the_last_finite_epoch(tmp_path, digits, facts):
    path = tmp_path / "training.ckpt"

    def schedule(n_done, _):
        return 1.0 if n_done < 8 else 1e45

    options = {**OPTIONS, "schedule": schedule, "optimizer": "sgd"}
    with pytest.raises(RunawayError, match="diverged in epoch 3") as first:
        xpnet.train(start(), *digits, checkpoint=path, **options)
    _, found = content_of(path)
    good = xpnet.train(start(), *digits, **{**options, "epochs": 2})
    assert facts(first.value.run) == facts(good)
    parameters = [
        p.reshape(-1) for layer in good.network.layers for p in (layer.weight, layer.bias)
    ]
    np.testing.assert_array_equal(found["best"], np.concatenate(parameters))
    with pytest.raises(RunawayError, match="diverged in epoch 3") as second:
        xpnet.train(start(), *digits, checkpoint=path, resume=True, **options)
    assert facts(second.value.run) == facts(good)


def test_files_are_written_once_a_second_at_most(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN", 1.0)
    now = [100.0]
    monkeypatch.setattr(checkpoints, "perf_counter", lambda: now[0])
    path, written = tmp_path / "training.ckpt", []

    def on_epoch(epoch):
        written.append(len(content_of(path)[0]["history"]))
        now[0] += 0.4
        del epoch

    options = {**OPTIONS, "epochs": 8}
    xpnet.train(start(), *digits, checkpoint=path, on_epoch=on_epoch, **options)
    assert written == [1, 1, 1, 4, 4, 4, 7, 7]
    assert len(content_of(path)[0]["history"]) == 8  # the end, always


class Downhill:
    """An optimizer whose repr does not show its options."""

    usual_rate = 0.1

    def __init__(self, factor):
        self.factor = factor

    def start(self, _):
        return State(0, ())

    def step(self, state, gradient, _, *, rate, decayed=1.0):
        del decayed
        return State(state.n_steps + 1, ()), -rate * self.factor * gradient


def test_a_custom_optimizer_is_recognized(digits, facts, tmp_path):
    options = {**OPTIONS, "checkpoint": tmp_path / "kept"}
    run = xpnet.train(start(), *digits, **{**options, "optimizer": Downhill(2.0)})
    again = xpnet.train(start(), *digits, resume=True, **{**options, "optimizer": Downhill(2.0)})
    assert facts(run) == facts(again)
    with pytest.raises(WeightsError, match="of another training"):
        xpnet.train(start(), *digits, resume=True, **{**options, "optimizer": Downhill(3.0)})
