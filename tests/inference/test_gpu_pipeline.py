"""The pipeline through a GPU, on a fake bus that executes every operation late."""

import gc
import importlib.util
import os
import pickle
import re
import signal
import threading
import time
import weakref
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as each, settings, strategies as st

import xpnet
from xpnet.arrays.cpu import memory
from xpnet.arrays.cpu.memory import FileRows, rows_in_file
from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.gpu.cuda_streams import DeviceMemoryError
from xpnet.arrays.transfer import move, to_numpy
from xpnet.inference import runner
from xpnet.inference.batches import BatchOptions
from xpnet.inference.gpu_pipeline import in_chunks, streamed
from xpnet.inference.predict import marked_class_ids

N_IN = 5
N_OUT = 3
CHUNK = 64
N_PARTS = 3  # of a chunk, one per thread
FLOOR = 1024
SCHEDULES = ["lazy", "eager", "copies first", "results first", 1, 2]
DTYPES = ["?", "u1", "i2", "f4", "f8"]


def load_late_bus():
    """Import the fake bus from the file beside this one: tests are not a package."""
    path = Path(__file__).with_name("late_bus.py")
    spec = importlib.util.spec_from_file_location("late_bus", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


late_bus = load_late_bus()
LateBus = late_bus.LateBus


@pytest.fixture(autouse=True, scope="module")
def only_what_is_new_is_collected():
    """Exclude the objects of earlier tests from the many garbage collections here."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def guard():
    """Interrupt a test that hangs."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(*_):
        msg = "it hangs"
        raise TimeoutError(msg)

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Let several threads copy parts of small chunks."""
    monkeypatch.setattr(memory, "_PART_BYTES", 100)
    monkeypatch.setattr(memory, "count_processors", lambda: N_PARTS)


@pytest.fixture(params=SCHEDULES)
def schedule(request):
    return request.param


def rows_of(n, dtype="u1", seed=0):
    """Return rows that differ from each other and from poison."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (n, N_IN)).astype(np.uint8).astype(dtype)


def compute(x):
    """Return results whose bits depend on their own row alone."""
    return x[:, :N_OUT].astype(np.float64) * 3 + x[:, -1:]


def labels(x):
    return np.argmax(x, axis=1)


def run(bus, blocks, batch_size=CHUNK, function=compute, **options):
    found = streamed(blocks, function, bus, batch_size, n_in=N_IN, **options)
    assert type(found) is np.ndarray
    return found


def check(found, rows, function=compute):
    expected = function(rows)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def blocks_of(x, sizes):
    """Return parts of these sizes, and the rest."""
    ends = np.minimum(np.cumsum([0, *sizes]), len(x))
    return [x[a:b] for a, b in pairwise([*ends, len(x)])]


# The same results as without a pipeline


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed": lambda x: x[::-1].copy()[::-1],
    "swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
}


@pytest.mark.parametrize(
    ("dtype", "layout"), [*((dtype, "C") for dtype in DTYPES), *(("i2", name) for name in LAYOUTS)]
)
def test_any_array(schedule, dtype, layout):
    x = rows_of(3 * CHUNK + 7, dtype)
    x = LAYOUTS[layout](x) if layout in LAYOUTS else x
    bus = LateBus(schedule)
    check(run(bus, [x], is_stable=True), x)
    assert bus.is_idle
    assert bus.sizes == [CHUNK] * 3 + [7]
    check(run(bus, [x], function=labels, is_stable=True), x, labels)


@pytest.mark.parametrize("n", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK])
@pytest.mark.parametrize("kind", ["array", "pinned", "iterator", "file"])
def test_any_number_of_rows(schedule, kind, n, tmp_path):
    x, bus = rows_of(n), LateBus(schedule)
    if kind == "array":
        found = run(bus, [x], is_stable=True)
    elif kind == "pinned":
        found = run(bus, [bus.pin(x)], is_stable=True)
    elif kind == "iterator":
        found = run(bus, iter([x]))
    else:
        with rows_in_file(mapped(tmp_path, x)) as file:
            found = run(bus, [x if file is None else file], is_stable=True)
    check(found, x)
    assert bus.sizes == [CHUNK] * (n // CHUNK) + [n % CHUNK] * (n % CHUNK > 0)
    assert bus.is_idle


@pytest.mark.parametrize("dtype", [*DTYPES, ">i2", ">f4"])
@pytest.mark.parametrize("n_blocks", [0, 1, 3])
@pytest.mark.parametrize("is_stable", [False, True])
def test_no_rows(n_blocks, dtype, is_stable):
    given = [rows_of(0, dtype)] * n_blocks
    for function in (compute, labels):
        bus, blocks = LateBus(), given if is_stable else iter(given)
        found = run(bus, blocks, function=function, is_stable=is_stable)
        check(found, rows_of(0, dtype), function)
        assert bus.is_idle


@pytest.mark.parametrize("batch_size", [1, 7, 100, 1000])
def test_the_batch_size_is_obeyed(batch_size):
    bus, x = LateBus(), rows_of(300)
    for given in ([x], iter(blocks_of(x, [1, 2, 50, 3, 100]))):
        bus.sizes.clear()
        check(run(bus, given, batch_size, is_stable=isinstance(given, list)), x)
        assert bus.sizes == [len(part) for part in blocks_of(x, [batch_size] * 300) if len(part)]
        assert max(shape[0] for shape in bus.pinned_shapes) <= 1000


def test_few_rows_take_room_for_few():
    bus = LateBus()
    check(run(bus, [rows_of(1)], 2**16, is_stable=True), rows_of(1))
    assert max(shape[0] for shape in bus.pinned_shapes) == 1


@pytest.mark.parametrize("batch_size", [3, CHUNK])
def test_the_device_reads_pinned_rows_where_they_are(schedule, batch_size):
    bus = LateBus(schedule)
    x = bus.pin(rows_of(3 * CHUNK + 7))
    check(run(bus, [x], batch_size, is_stable=True), x)
    steps = range(0, len(x), batch_size)
    assert bus.sources == [late_bus.address(x) + start * N_IN for start in steps]
    assert {shape[1:] for shape in bus.pinned_shapes} == {(N_OUT,)}  # none for rows
    np.testing.assert_array_equal(x, rows_of(3 * CHUNK + 7))


@pytest.mark.parametrize(
    ("dtype", "part"),
    [("u1", np.s_[::2]), ("u1", np.s_[::-1]), ("u1", np.s_[:, ::-1]), (">f4", np.s_[:])],
    ids=["strided", "reversed", "columns", "bytes swapped"],
)
def test_what_the_device_cannot_read_is_copied(schedule, dtype, part):
    bus = LateBus(schedule)
    x = bus.pin(rows_of(3 * CHUNK, dtype))[part]
    check(run(bus, [x], is_stable=True), x)
    assert (CHUNK, N_IN) in bus.pinned_shapes


@pytest.mark.parametrize("is_pinned", [False, True])
@pytest.mark.parametrize("size", [1, 10, CHUNK, 2 * CHUNK + 3])
def test_an_iterator_that_has_one_buffer_for_all(schedule, size, is_pinned):
    x, bus = rows_of(6 * CHUNK + 5), LateBus(schedule)
    buffer = np.empty((size, N_IN), np.uint8)
    buffer = bus.pin(buffer) if is_pinned else buffer

    def blocks():
        for part in blocks_of(x, [size] * (len(x) // size)):
            buffer[:] = 99
            buffer[: len(part)] = part
            yield buffer[: len(part)]
        buffer[:] = 98

    check(run(bus, blocks()), x)


def mapped(folder, x):
    x.tofile(folder / "rows.bin")
    return np.memmap(folder / "rows.bin", x.dtype, "r", shape=x.shape)


def resident(path):
    """Return the resident kB of a mapped file in this process."""
    lines = Path("/proc/self/smaps").read_text(encoding="ascii").splitlines()
    start = next(i for i, line in enumerate(lines) if line.endswith(f"/{path.name}"))
    return int(next(line for line in lines[start:] if line.startswith("Rss:")).split()[1])


@pytest.mark.skipif(
    not Path("/proc/self/smaps").exists(), reason="the system does not tell which files are mapped"
)
def test_a_file_is_read_and_not_its_mapping(schedule, tmp_path, monkeypatch):
    read = []
    original = FileRows.copy_to
    monkeypatch.setattr(FileRows, "copy_to", lambda a, b: read.append(a) or original(a, b))
    x = rows_of(3 * CHUNK + 7, "f4")
    images, bus = mapped(tmp_path, x), LateBus(schedule)
    with rows_in_file(images[5:]) as file:
        check(run(bus, [file], is_stable=True), x[5:])
    assert sum(part.shape[0] for part in read) == len(x) - 5
    assert len({part.offset for part in read}) == len(read) > 5
    assert resident(Path(images.filename)) == 0


# Missing waits are detected


def is_wrong(bus, x, blocks, **options):
    try:
        found = run(bus, blocks, **options)
    except (AssertionError, ValueError):
        return True
    return len(found) != len(x) or not np.array_equal(found, compute(x)) or not bus.is_idle


@pytest.mark.parametrize("kind", ["stream", "copied", "returned"])
@pytest.mark.parametrize("source", ["array", "iterator"])
def test_a_missing_wait_is_detected(kind, source):
    x = rows_of(6 * CHUNK)
    wrong = [
        schedule
        for schedule in SCHEDULES
        if is_wrong(
            LateBus(schedule, drops={kind}),
            x,
            [x] if source == "array" else iter(blocks_of(x, [10] * 30)),
            is_stable=source == "array",
        )
    ]
    assert len(wrong) > 1, wrong


@pytest.mark.parametrize("kind", ["stream", "returned"])
def test_a_missing_wait_after_an_error_is_detected(kind):
    bus = LateBus()

    def blocks():
        yield rows_of(4 * CHUNK)
        bus.drops = {kind}
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        run(bus, blocks())
    assert not bus.is_idle


@pytest.mark.parametrize("side", ["device", "pinned"])
def test_memory_that_is_freed_too_early_is_detected(side):
    bus, x = LateBus(), rows_of(CHUNK)
    with bus.streams() as (stream, other):
        pass
    place, source = bus.allocate(x.shape, x.dtype, stream), bus.pin(x)
    bus.copy_in(place, source, stream)
    if side == "pinned":
        del source
    bus.wait(bus.record(stream), other)
    results = bus.compute(compute, place, other)
    if side == "device":
        del place
        bus.wait(bus.record(stream))  # so the next allocation on this stream gets the memory
    target = bus.pinned(results.shape, results.dtype)
    bus.copy_out(target, results, other)
    bus.wait(bus.record(other))
    assert not np.array_equal(target, compute(x))


# Memory is short


BUDGETS = {  # in bytes; a row has 5 bytes, and its results have 24
    "of_the_device": {"most_bytes": 2 * FLOOR * (N_IN + 24) + 30_000},
    "of_a_computation": {"most_bytes": 2**20, "workspace": 2**8},
}


def nothing_is_taken(bus):
    end = time.monotonic() + 5  # threads drop their references a little later
    while True:
        gc.collect()  # errors and their frames
        if bus.n_bytes() == bus.n_bytes("pinned") == 0:
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.001)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("kind", ["there", "pinned", "iterator"])
def test_a_full_device_halves_the_rows(schedule, kind, budget):
    x, bus = rows_of(30 * FLOOR + 77), LateBus(schedule, **BUDGETS[budget])
    blocks = [bus.pin(x) if kind == "pinned" else x]
    if kind == "iterator":
        blocks = iter(blocks_of(x, [1, 5000, 0, 20_000, 7]))
    check(run(bus, blocks, 8 * FLOOR, is_stable=kind != "iterator"), x)
    blocks = None
    assert bus.is_idle
    assert bus.at_free
    assert nothing_is_taken(bus)
    assert FLOOR <= max(bus.sizes) < 8 * FLOOR


@pytest.mark.parametrize("batch_size", [1025, 1500, 2047, 2049])
def test_the_last_half_is_the_floor(batch_size):
    x, bus = rows_of(5000), LateBus(workspace=10**5, most_bytes=10**5 * FLOOR + 60_000)
    check(run(bus, [x], batch_size, is_stable=True), x)
    assert max(bus.sizes) == FLOOR
    assert sum(bus.sizes) == 5000


@pytest.mark.parametrize("n_bytes", [8 * FLOOR * N_IN, 8 * FLOOR * N_IN - 1, 45_000, 80_000])
@pytest.mark.parametrize("kind", ["there", "iterator"])
def test_memory_that_cannot_be_pinned(schedule, kind, n_bytes, monkeypatch):
    """Chunks of 1,024 rows need 12,288 pinned bytes; waiting rows hold no larger buffer."""
    # Threads drop their references later.
    monkeypatch.setattr(memory, "count_processors", lambda: 1)
    x, bus = rows_of(20 * FLOOR + 7), LateBus(schedule, most_pinned=n_bytes)
    given = [x] if kind == "there" else iter(blocks_of(x, [5000, 3]))
    check(run(bus, given, 8 * FLOOR, is_dark, is_stable=kind == "there"), x, is_dark)
    assert bus.at_free
    assert nothing_is_taken(bus)
    assert bus.is_idle


def is_dark(x):
    return x[:, 0] < 100


@pytest.mark.parametrize("most", [{"device": 100_000}, {"pinned": 300_000}], ids=str)
@pytest.mark.parametrize("n", [0, 1, 2, 5, 6, 7, 29])
def test_memory_becomes_short_in_the_middle(schedule, n, most):
    x, bus = rows_of(30 * FLOOR), LateBus(schedule, workspace=30)
    buffer = np.empty((FLOOR, N_IN), x.dtype)

    def blocks():
        for i, part in enumerate(blocks_of(x, [FLOOR] * 29)):
            if i == n:
                bus.most.update(most)
            buffer[:] = part
            yield buffer
            buffer[:] = 99

    check(run(bus, blocks(), 3 * FLOOR), x)
    assert bus.is_idle
    if "device" in most:
        assert bus.at_free
        assert bus.sizes[-1] < 3 * FLOOR


def refused(bus, n_rows, call):
    with pytest.raises(DeviceMemoryError) as caught:
        call()
    error = caught.value
    assert isinstance(error, DeviceError)
    assert isinstance(error, MemoryError)
    assert error.code == "out-of-memory"
    assert error.__suppress_context__ or error.__context__ is None
    mend = "free some of it (nvidia-smi shows its use), or use --device cpu"
    said = f"the GPU has no memory for {n_rows:,} rows at a time (out of device memory); {mend}"
    assert str(error) == said
    assert "\n" not in said
    assert len(said) <= 400
    assert bus.is_idle


@pytest.mark.parametrize(("batch_size", "n_rows"), [(2**16, 1024), (1024, 1024), (100, 100)])
def test_below_the_floor_it_is_an_error(schedule, batch_size, n_rows):
    x, bus = rows_of(3 * FLOOR), LateBus(schedule, most_bytes=2000, workspace=10**6)
    for given in ([x], iter(blocks_of(x, [5, 10]))):
        is_stable = isinstance(given, list)
        refused(bus, n_rows, lambda: run(bus, given, batch_size, is_stable=is_stable))  # noqa: B023
    refused(bus, n_rows, lambda: in_chunks(rows_of(2000), starving(10**9), bus, batch_size))
    gc.collect()
    assert bus.n_bytes() == 0
    bus.most["device"], bus.workspace = None, 0
    check(run(bus, [x], batch_size, is_stable=True), x)


def starving(n_calls, most_rows=0):
    """Return a computation that runs out of memory `n_calls` times."""
    calls = []

    def function(x):
        if len(x) > most_rows and len(calls) < n_calls:
            calls.append(len(x))
            msg = "out of device memory"
            raise MemoryError(msg)
        return compute(x)

    function.calls = calls
    return function


@pytest.mark.parametrize("n_rows", [1, FLOOR, 10 * FLOOR + 7, 2**16 + 1])
def test_rows_that_are_on_the_device(n_rows):
    x, bus = rows_of(n_rows), LateBus()
    found = in_chunks(x, compute, bus, 4 * FLOOR)
    check(np.concatenate(found), x)
    assert [len(part) for part in found][:-1] == [4 * FLOOR] * ((n_rows - 1) // (4 * FLOOR))
    assert not bus.calls


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_rows_that_are_on_the_device(dtype):
    (found,) = in_chunks(rows_of(0, dtype), compute, LateBus(), CHUNK)
    check(found, rows_of(0, dtype))


@pytest.mark.parametrize("n_calls", [1, 2, 5])
@pytest.mark.parametrize("most_rows", [0, FLOOR, 3000])
def test_a_full_device_that_holds_the_rows(n_calls, most_rows):
    x, bus, function = rows_of(70_000), LateBus(), starving(n_calls, most_rows)
    check(np.concatenate(in_chunks(x, function, bus, 2**16)), x)
    assert function.calls == [2**16 >> i for i in range(len(function.calls))]
    assert bus.calls == ["free"] * len(function.calls)


# Faults


ERRORS = [MemoryError, OSError, KeyboardInterrupt]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("n", [0, 2, 7])
def test_an_error_of_the_source(schedule, error, n):
    def blocks():
        yield from blocks_of(rows_of(n * 50), [50] * n)
        raise error

    bus = LateBus(schedule)
    with pytest.raises(error) as caught:
        run(bus, blocks())
    assert caught.type is error  # not converted to the error of a full device
    assert bus.is_idle
    assert "free" not in bus.calls
    check(run(bus, [rows_of(200)], is_stable=True), rows_of(200))


def failing_copy(monkeypatch, n, error, seconds=0.0):
    """Let the n-th copy into pinned memory fail, and each copy take some time."""
    original, lock, calls = memory.copy_rows, threading.Lock(), []

    def slow(target, rows):
        with lock:
            calls.append(threading.current_thread())
            fails = len(calls) == n
        if fails:
            raise error
        time.sleep(seconds)
        original(target, rows)

    monkeypatch.setattr(memory, "copy_rows", slow)
    return calls


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("n", [1, 4, 17])
def test_an_error_while_rows_are_copied(schedule, error, n, monkeypatch):
    x, bus = rows_of(6 * CHUNK), LateBus(schedule)
    with monkeypatch.context() as patch:
        failing_copy(patch, n, error)
        with pytest.raises(error) as caught:
            run(bus, [x], is_stable=True)
    assert caught.type is error
    assert bus.is_idle
    assert "free" not in bus.calls
    check(run(bus, [x], is_stable=True), x)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_an_error_in_a_computation(schedule, error, n):
    calls = []

    def function(x):
        if not np.any(x):  # the call that puts it on the stream
            calls.append(len(x))
            if len(calls) == n:
                raise error
        return compute(x)

    bus, x = LateBus(schedule), rows_of(8 * CHUNK)
    with pytest.raises(error):
        run(bus, [x], function=function, is_stable=True)
    assert bus.is_idle
    check(run(bus, [x], function=function, is_stable=True), x)


OPERATIONS = ["streams", "pinned", "allocate", "copy_in", "compute", "copy_out", "record", "wait"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_error_in_any_operation(schedule, operation, error):
    x = rows_of(5 * CHUNK)
    for n in range(1, 100):
        fault = error(f"injected into {operation}")
        bus = LateBus(schedule, faults={operation: (n, fault)})
        if bus_ends(bus, x, fault):
            break
        # A wait that fails at the end cannot be made up for.
        assert bus.is_idle or operation in {"record", "wait"}
        bus.faults.clear()
        assert bus_ends(bus, x, None)
    assert n > 1


def bus_ends(bus, x, fault):
    """Return whether the results are right; otherwise, assert that this error was raised."""
    try:
        found = run(bus, iter(blocks_of(x, [40, 100])))
    except (RuntimeError, KeyboardInterrupt) as caught:
        if caught is not fault:
            raise
        return False
    check(found, x)
    return True


@pytest.mark.parametrize("operation", ["allocate", "pinned", "compute"])
def test_memory_is_short_for_a_moment(schedule, operation):
    x = rows_of(5 * FLOOR)
    for n in range(1, 100):
        bus = LateBus(schedule, faults={operation: (n, MemoryError("for a moment"))})
        check(run(bus, iter(blocks_of(x, [40, 3000])), 2 * FLOOR), x)
        assert bus.is_idle
        if "free" not in bus.calls:
            break
    assert n > 1


@pytest.mark.parametrize("seconds", [0.0, 0.0005])
def test_threads_share_the_copies(seconds, monkeypatch):
    names = failing_copy(monkeypatch, 0, None, seconds)
    x = rows_of(4 * CHUNK)
    check(run(LateBus(), [x], is_stable=True), x)
    assert len(names) == 4 * N_PARTS
    assert len(set(names)) <= 3


def test_a_file_that_becomes_shorter(schedule, tmp_path):
    x, bus = rows_of(6 * CHUNK), LateBus(schedule)
    x.tofile(tmp_path / "rows.bin")
    descriptor = os.open(tmp_path / "rows.bin", os.O_RDONLY)
    try:
        file = FileRows(descriptor, 0, x.shape, x.dtype)
        check(run(bus, [file], is_stable=True), x)
        os.truncate(tmp_path / "rows.bin", x.nbytes // 2 - 3)
        with pytest.raises(OSError, match="the file became shorter while it was read"):
            run(bus, [file], is_stable=True)
    finally:
        os.close(descriptor)
    assert bus.is_idle


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer interrupts here")
@pytest.mark.parametrize("milliseconds", [1, 3, 7, 20])
def test_the_user_can_interrupt_it(milliseconds, monkeypatch):
    # Python ignores errors in finalizers and in callbacks of the garbage collector, such as JAX's.
    ignored = [weakref.finalize.__call__, *gc.callbacks]
    codes = {getattr(function, "__code__", None) for function in ignored}

    def interrupt(_, frame):
        while frame is not None:
            if frame.f_code in codes:
                signal.setitimer(signal.ITIMER_REAL, 1e-4)
                return
            frame = frame.f_back
        raise KeyboardInterrupt

    failing_copy(monkeypatch, 0, None, 0.001)
    bus, x = LateBus("eager"), rows_of(50 * CHUNK)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
        with pytest.raises(KeyboardInterrupt):
            run(bus, [x], is_stable=True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert bus.is_idle
    check(run(bus, [x[:200]], is_stable=True), x[:200])


# Random sources


ANYTHING = st.fixed_dictionaries(
    {
        "blocks": st.lists(
            st.tuples(st.sampled_from([0, 1, 7, 64, 500, 3000]), st.sampled_from([*DTYPES, ">f4"])),
            max_size=6,
        ),
        "batch_size": st.sampled_from([60, 64, 500, 1023, 1024, 1025, 4096, 2**14]),
        "kind": st.sampled_from(["there", "pinned", "some pinned", "iterator", "one buffer"]),
        "schedule": st.sampled_from(["lazy", "eager", "copies first", "results first", *range(9)]),
        "most_bytes": st.sampled_from([None, 50_000, 10**5, 3 * 10**5]),
        "most_pinned": st.sampled_from([None, 10**5, 3 * 10**5]),
        "workspace": st.sampled_from([0, 10, 100]),
    }
)


@settings(max_examples=100, deadline=None)
@each(ANYTHING)
def test_random_sources(options):
    blocks, batch_size, kind = (options.pop(key) for key in ("blocks", "batch_size", "kind"))
    given = [rows_of(n, dtype, i) for i, (n, dtype) in enumerate(blocks)]
    expected = np.concatenate([compute(rows_of(0)), *map(compute, given)])
    most_pinned, bus = options.pop("most_pinned"), LateBus(**options)
    is_stable = kind in {"there", "pinned", "some pinned"}
    source = given if is_stable else reusing(given) if kind == "one buffer" else iter(given)
    if kind.endswith("pinned"):
        every = 2 if kind == "some pinned" else 1
        source = [bus.pin(x) if len(x) and i % every == 0 else x for i, x in enumerate(given)]
    else:
        bus.most["pinned"] = most_pinned
    try:
        found = run(bus, source, batch_size, is_stable=is_stable)
    except DeviceMemoryError:
        assert any(bus.most.values())
    else:
        np.testing.assert_array_equal(found, expected)
    assert bus.is_idle or not len(expected)


def reusing(blocks):
    memory = np.empty(2**20, np.uint8)
    for block in blocks:
        place = memory[: block.nbytes].view(block.dtype).reshape(block.shape)
        place[...] = block
        yield place
        memory[: block.nbytes] = 99


# Networks on array-api-strict's device1, which stands for a GPU


class StrictBus(LateBus):
    """A bus to a device whose arrays NumPy cannot read."""

    def compute(self, function, x, stream, /):
        strict = pytest.importorskip("array_api_strict")
        device, host = strict.Device("device1"), strict.Device("CPU_DEVICE")

        def there(x):
            y = function(strict.asarray(np.array(x), device=device))
            assert y.device == device
            return np.asarray(y.to_device(host))

        return super().compute(there, x, stream)


@pytest.fixture
def bus(monkeypatch):
    """Give networks on device1 a bus."""
    bus = StrictBus(1)
    monkeypatch.setattr(runner, "bus_to", lambda x: None if isinstance(x, np.ndarray) else bus)
    return bus


def network_there(network):
    strict = pytest.importorskip("array_api_strict")
    return network.map_arrays(lambda x: move(x, strict, strict.Device("device1")))


@pytest.fixture
def digits():
    images, labels = xpnet.sample()
    return np.ascontiguousarray(images[::10].reshape(-1, 784)), labels[::10]


FORMS = {  # of images, made from rows and from a file of them
    "rows": lambda x, _: x,
    "pictures": lambda x, _: x.reshape(-1, 28, 28),
    "strided": lambda x, _: np.repeat(x, 2, axis=0)[::2],
    "float64": lambda x, _: x.astype("f8"),
    "big-endian": lambda x, _: x.astype(">f4"),
    "iterator": lambda x, _: iter(blocks_of(x.reshape(-1, 28, 28), [0, 1, 100, 7])),
    "file": lambda x, path: np.memmap(path, np.uint8, "r", shape=x.shape),
    "file of pictures": lambda _, path: np.memmap(path, np.uint8, "r").reshape(-1, 28, 28),
    "copy-on-write": lambda x, path: np.memmap(path, np.uint8, "c", shape=x.shape),
    "reversed file": lambda x, path: np.memmap(path, np.uint8, "r", shape=x.shape)[::-1],
}


@pytest.mark.parametrize(
    ("form", "options"),
    [
        *((form, {}) for form in FORMS),
        *((form, {"batch_size": 30}) for form in ("rows", "iterator", "file")),
        *((form, "reproducible") for form in ("rows", "iterator", "file")),
    ],
    ids=str,
)
def test_predictions(bus, digits, form, options, tmp_path):
    images, _ = digits
    images.tofile(tmp_path / "images.bin")
    network = xpnet.load("sample")
    there = network_there(network)
    if options == "reproducible":
        there, options = xpnet.reproducible(there), {}
    given = [FORMS[form](images, tmp_path / "images.bin") for _ in range(2)]
    rows = images[::-1] if form == "reversed file" else images
    found = xpnet.predict(there, given[0], **options)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, xpnet.predict(network, rows))
    probabilities = xpnet.predict_proba(there, given[1], **options)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, xpnet.predict_proba(network, rows), atol=1e-5)
    assert set(bus.sizes) <= {30, 10} if "batch_size" in options else {100}
    assert bus.is_idle


def test_pinned_images_are_read_where_they_are(bus, digits):
    images = bus.pin(digits[0].reshape(-1, 28, 28))
    found = xpnet.predict(network_there(xpnet.load("sample")), images, batch_size=40)
    np.testing.assert_array_equal(found, xpnet.predict(xpnet.load("sample"), images))
    start = late_bus.address(images)
    assert bus.sources == [start, start + 40 * 784, start + 80 * 784]


@pytest.mark.parametrize("classes", [None, tuple("abcdefghij"), tuple(range(5, 15))])
def test_an_evaluation(bus, digits, classes):
    images, labels = digits
    labels = labels if classes is None else np.asarray(classes)[labels]
    old = xpnet.load("sample")
    network = xpnet.Network(old.layers, old.preprocessing, classes=classes)
    expected = xpnet.evaluate(network, images, labels)
    pairs = zip(blocks_of(images, [20, 70]), blocks_of(labels, [20, 70]), strict=True)
    there = network_there(network)
    for given in ((images, labels), (iter(pairs),)):
        found = xpnet.evaluate(there, *given)
        np.testing.assert_array_equal(found.confusion, expected.confusion)
    assert "copy_in" in bus.calls


@pytest.mark.parametrize("n_out", [1, 3])
def test_a_regression(bus, n_out):
    weight = np.eye(5, n_out, dtype=np.float32)
    network = xpnet.Network([xpnet.Dense(weight, np.ones(n_out, np.float32))], output="values")
    x = rows_of(300)
    found = xpnet.predict(network_there(network), iter(blocks_of(x, [100])), batch_size=64)
    np.testing.assert_array_equal(found, x[:, :n_out].astype(np.float32) + 1)
    assert bus.sizes == [64] * 4 + [44]


def test_no_images(bus):
    network = network_there(xpnet.load("sample"))
    for given in (np.empty((0, 28, 28), np.uint8), iter([]), iter([np.empty((0, 784), "f4")])):
        assert xpnet.predict(network, given).shape == (0,)
    assert xpnet.predict_proba(network, iter([])).shape == (0, 10)
    assert "copy_in" not in bus.calls


class TorchBus(LateBus):
    """A bus to a device of torch: like CuPy's, its copies on the host have ml_dtypes' bfloat16."""

    def compute(self, function, x, stream, /):
        torch, ml_dtypes = (pytest.importorskip(name) for name in ("torch", "ml_dtypes"))

        def there(x):
            y = function(torch.from_numpy(np.array(x)))
            if y.dtype != torch.bfloat16:
                return y.numpy()
            return y.view(torch.int16).numpy().view(ml_dtypes.bfloat16)

        return super().compute(there, x, stream)


@pytest.mark.parametrize("n_out", [1, 10])
@pytest.mark.parametrize("output", ["logits", "probabilities", "values"])
def test_bfloat16_becomes_float32(monkeypatch, output, n_out):
    torch = pytest.importorskip("torch", reason="only torch has bfloat16 without a GPU")
    random, bus = np.random.default_rng(2), TorchBus()
    layers = [
        xpnet.Dense(random.normal(size=(N_IN, 8)) / 100, np.zeros(8), "relu"),
        xpnet.Dense(random.normal(size=(8, n_out)), np.zeros(n_out)),
    ]
    if output == "probabilities":
        layers[1] = replace(layers[1], activation="sigmoid" if n_out == 1 else "softmax")
    network = xpnet.Network(layers, output=output)
    there = network.map_arrays(lambda x: torch.from_numpy(x).bfloat16())
    x = rows_of(300)
    methods = [xpnet.predict] if output == "values" else [xpnet.predict, xpnet.predict_proba]
    # Computed there without a pipeline, and for no rows.
    expected = [method(there, torch.from_numpy(x)) for method in methods]
    monkeypatch.setattr(runner, "bus_to", lambda x: None if isinstance(x, np.ndarray) else bus)
    for method, exact in zip(methods, expected, strict=True):
        found, empty = (method(there, rows, batch_size=CHUNK) for rows in (x, x[:0]))
        is_float = output == "values" or method is xpnet.predict_proba
        assert found.dtype == empty.dtype == (np.float32 if is_float else np.int64)
        assert empty.shape == (0, *found.shape[1:])
        np.testing.assert_array_equal(found, to_numpy(exact))
    if output != "values":
        labels = to_numpy(expected[0])
        assert xpnet.evaluate(there, x, labels, batch_size=CHUNK).accuracy == 1.0
        with pytest.warns(xpnet.NonfiniteWarning, match="300 of 300"):
            xpnet.predict(there, x * np.float32("nan"))
    assert bus.is_idle


@pytest.mark.parametrize("call", [xpnet.predict, xpnet.predict_proba])
@pytest.mark.parametrize("dtype", ["complex128", "<U1", "object", "timedelta64[s]"])
def test_images_of_unsupported_dtypes(bus, call, dtype):
    network, images = network_there(xpnet.load("sample")), np.zeros((3, 784), dtype)
    message = re.escape(f"real numbers of at most 64 bits; got dtype {dtype}")
    for given in (images, images[:0], iter([images]), iter([images.reshape(3, 28, 28)])):
        with pytest.raises(TypeError, match=message):
            call(network, given)
    assert "copy_in" not in bus.calls
    assert bus.is_idle


def test_images_of_another_size(bus):
    network = network_there(xpnet.load("sample"))
    ones = np.ones((3, 784), np.uint8)
    for given in (np.ones((3, 27, 28), np.uint8), iter([ones, np.ones((3, 785), np.uint8)])):
        with pytest.raises(ValueError, match="`images` must be rows of 784 values"):
            xpnet.predict(network, given)
    assert bus.is_idle


def test_blocks_here_and_there(bus, digits):
    network, images = xpnet.load("sample"), digits[0]
    there, strict = network_there(network), pytest.importorskip("array_api_strict")
    parts = blocks_of(images, [20, 30, 10, 10])
    given = [
        part if i in {0, 3} else move(part, strict, there.device) for i, part in enumerate(parts)
    ]
    of_blocks = runner.Runner(there, marked_class_ids, BatchOptions(batch_size=10))
    found = list(of_blocks._on_gpu(iter(given), bus))  # noqa: SLF001 (they are not joined)
    host = strict.Device("CPU_DEVICE")
    on_host = [isinstance(part, np.ndarray) for part in found]
    assert on_host == [True] + [False] * 4 + [True] + [False] * 3
    values = [
        np.asarray(x if is_np else x.to_device(host))
        for x, is_np in zip(found, on_host, strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(values), xpnet.predict(network, images))


def test_images_on_the_device_stay_there(bus, digits):
    network, strict = xpnet.load("sample"), pytest.importorskip("array_api_strict")
    there = network_there(network)
    parts = [move(part, strict, there.device) for part in blocks_of(digits[0], [25, 50])]
    found = xpnet.predict(there, iter(parts), batch_size=25)
    assert found.device == there.device
    labels = np.asarray(found.to_device(strict.Device("CPU_DEVICE")))
    np.testing.assert_array_equal(labels, xpnet.predict(network, digits[0]))
    assert bus.calls == []


def test_memory_is_released_before_the_pool_is_freed():
    """Since Python 3.12 or 3.13, errors in contextlib hold each other in a cycle."""
    bus = LateBus(most_bytes=100_000, collects=False)
    gc.disable()
    try:
        run(bus, [rows_of(8 * FLOOR, "f4")], 8 * FLOOR, is_dark, is_stable=True)
    finally:
        gc.enable()
    assert bus.at_free == [0, 0]


def test_an_error_keeps_no_memory_of_the_device():
    """The context of an error holds the frames of the failed calls."""
    bus = LateBus(most_bytes=10**5, workspace=10**6)
    try:
        run(bus, [rows_of(3 * FLOOR)], is_stable=True)
    except DeviceMemoryError:
        assert bus.n_bytes() == 0
    else:
        pytest.fail("it had room")


def test_no_rows_on_a_full_device():
    with pytest.raises(DeviceMemoryError):
        run(LateBus(most_bytes=1), [])


def test_the_error_can_go_to_another_process():
    error = DeviceMemoryError.of_rows(1024, "full")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_no_rows_of_a_file():
    FileRows(0, 0, (0, N_IN), np.dtype("u1")).copy_to(np.empty((0, N_IN), np.uint8))
