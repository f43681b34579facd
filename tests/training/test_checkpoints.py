"""A training that is interrupted goes on as if it had not been."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

import xpnet
from xpnet.files.errors import WeightsError
from xpnet.formats.safetensors import read_arrays
from xpnet.training import checkpoints
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
    return xpnet.init_network(
        [784, 8, 10], scheme="xavier", preprocessing=xpnet.Scale(1 / 255), **options
    )


OPTIONS = {"epochs": 4, "batch_size": 25, "validation": 0.25, "augment": 1, "distort": 0.5}


class Stop(Exception):  # noqa: N818 (as StopIteration)
    """What interrupts a training."""


def stop_after(n):
    def on_epoch(epoch):
        if epoch.number == n:
            raise Stop

    return on_epoch


def facts(run):
    """Return all that a run is, but for how long it took."""
    return (
        [x.tobytes() for layer in run.network.layers for x in (layer.weight, layer.bias)],
        [replace(epoch, seconds=0.0) for epoch in run.history],
        replace(run.best, seconds=0.0),
    )


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "momentum", "nesterov", "sgd"])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_it_goes_on_to_the_same_bits(tmp_path, digits, optimizer, n):
    options = {**OPTIONS, "optimizer": optimizer}
    expected = xpnet.train(start(), *digits, **options)
    path = tmp_path / "training.ckpt"
    with pytest.raises(Stop):
        xpnet.train(start(), *digits, checkpoint=path, on_epoch=stop_after(n), **options)
    seen = []
    run = xpnet.train(
        start(), *digits, checkpoint=path, resume=True, on_epoch=seen.append, **options
    )
    assert facts(run) == facts(expected)
    assert [epoch.number for epoch in seen] == list(range(n + 1, 5))
    seconds = [epoch.seconds for epoch in run.history]
    assert seconds == sorted(seconds)  # going on where they were
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_of_every_precision(tmp_path, digits, dtype):
    expected = xpnet.train(start(dtype=dtype), *digits, **OPTIONS)
    path = tmp_path / "training.ckpt"
    with pytest.raises(Stop):
        xpnet.train(start(dtype=dtype), *digits, checkpoint=path, on_epoch=stop_after(2), **OPTIONS)
    run = xpnet.train(start(dtype=dtype), *digits, checkpoint=path, resume=True, **OPTIONS)
    assert facts(run) == facts(expected)


def test_of_a_regression(tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 3))
    answers = x @ [[1.0], [2.0], [-1.0]]
    options = {"epochs": 4, "batch_size": 10, "learning_rate": 0.1}

    def network():
        return xpnet.init_network([3, 4, 1], output="values")

    expected = xpnet.train(network(), x, answers, **options)
    path = tmp_path / "training.ckpt"
    with pytest.raises(Stop):
        xpnet.train(network(), x, answers, checkpoint=path, on_epoch=stop_after(2), **options)
    run = xpnet.train(network(), x, answers, checkpoint=path, resume=True, **options)
    assert facts(run) == facts(expected)


def test_on_every_backend(tmp_path, xp_backend, digits):
    if xp_backend.name == "dask":
        pytest.skip("Dask arrays are lazy: a training would pile up an endless graph")
    options = {"epochs": 2, "batch_size": 30, "validation": 0.25}

    def network():
        return start().map_arrays(xp_backend.asarray)

    def facts_there(run):
        values = [
            xp_backend.check(x, dtype="float32", shape=tuple(x.shape)).tobytes()
            for layer in run.network.layers
            for x in (layer.weight, layer.bias)
        ]
        return values, [replace(epoch, seconds=0.0) for epoch in run.history]

    expected = xpnet.train(network(), *digits, **options)
    path = tmp_path / "training.ckpt"
    with pytest.raises(Stop):
        xpnet.train(network(), *digits, checkpoint=path, on_epoch=stop_after(1), **options)
    run = xpnet.train(network(), *digits, checkpoint=path, resume=True, **options)
    assert facts_there(run) == facts_there(expected)


def test_a_checkpoint_changes_nothing(tmp_path, digits):
    path = tmp_path / "training.ckpt"
    run = xpnet.train(start(), *digits, checkpoint=path, **OPTIONS)
    assert facts(run) == facts(xpnet.train(start(), *digits, **OPTIONS))


def test_the_end_can_be_read_again(tmp_path, digits):
    path = tmp_path / "training.ckpt"
    run = xpnet.train(start(), *digits, checkpoint=path, **OPTIONS)
    learned, epochs = [], []
    again = xpnet.train(
        start(),
        *digits,
        checkpoint=path,
        resume=True,
        progress=learned.append,
        on_epoch=epochs.append,
        **OPTIONS,
    )
    assert facts(again) == facts(run)
    assert again.history == run.history  # seconds, too
    assert learned == epochs == []


def test_patience_is_kept(tmp_path):
    random = np.random.default_rng(0)
    rows = random.normal(size=(40, 2))
    labels = (rows[:, 0] > 0).astype(int)

    def train(**options):
        # What is to be learned is the contrary of what is held out: only the first epoch is good.
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
        with pytest.raises(Stop):
            train(checkpoint=path, on_epoch=stop_after(n))
        assert facts(train(checkpoint=path, resume=True)) == facts(expected)


def test_resuming_nothing_begins(tmp_path, digits):
    path = tmp_path / "training.ckpt"
    run = xpnet.train(start(), *digits, checkpoint=path, resume=True, **OPTIONS)
    assert len(run.history) == 4
    assert path.is_file()


def test_a_file_that_is_there_is_not_replaced(tmp_path, digits):
    path = tmp_path / "training.ckpt"
    path.write_bytes(b"somebody's")
    with pytest.raises(FileExistsError, match="exists already"):
        xpnet.train(start(), *digits, checkpoint=path, **OPTIONS)
    assert path.read_bytes() == b"somebody's"


def test_a_folder_that_is_missing_is_told_at_once(tmp_path, digits):
    seen = []
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        xpnet.train(
            start(), *digits, checkpoint=tmp_path / "no" / "x", progress=seen.append, **OPTIONS
        )
    assert seen == []


def other_schedule(n_done, n_steps):
    return 1.0 - n_done / n_steps


OTHERS = {
    "epochs": {"epochs": 5},
    "batch_size": {"batch_size": 24},
    "optimizer": {"optimizer": "adamw"},
    "an option of it": {"optimizer": xpnet.Adam(beta1=0.8)},
    "learning_rate": {"learning_rate": 0.006},
    "schedule": {"schedule": "constant"},
    "a schedule of one's own": {"schedule": other_schedule},
    "validation": {"validation": 0.5},
    "patience": {"patience": 3},
    "augment": {"augment": 2},
    "distort": {"distort": 0.25},
    "seed": {"seed": 1},
}


@pytest.fixture
def kept(tmp_path, digits):
    """Return a checkpoint after two epochs."""
    path = tmp_path / "training.ckpt"
    with pytest.raises(Stop):
        xpnet.train(start(), *digits, checkpoint=path, on_epoch=stop_after(2), **OPTIONS)
    return path


def assert_refused(path, network, images, labels, **options):
    before = path.read_bytes()
    message = "a checkpoint of another training: the data, an option or the start differs, remove"
    with pytest.raises(WeightsError, match=message) as caught:
        xpnet.train(network, images, labels, checkpoint=path, resume=True, **{**OPTIONS, **options})
    assert caught.value.file == str(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("what", OTHERS)
def test_another_option_is_refused(kept, digits, what):
    assert_refused(kept, start(), *digits, **OTHERS[what])


def test_other_data_are_refused(kept, digits):
    images, labels = (x.copy() for x in digits)
    images[7, 14, 14] ^= 1
    assert_refused(kept, start(), images, labels)
    labels[7] = (labels[7] + 1) % 10
    assert_refused(kept, start(), digits[0], labels)
    assert_refused(kept, start(), digits[0][:-1], digits[1][:-1])
    assert_refused(kept, start(), digits[0].astype(np.float32), digits[1])
    assert_refused(kept, start(), *digits, validation=(digits[0][:30], digits[1][:30]))


def test_another_start_is_refused(kept, digits):
    assert_refused(kept, start(seed=1), *digits)
    assert_refused(kept, start(dtype="float64"), *digits)
    assert_refused(kept, start(activation="tanh"), *digits)
    layers = start().layers
    assert_refused(kept, xpnet.Network(layers, xpnet.Scale(1 / 256)), *digits)
    mean, scale = np.zeros(784, np.float32), np.full(784, 255, np.float32)
    other = xpnet.Network(layers, xpnet.Standardize(mean, scale))
    assert_refused(kept, other, *digits)
    bias = layers[1].bias.copy()
    bias[3] += 1e-6
    other = [layers[0], xpnet.Dense(layers[1].weight, bias)]
    assert_refused(kept, xpnet.Network(other, xpnet.Scale(1 / 255)), *digits)


def test_the_numbers_of_the_preprocessing_count():
    def key(mean):
        step = xpnet.Standardize(np.asarray([mean, 0.0]), np.ones(2))
        network = xpnet.Network([xpnet.Dense(np.ones((2, 2)), np.zeros(2))], step)
        return checkpoints.fingerprint(network, (), {})

    assert key(0.0) == key(0.0)
    assert key(0.0) != key(1e-9)


def test_a_schedule_is_known_by_its_values(tmp_path, digits):
    # Two functions, as two processes have them.
    path = tmp_path / "training.ckpt"
    one, same = (lambda n_done, n_steps: 1.0 - n_done / n_steps for _ in range(2))
    assert one is not same
    with pytest.raises(Stop):
        xpnet.train(
            start(), *digits, checkpoint=path, on_epoch=stop_after(2), schedule=one, **OPTIONS
        )
    run = xpnet.train(start(), *digits, checkpoint=path, resume=True, schedule=same, **OPTIONS)
    assert facts(run) == facts(xpnet.train(start(), *digits, schedule=one, **OPTIONS))


DAMAGES = {
    "empty": lambda _: b"",
    "half of it": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content[:-1],
    "no header": lambda content: b"\xff" * 8 + content[8:],
    "a text": lambda _: b"label,pixel0,pixel1\n1,2,3\n" * 100,
    "an archive": lambda _: b"PK\x03\x04" + bytes(1000),
    "a network": lambda _: save({"parameters": np.zeros(3), "best": np.zeros(3)}),
    "no history": lambda _: changed(history=None),
    "an empty history": lambda _: changed(history=[]),
    "an epoch of other things": lambda _: changed(history=[{"epoch": 1}]),
    "no best": lambda _: changed(best=0),
    "a best that is none": lambda _: changed(best=7),
    "another version": lambda _: changed(version=2),
    "a list": lambda _: save({"best": np.zeros(3)}, {"xpnet-checkpoint": "[]"}),
    "no facts": lambda _: save({"best": np.zeros(3)}, {"xpnet-checkpoint": "{"}),
}


def changed(**facts):
    epoch = {
        "number": 1, "loss": 1.0, "accuracy": 1.0, "validation_loss": 1.0,
        "validation_accuracy": 1.0, "learning_rate": 1.0, "seconds": 1.0,
    }  # fmt: skip
    all_facts = {"version": 1, "training": "a", "n_steps": 1, "best": 1, "history": [epoch]}
    arrays = {"parameters": np.zeros(3), "best": np.zeros(3)}
    all_facts["crc32"] = zlib.crc32(bytes(2 * 3 * 8))
    return save(arrays, {"xpnet-checkpoint": json.dumps({**all_facts, **facts})})


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_file_is_refused(kept, digits, damage):
    content = DAMAGES[damage](kept.read_bytes())
    kept.write_bytes(content)
    with pytest.raises(WeightsError):
        xpnet.train(start(), *digits, checkpoint=kept, resume=True, **OPTIONS)
    assert kept.read_bytes() == content
    with pytest.raises(WeightsError):
        checkpoints.CheckpointFile(kept, "a").read()


def test_what_is_written_can_be_read(tmp_path):
    (tmp_path / "one").write_bytes(changed())
    found = checkpoints.CheckpointFile(tmp_path / "one", "a").read()
    assert (found.n_steps, found.best, len(found.history)) == (1, 1, 1)


def full(descriptor):
    del descriptor
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_checkpoint(kept, digits, monkeypatch, tmp_path):
    before = kept.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left") as caught:
            xpnet.train(start(), *digits, checkpoint=kept, resume=True, **OPTIONS)
    assert caught.value.filename == str(kept)
    assert kept.read_bytes() == before
    assert [*tmp_path.iterdir()] == [kept]
    # There is place again.
    run = xpnet.train(start(), *digits, checkpoint=kept, resume=True, **OPTIONS)
    assert facts(run) == facts(xpnet.train(start(), *digits, **OPTIONS))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
def test_a_full_device(digits):
    with pytest.raises(OSError, match="No space left"):
        xpnet.train(start(), *digits, checkpoint="/dev/full", **OPTIONS)


def test_what_runs_away_leaves_the_last_good_epoch(tmp_path, digits):
    path = tmp_path / "training.ckpt"

    def schedule(n_done, _):
        return 1.0 if n_done < 8 else 1e45

    options = {**OPTIONS, "schedule": schedule, "optimizer": "sgd"}
    with pytest.raises(RunawayError, match="ran away in epoch 3") as first:
        xpnet.train(start(), *digits, checkpoint=path, **options)
    found, _ = read_arrays(path)
    good = xpnet.train(start(), *digits, **{**options, "epochs": 2})
    assert facts(first.value.run) == facts(good)
    parameters = [
        p.reshape(-1) for layer in good.network.layers for p in (layer.weight, layer.bias)
    ]
    np.testing.assert_array_equal(found["best"], np.concatenate(parameters))
    with pytest.raises(RunawayError, match="ran away in epoch 3") as second:
        xpnet.train(start(), *digits, checkpoint=path, resume=True, **options)
    assert facts(second.value.run) == facts(good)


def test_files_are_written_once_a_second_at_most(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN", 1.0)
    now = [100.0]
    monkeypatch.setattr(checkpoints, "perf_counter", lambda: now[0])
    path, written = tmp_path / "training.ckpt", []

    def on_epoch(epoch):
        _, metadata = read_arrays(path)
        written.append(len(json.loads(metadata["xpnet-checkpoint"])["history"]))
        now[0] += 0.4
        del epoch

    options = {**OPTIONS, "epochs": 8}
    xpnet.train(start(), *digits, checkpoint=path, on_epoch=on_epoch, **options)
    assert written == [1, 1, 1, 4, 4, 4, 7, 7]
    _, metadata = read_arrays(path)
    assert len(json.loads(metadata["xpnet-checkpoint"])["history"]) == 8  # the end, always


# A process that says each batch; two in an epoch of 40 write a file.
CHILD = """
import sys
import numpy as np
import xpnet
from xpnet.training import checkpoints
from xpnet.training.optimizers import State

checkpoints._SECONDS_BETWEEN = 0.0
images, labels = xpnet.sample()
start = xpnet.init_network([784, 20, 10], scheme="xavier", preprocessing=xpnet.Scale(1 / 255))
run = xpnet.train(
    start, np.concatenate([images] * 2), np.tile(labels, 2), epochs=10, batch_size=50, augment=2,
    distort=1.0, validation=0.1, checkpoint=sys.argv[1], resume=True,
    progress=lambda _: print("batch", flush=True),
)
np.save(sys.argv[2], np.concatenate([p.reshape(-1) for l in run.network.layers
                                     for p in (l.weight, l.bias)]))
print("end", [(e.loss, e.accuracy, e.validation_loss, e.learning_rate) for e in run.history])
"""
N_BATCHES = 36


def run_child(path, result, kill_after=None, delay=0.0):
    """Run the process; kill it some seconds after so many batches. Return its last words."""
    command = [sys.executable, "-c", CHILD, str(path), str(result)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        lines = []
        for line in child.stdout:
            lines.append(line)
            if len(lines) == kill_after:
                time.sleep(delay)
                child.send_signal(signal.SIGKILL)
                break
    return child.returncode, lines[-1] if lines else ""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has another way to kill")
def test_a_killed_process_goes_on_to_the_same_bits(tmp_path):
    random, folder = np.random.default_rng(9), tmp_path / "training"
    folder.mkdir()
    path = folder / "training.ckpt"
    n_before = 0
    # In the middle of epochs; and 4 times at their very ends, when files are written. As no
    # process lives for more than an epoch and a half, ten epochs cannot be over by then.
    moments = [int(n) for n in random.integers(1, N_BATCHES * 3 // 2, 5)] + [N_BATCHES] * 4
    for n_batches in random.permutation(moments):
        delay = random.uniform(0.0, 0.01) if n_batches == N_BATCHES else 0.0
        code, _ = run_child(path, tmp_path / "never.npy", n_batches, delay)
        assert code == -signal.SIGKILL
        if path.exists():  # as a whole, and never less than before
            arrays, metadata = read_arrays(path)
            facts = json.loads(metadata["xpnet-checkpoint"])
            assert {*arrays} == {"parameters", "best", "state.0", "state.1"}
            assert facts["n_steps"] == N_BATCHES * len(facts["history"])
            assert len(facts["history"]) >= n_before
            n_before = len(facts["history"])
        left = [x for x in folder.iterdir() if x != path]
        for x in left:  # at most what the kill left of one file
            assert x.name.startswith(".xpnet-")
            assert x.suffix == ".tmp"
            assert not path.exists() or x.stat().st_size <= path.stat().st_size + 1000
        assert len(left) <= len(moments)
    assert 1 <= n_before < 10
    code, words = run_child(path, tmp_path / "killed.npy")
    assert code == 0
    expected = run_child(tmp_path / "other.ckpt", tmp_path / "whole.npy")
    assert (code, words) == expected
    assert words.startswith("end [(")
    killed, whole = (np.load(tmp_path / f"{name}.npy") for name in ("killed", "whole"))
    np.testing.assert_array_equal(killed, whole)
    assert not (tmp_path / "never.npy").exists()


def test_a_flipped_bit_is_noticed(kept, digits):
    content = bytearray(kept.read_bytes())
    content[-5] ^= 1
    kept.write_bytes(content)
    with pytest.raises(WeightsError, match="a damaged checkpoint, remove it to begin anew"):
        xpnet.train(start(), *digits, checkpoint=kept, resume=True, **OPTIONS)


class Downhill:
    """An optimizer that does not tell its options."""

    usual_rate = 0.1

    def __init__(self, factor):
        self.factor = factor

    def start(self, _):
        return State(0, ())

    def step(self, state, gradient, _, *, rate, decayed=1.0):
        del decayed
        return State(state.n_steps + 1, ()), -rate * self.factor * gradient


def test_an_optimizer_of_ones_own_is_known_again(digits, tmp_path):
    options = {**OPTIONS, "checkpoint": tmp_path / "kept"}
    run = xpnet.train(start(), *digits, **{**options, "optimizer": Downhill(2.0)})
    again = xpnet.train(start(), *digits, resume=True, **{**options, "optimizer": Downhill(2.0)})
    assert facts(run) == facts(again)
    with pytest.raises(WeightsError, match="of another training"):
        xpnet.train(start(), *digits, resume=True, **{**options, "optimizer": Downhill(3.0)})
