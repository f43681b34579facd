"""What this machine can do at most: copies of all kinds, and matrix products."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from card.crews import Carry, Crew, copier, crews, reader
from card.running import Run, rates

__all__ = ["measure_ceilings"]

_BYTES = "bytes/s"
# So many products make one time: one of them takes some 20 ms on a large card.
_PRODUCTS = 4


def measure_ceilings(run: Run) -> None:
    """Measure one limit after the other; what cannot be measured is noted."""
    for name, measure in _CEILINGS.items():
        if run.budget.left <= 0:
            run.document.skip(f"ceiling {name}", "out of time")
            continue
        try:
            found = measure(run)
        except (LookupError, MemoryError, OSError, RuntimeError) as error:
            run.document.skip(f"ceiling {name}", f"{type(error).__name__}: {error}")
            continue
        finally:
            run.rig.release()
        run.document.content["ceilings"][name] = found
        run.say(f"{name}: {found['best']:.3e} {found['unit']}, median {found['median']:.3e}")
        run.document.write()


def _noise(n_bytes: int, seed: int) -> NDArray[np.uint8]:
    """Return random bytes; some links and memories are faster with zeros."""
    return np.frombuffer(np.random.default_rng(seed).bytes(n_bytes), np.uint8)


def _pinned(run: Run, seed: int) -> NDArray[np.uint8]:
    memory = run.rig.pinned(run.plan.buffer_bytes)
    np.copyto(memory, _noise(len(memory), seed))
    return memory


def _copies(
    run: Run,
    what: str,
    copy: Callable[[Any, Any], None],
    pairs: list[tuple[Any, Any]],
    moves: int = 1,
) -> dict[str, Any]:
    """Return the rate of copies from second to first; each byte is moved so many times."""

    def all_of_them() -> None:
        for target, source in pairs:
            copy(target, source)

    seconds = run.times(what, lambda: run.rig.seconds(all_of_them))
    amount = moves * len(pairs) * run.plan.buffer_bytes
    return rates(seconds, amount, unit=_BYTES, buffer_bytes=run.plan.buffer_bytes)


def _pinned_to_device(run: Run) -> dict[str, Any]:
    sources = [_pinned(run, i) for i in range(run.plan.n_buffers)]
    pairs = [(run.rig.to_device(source), source) for source in sources]
    return _copies(run, "pinned_to_device", run.rig.upload, pairs)


def _pageable_to_device(run: Run) -> dict[str, Any]:
    sources = [_noise(run.plan.buffer_bytes, i) for i in range(run.plan.n_buffers)]
    pairs = [(run.rig.to_device(source), source) for source in sources]
    return _copies(run, "pageable_to_device", run.rig.upload, pairs)


def _device_to_pinned(run: Run) -> dict[str, Any]:
    targets = [_pinned(run, i) for i in range(run.plan.n_buffers)]
    pairs = [(target, run.rig.to_device(target)) for target in targets]
    return _copies(run, "device_to_pinned", run.rig.download, pairs)


def _device_to_device(run: Run) -> dict[str, Any]:
    arrays = [run.rig.to_device(_noise(run.plan.buffer_bytes, i)) for i in range(4)]
    pairs = [(arrays[0], arrays[1]), (arrays[2], arrays[3])] * 4
    # Each byte is read and written.
    return _copies(run, "device_to_device", run.rig.copy, pairs, moves=2)


def _pageable_to_pinned(run: Run) -> dict[str, Any]:
    n_bytes = run.plan.buffer_bytes * run.plan.n_buffers
    source, target = _noise(n_bytes, 0), run.rig.pinned(n_bytes)
    target[:] = 1  # its pages are there before the clock runs
    return _by_crews(run, "pageable_to_pinned", copier(target, source), n_bytes)


def _file_to_pinned(run: Run) -> dict[str, Any]:
    n_bytes = run.plan.buffer_bytes * run.plan.n_buffers
    path = run.folder / "noise"
    _noise(n_bytes, 0).tofile(path)  # it stays in the page cache
    target = run.rig.pinned(n_bytes)
    target[:] = 1
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _by_crews(run, "file_to_pinned", reader(target, descriptor), n_bytes)
    finally:
        os.close(descriptor)
        path.unlink()


def _by_crews(run: Run, what: str, carry: Carry, n_bytes: int) -> dict[str, Any]:
    """Return the rate of the crew that was fastest in two tries of each."""
    tried: dict[Crew, float] = {}
    for crew in crews(n_bytes):
        if tried and run.budget.left <= 0:
            run.document.skip(f"ways of {what}", f"out of time after {len(tried)}")
            break
        tried[crew] = min(crew.seconds(carry, n_bytes) for _ in range(2))
    best = min(tried, key=lambda crew: tried[crew])
    seconds = [tried[best], *run.times(what, lambda: best.seconds(carry, n_bytes))]
    return rates(seconds, n_bytes, unit=_BYTES, **best.facts)


def _product(run: Run, precision: str) -> dict[str, Any]:
    """Return the rate of matrix products of random numbers, in operations per second."""
    size, rig = run.plan.product, run.rig
    draw = np.random.default_rng(0).random
    a, b, c, d = (rig.to_device(draw((size, size), np.float32) - np.float32(0.5)) for _ in range(4))
    out = rig.to_device(np.empty((size, size), np.float32))

    def products() -> None:
        for i in range(_PRODUCTS):
            rig.multiply(*((a, b) if i % 2 else (c, d)), out)

    with rig.tf32() if precision == "tf32" else nullcontext():
        seconds = run.times(f"product_{precision}", lambda: rig.seconds(products))
    return rates(seconds, _PRODUCTS * 2.0 * size**3, unit="operations/s", size=size)


_CEILINGS: dict[str, Callable[[Run], dict[str, Any]]] = {
    "pinned_to_device": _pinned_to_device,
    "pageable_to_device": _pageable_to_device,
    "device_to_pinned": _device_to_pinned,
    "pageable_to_pinned": _pageable_to_pinned,
    "file_to_pinned": _file_to_pinned,
    "device_to_device": _device_to_device,
    "product_float32": partial(_product, precision="float32"),
    "product_tf32": partial(_product, precision="tf32"),
}
